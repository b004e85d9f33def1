/** Bytes that are no packet of the protocol. The connection they came from cannot be trusted further. */
export class MalformedPacket extends Error {
  override readonly name = 'MalformedPacket';
}

const NULL_MARKER = 0xfb;
const TWO_BYTES_FOLLOW = 0xfc;
const THREE_BYTES_FOLLOW = 0xfd;
const EIGHT_BYTES_FOLLOW = 0xfe;

/**
 * Reads the fields of one payload in order and checks bounds on every read. Buffers it returns are
 * views of the payload.
 */
export class PacketReader {
  readonly #bytes: Buffer;
  #position: number;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#advance(2));
  }

  uint24(): number {
    return this.#bytes.readUIntLE(this.#advance(3), 3);
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  uint64(): number | bigint {
    const value = this.#bytes.readBigUInt64LE(this.#advance(8));
    return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  /** int<lenenc>; `bigint` only beyond 2^53. */
  lengthEncoded(): number | bigint {
    const first = this.uint8();
    if (first < NULL_MARKER) return first;
    switch (first) {
      case TWO_BYTES_FOLLOW:
        return this.uint16();
      case THREE_BYTES_FOLLOW:
        return this.uint24();
      case EIGHT_BYTES_FOLLOW:
        return this.uint64();
      default:
        throw new MalformedPacket(`0x${first.toString(16)} begins no length-encoded integer`);
    }
  }

  /** string<lenenc>. */
  lengthEncodedBytes(): Buffer {
    const length = this.lengthEncoded();
    if (typeof length === 'bigint') throw new MalformedPacket('a string longer than its packet');
    return this.bytes(length);
  }

  /** string<lenenc> of a text row; `undefined` is NULL. */
  nullableBytes(): Buffer | undefined {
    if (this.remaining > 0 && this.#bytes[this.#position] === NULL_MARKER) {
      this.#position += 1;
      return undefined;
    }
    return this.lengthEncodedBytes();
  }

  bytes(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** string<NUL>, without the NUL. */
  nullTerminated(): Buffer {
    const end = this.#bytes.indexOf(0, this.#position);
    if (end === -1) throw new MalformedPacket('a string without its closing NUL');
    const found = this.#bytes.subarray(this.#position, end);
    this.#position = end + 1;
    return found;
  }

  /** string<NUL> whose NUL some clients leave away at the end of a packet. */
  nullTerminatedOrRest(): Buffer {
    const end = this.#bytes.indexOf(0, this.#position);
    return end === -1 ? this.rest() : this.nullTerminated();
  }

  /** string<EOF>. */
  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  skip(length: number): this {
    this.#advance(length);
    return this;
  }

  #advance(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) {
      throw new MalformedPacket(
        `a packet of ${this.#bytes.length} bytes ends within a field at byte ${start}`,
      );
    }
    this.#position = start + length;
    return start;
  }
}
