import {
  COM_FIELD_LIST,
  COM_QUIT,
  COM_STATISTICS,
  COM_STMT_CLOSE,
  COM_STMT_PREPARE,
  COM_STMT_SEND_LONG_DATA,
  EOF_MARKER,
  EOF_PAYLOAD_LIMIT,
  ERR_MARKER,
  LOCAL_INFILE_MARKER,
  OK_MARKER,
  PACKET_HEADER_BYTES,
  PACKET_PAYLOAD_MAX,
  SERVER_MORE_RESULTS_EXISTS,
} from './flags.ts';
import { MalformedPacket } from './packet-reader.ts';
import { decodeEof, decodeErr, decodeOk, type ErrPacket } from './reply-packets.ts';

/** Which packets answer a command. */
export type ReplyShape = 'result' | 'field-list' | 'prepare' | 'text' | 'none';

/** What the last packet of a reply said. */
export interface ReplyFacts {
  readonly kind: 'ok' | 'rows' | 'error';
  /** Undefined when the last packet has none: ERR, the text of COM_STATISTICS, a prepared statement. */
  readonly statusFlags: number | undefined;
  readonly warningCount: number;
  readonly affectedRows: number | bigint;
  readonly lastInsertId: number | bigint;
  readonly info: string;
  readonly error: ErrPacket | undefined;
}

export function replyShapeOf(command: number | undefined): ReplyShape {
  switch (command) {
    case COM_FIELD_LIST:
      return 'field-list';
    case COM_STMT_PREPARE:
      return 'prepare';
    case COM_STATISTICS:
      return 'text';
    case COM_QUIT:
    case COM_STMT_CLOSE:
    case COM_STMT_SEND_LONG_DATA:
      return 'none';
    default:
      return 'result';
  }
}

/** A reply goes on in a later chunk. */
export const REPLY_GOES_ON = -1;

// Numbers, since they are compared for every packet.
const FIRST = 0;
const COLUMNS = 1;
const ROWS = 2;
const TEXT = 3;
const PREPARED = 4;
/** Definitions of a prepared statement: one EOF after the parameters, one after the columns. */
const PREPARED_DEFINITIONS = 5;

/** Stands for the first byte of a packet that has none. */
const EMPTY_PACKET = -1;

const SCRATCH_BYTES = 1024;
/** An ERR or OK packet that is longer is not MySQL's (error messages end at 512 bytes). */
const CAPTURE_BYTES_MAX = 65_536;

/**
 * Finds the end of a reply in raw bytes. It walks the packet headers, looks at the first byte of
 * each packet and reads whole only those that can be the last (OK, ERR, EOF). Chunks may be cut at
 * any byte. One scanner serves a connection for all its replies.
 */
export class ReplyScanner {
  #phase = FIRST;
  /** Payload bytes of the current packet that are passed unseen. */
  #skip = 0;
  /** The packet before was 0xFFFFFF long, so the next one continues it whatever its first byte. */
  #continues = false;
  /** The sequence id that must come next. */
  #sequence = 1;
  /** Of the header that was read last. */
  #length = 0;
  #packetSequence = 0;
  #definitionsLeft = 0;
  /** Bytes of a header that a cut left behind, or of a captured packet. */
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #scratchBytes = 0;
  #capturing = 0;
  #facts: ReplyFacts = NO_FACTS;

  /** Valid after `feed` has found an end, until the next `start`. */
  get facts(): ReplyFacts {
    return this.#facts;
  }

  /**
   * Awaits the reply of the next command. Its first packet goes on numbering where the command ended:
   * at 1, or at the number of packets of a command beyond 16 MiB.
   */
  start(shape: ReplyShape, firstSequence = 1): void {
    this.#phase = FIRST_PHASE[shape];
    this.#skip = 0;
    this.#continues = false;
    this.#sequence = firstSequence & 0xff;
    this.#scratchBytes = 0;
    this.#capturing = 0;
    this.#definitionsLeft = 0;
  }

  /**
   * Reads `chunk` from `from` on. Returns the offset just behind the reply, or REPLY_GOES_ON.
   * Throws `MalformedPacket` when the bytes cannot be a reply: the connection must be closed.
   */
  feed(chunk: Buffer, from: number): number {
    const end = chunk.length;
    let at = from;
    for (;;) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, end - at);
        this.#skip -= passed;
        at += passed;
      } else if (this.#capturing > 0) {
        at = this.#capture(chunk, at);
        if (this.#capturing === 0 && this.#isLast(this.#takeScratch())) return at;
      }
      if (at >= end) return REPLY_GOES_ON;
      if (this.#scratchBytes === 0 && end - at > PACKET_HEADER_BYTES) {
        this.#length = lengthAt(chunk, at);
        this.#packetSequence = chunk[at + 3] ?? 0;
        at += PACKET_HEADER_BYTES;
      } else {
        at = this.#cutHeader(chunk, at);
        if (this.#scratchBytes < PACKET_HEADER_BYTES) return REPLY_GOES_ON;
        // What the packet is depends on its first byte: its header waits for that.
        if (at === end && this.#length > 0) return REPLY_GOES_ON;
        this.#scratchBytes = 0;
      }
      const length = this.#length;
      if (!this.#mayBeLast(length, length > 0 ? (chunk[at] ?? 0) : EMPTY_PACKET)) {
        this.#skip = length;
      } else if (end - at >= length) {
        const payload = chunk.subarray(at, at + length);
        at += length;
        if (this.#isLast(payload)) return at;
      } else {
        this.#startCapture(length);
      }
    }
  }

  #cutHeader(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#scratchBytes < PACKET_HEADER_BYTES) {
      this.#scratch[this.#scratchBytes++] = chunk[at++] ?? 0;
    }
    this.#length = lengthAt(this.#scratch, 0);
    this.#packetSequence = this.#scratch[3] ?? 0;
    return at;
  }

  #startCapture(length: number): void {
    if (length > CAPTURE_BYTES_MAX) throw new MalformedPacket(`an end packet of ${length} bytes`);
    if (length > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(CAPTURE_BYTES_MAX);
    this.#capturing = length;
    this.#scratchBytes = 0;
  }

  #capture(chunk: Buffer, at: number): number {
    const copied = Math.min(this.#capturing, chunk.length - at);
    chunk.copy(this.#scratch, this.#scratchBytes, at, at + copied);
    this.#scratchBytes += copied;
    this.#capturing -= copied;
    return at + copied;
  }

  #takeScratch(): Buffer {
    const captured = this.#scratch.subarray(0, this.#scratchBytes);
    this.#scratchBytes = 0;
    return captured;
  }

  // Called once for each packet. Moves on over packets that are passed unseen; true for those that
  // must be read whole by #isLast.
  #mayBeLast(length: number, first: number): boolean {
    const sequence = this.#packetSequence;
    if (sequence !== this.#sequence) {
      throw new MalformedPacket(`a reply packet is number ${sequence}, not ${this.#sequence}`);
    }
    this.#sequence = (sequence + 1) & 0xff;
    const continues = this.#continues;
    this.#continues = length === PACKET_PAYLOAD_MAX;
    if (continues) return false;
    switch (this.#phase) {
      case FIRST:
        if (first === OK_MARKER || first === ERR_MARKER) return true;
        if (first === LOCAL_INFILE_MARKER) {
          throw new MalformedPacket('the server asks for a local file, which was never offered');
        }
        if (first === EOF_MARKER && length < EOF_PAYLOAD_LIMIT) return true;
        if (first === EMPTY_PACKET)
          throw new MalformedPacket('a reply begins with an empty packet');
        this.#phase = COLUMNS;
        return false;
      case COLUMNS:
      case ROWS:
        return first === ERR_MARKER || (first === EOF_MARKER && length < EOF_PAYLOAD_LIMIT);
      case PREPARED_DEFINITIONS:
        return first === EOF_MARKER && length < EOF_PAYLOAD_LIMIT;
      default:
        // PREPARED and TEXT: one packet.
        return true;
    }
  }

  #isLast(payload: Buffer): boolean {
    const first = payload[0];
    if (this.#phase === TEXT && first !== ERR_MARKER) return this.#end(NO_FACTS);
    if (first === ERR_MARKER) {
      return this.#end({ ...NO_FACTS, kind: 'error', error: decodeErr(payload) });
    }
    switch (this.#phase) {
      case FIRST:
        return first === OK_MARKER ? this.#isLastOk(payload) : this.#isLastEof(payload, 'ok');
      case COLUMNS:
        this.#phase = ROWS;
        return false;
      case ROWS:
        return this.#isLastEof(payload, 'rows');
      case PREPARED:
        return this.#isLastOfPrepare(payload);
      default:
        this.#definitionsLeft -= 1;
        return this.#definitionsLeft === 0 && this.#end(this.#facts);
    }
  }

  #isLastOk(payload: Buffer): boolean {
    const ok = decodeOk(payload);
    if ((ok.statusFlags & SERVER_MORE_RESULTS_EXISTS) !== 0) return false;
    return this.#end({ ...NO_FACTS, ...ok });
  }

  // COM_SET_OPTION is answered by a lone EOF, which counts as OK.
  #isLastEof(payload: Buffer, kind: 'ok' | 'rows'): boolean {
    const eof = decodeEof(payload);
    if ((eof.statusFlags & SERVER_MORE_RESULTS_EXISTS) === 0) {
      return this.#end({ ...NO_FACTS, ...eof, kind });
    }
    this.#phase = FIRST;
    return false;
  }

  // COM_STMT_PREPARE_OK: status 1, statement 4, columns 2, parameters 2, filler 1, warnings 2.
  #isLastOfPrepare(payload: Buffer): boolean {
    if (payload[0] !== OK_MARKER || payload.length < 9) {
      throw new MalformedPacket('no answer to COM_STMT_PREPARE');
    }
    const warningCount = payload.length >= 12 ? payload.readUInt16LE(10) : 0;
    const facts: ReplyFacts = { ...NO_FACTS, warningCount };
    if (payload.readUInt16LE(5) > 0) this.#definitionsLeft += 1;
    if (payload.readUInt16LE(7) > 0) this.#definitionsLeft += 1;
    if (this.#definitionsLeft === 0) return this.#end(facts);
    this.#facts = facts;
    this.#phase = PREPARED_DEFINITIONS;
    return false;
  }

  #end(facts: ReplyFacts): true {
    this.#facts = facts;
    return true;
  }
}

/** Nothing was said: what a reply begins as, and what a command without a reply ends as. */
export const NO_FACTS: ReplyFacts = {
  kind: 'ok',
  statusFlags: undefined,
  warningCount: 0,
  affectedRows: 0,
  lastInsertId: 0,
  info: '',
  error: undefined,
};

const FIRST_PHASE: Readonly<Record<ReplyShape, number>> = {
  result: FIRST,
  'field-list': ROWS,
  prepare: PREPARED,
  text: TEXT,
  none: FIRST,
};

function lengthAt(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
}
