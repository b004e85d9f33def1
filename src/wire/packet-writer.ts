import { assert } from '../runtime/assert.ts';
import { PACKET_HEADER_BYTES, PACKET_PAYLOAD_MAX } from './flags.ts';
import { framePayload } from './framer.ts';

const SLAB_BYTES = 4096;
const NO_PACKET = -1;

/**
 * Collects the bytes of one or more packets. Fields go where the last one ended; between
 * `startPacket` and `endPacket` they belong to a packet whose length is filled in last. A writer
 * belongs to one connection. Bytes that `take` handed out are never written to again.
 */
export class PacketWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the bytes begin that nobody has taken yet. */
  #start = 0;
  #position = 0;
  #packetStart = NO_PACKET;

  /** Bytes waiting to be taken. */
  get length(): number {
    return this.#position - this.#start;
  }

  startPacket(sequence: number): this {
    assert(this.#packetStart === NO_PACKET, 'the packet before was ended');
    this.#reserve(PACKET_HEADER_BYTES);
    this.#packetStart = this.#position;
    this.#bytes[this.#position + 3] = sequence & 0xff;
    this.#position += PACKET_HEADER_BYTES;
    return this;
  }

  /** Fills in the length (a payload of 16 MiB or more becomes several packets) and returns the next sequence id. */
  endPacket(): number {
    assert(this.#packetStart !== NO_PACKET, 'a packet was started');
    const start = this.#packetStart;
    const length = this.#position - start - PACKET_HEADER_BYTES;
    const sequence = this.#bytes.readUInt8(start + 3);
    this.#packetStart = NO_PACKET;
    if (length < PACKET_PAYLOAD_MAX) {
      this.#bytes.writeUIntLE(length, start, 3);
      return (sequence + 1) & 0xff;
    }
    const payload = Buffer.from(this.#bytes.subarray(start + PACKET_HEADER_BYTES, this.#position));
    this.#position = start;
    const frames = framePayload(payload, sequence);
    for (const frame of frames) this.bytes(frame);
    return (sequence + frames.length / 2) & 0xff;
  }

  /** A whole packet with a ready payload; returns the next sequence id. */
  packet(sequence: number, payload: Buffer): number {
    this.startPacket(sequence).bytes(payload);
    return this.endPacket();
  }

  /** The bytes so far, which now belong to the caller. */
  take(): Buffer {
    assert(this.#packetStart === NO_PACKET, 'a packet is not cut while it is written');
    const taken = this.#bytes.subarray(this.#start, this.#position);
    this.#start = this.#position;
    return taken;
  }

  uint8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#position++] = value;
    return this;
  }

  uint16(value: number): this {
    this.#reserve(2);
    this.#position = this.#bytes.writeUInt16LE(value, this.#position);
    return this;
  }

  uint24(value: number): this {
    this.#reserve(3);
    this.#position = this.#bytes.writeUIntLE(value, this.#position, 3);
    return this;
  }

  uint32(value: number): this {
    this.#reserve(4);
    this.#position = this.#bytes.writeUInt32LE(value >>> 0, this.#position);
    return this;
  }

  uint64(value: number | bigint): this {
    this.#reserve(8);
    this.#position = this.#bytes.writeBigUInt64LE(BigInt(value), this.#position);
    return this;
  }

  /** int<lenenc>. */
  lengthEncoded(value: number | bigint): this {
    if (value < 0xfb) return this.uint8(Number(value));
    if (value <= 0xffff) return this.uint8(0xfc).uint16(Number(value));
    if (value <= 0xffffff) return this.uint8(0xfd).uint24(Number(value));
    return this.uint8(0xfe).uint64(value);
  }

  /** string<lenenc>; `undefined` is the NULL of a text row. */
  lengthEncodedBytes(value: Buffer | string | undefined): this {
    if (value === undefined) return this.uint8(0xfb);
    if (typeof value !== 'string') return this.lengthEncoded(value.length).bytes(value);
    return this.lengthEncoded(Buffer.byteLength(value)).text(value);
  }

  /** string<NUL>. */
  nullTerminated(value: Buffer | string): this {
    return (typeof value === 'string' ? this.text(value) : this.bytes(value)).uint8(0);
  }

  bytes(value: Buffer): this {
    this.#reserve(value.length);
    this.#position += value.copy(this.#bytes, this.#position);
    return this;
  }

  /** UTF-8 without a length. */
  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.#reserve(length);
    this.#position += this.#bytes.write(value, this.#position, length);
    return this;
  }

  zeros(count: number): this {
    this.#reserve(count);
    this.#bytes.fill(0, this.#position, this.#position + count);
    this.#position += count;
    return this;
  }

  #reserve(count: number): void {
    if (this.#position + count <= this.#bytes.length) return;
    const kept = this.#bytes.subarray(this.#start, this.#position);
    const grown = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, 2 * (kept.length + count)));
    kept.copy(grown);
    if (this.#packetStart !== NO_PACKET) this.#packetStart -= this.#start;
    this.#position -= this.#start;
    this.#start = 0;
    this.#bytes = grown;
  }
}
