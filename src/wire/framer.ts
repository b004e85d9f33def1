import { ProxyError } from '../errors/proxy-error.ts';
import { PACKET_HEADER_BYTES, PACKET_PAYLOAD_MAX } from './flags.ts';

const EMPTY = Buffer.alloc(0);

/**
 * Cuts a byte stream into payloads. Memory grows with the bytes that arrived, never with a length
 * that was only claimed. A payload is a view of the pushed chunk where it lay whole in one.
 */
export class Framer {
  readonly #packetBytesMax: number;
  /** Bytes from `#start` to `#end` wait to be cut; what is before `#start` was handed out. */
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;
  /** Packets of 0xFFFFFF bytes whose continuation is still to come. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #firstSequence = 0;
  #sequence = 0;

  constructor(options: { readonly packetBytesMax: number }) {
    this.#packetBytesMax = options.packetBytesMax;
  }

  /** Sequence id of the last packet of the payload that `next` returned; an answer goes on from it. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Sequence id of its first packet: 0 for a new command. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  /** Bytes that came and were not yet returned as payloads. */
  get bufferedBytes(): number {
    return this.#end - this.#start + this.#partBytes;
  }

  /** `chunk` is kept, so its owner must not write to it again. */
  push(chunk: Buffer): void {
    if (this.#start === this.#end) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    this.#append(chunk);
  }

  /**
   * The next whole payload, continuations joined; undefined until more bytes come.
   * Throws ER_NET_PACKET_TOO_LARGE as soon as a header claims too much, and
   * ER_NET_PACKETS_OUT_OF_ORDER when a continuation is not numbered as such.
   */
  next(): Buffer | undefined {
    for (;;) {
      if (this.#end - this.#start < PACKET_HEADER_BYTES) return undefined;
      const length = this.#bytes.readUIntLE(this.#start, 3);
      if (this.#partBytes + length > this.#packetBytesMax) {
        throw new ProxyError(
          'ER_NET_PACKET_TOO_LARGE',
          "Got a packet bigger than 'max_allowed_packet' bytes",
          { details: { packetBytesMax: this.#packetBytesMax } },
        );
      }
      if (this.#end - this.#start < PACKET_HEADER_BYTES + length) return undefined;
      this.#number(this.#bytes.readUInt8(this.#start + 3));
      const from = this.#start + PACKET_HEADER_BYTES;
      const part = this.#bytes.subarray(from, from + length);
      this.#start = from + length;
      if (length < PACKET_PAYLOAD_MAX) return this.#join(part);
      this.#parts.push(part);
      this.#partBytes += length;
    }
  }

  /** Gives up the bytes behind the last payload: after an SSLRequest they belong to TLS. */
  takeRemainder(): Buffer {
    const remainder = this.#bytes.subarray(this.#start, this.#end);
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#end = 0;
    return remainder;
  }

  #number(sequence: number): void {
    if (this.#parts.length === 0) {
      this.#firstSequence = sequence;
    } else if (sequence !== ((this.#sequence + 1) & 0xff)) {
      throw new ProxyError('ER_NET_PACKETS_OUT_OF_ORDER', 'Got packets out of order');
    }
    this.#sequence = sequence;
  }

  #join(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last;
    const payload = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#partBytes = 0;
    return payload;
  }

  // Bytes before #start may have been handed out as views, so they are never overwritten: growing
  // takes a new buffer, doubled so that many small chunks cost no quadratic copying.
  #append(chunk: Buffer): void {
    if (this.#end + chunk.length > this.#bytes.length) {
      const waiting = this.#end - this.#start;
      const grown = Buffer.allocUnsafeSlow(2 * (waiting + chunk.length));
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      this.#bytes = grown;
      this.#start = 0;
      this.#end = waiting;
    }
    this.#end += chunk.copy(this.#bytes, this.#end);
  }
}

/**
 * Headers and pieces of the payload in turn, without copying it: always two buffers a packet. A
 * payload of an exact multiple of 0xFFFFFF bytes is closed by an empty packet.
 */
export function framePayload(payload: Buffer, firstSequence: number): Buffer[] {
  const frames: Buffer[] = [];
  let sequence = firstSequence;
  for (let at = 0; ; at += PACKET_PAYLOAD_MAX) {
    const piece = payload.subarray(at, at + PACKET_PAYLOAD_MAX);
    const header = Buffer.allocUnsafe(PACKET_HEADER_BYTES);
    header.writeUIntLE(piece.length, 0, 3);
    header[3] = sequence++ & 0xff;
    frames.push(header, piece);
    if (piece.length < PACKET_PAYLOAD_MAX) return frames;
  }
}
