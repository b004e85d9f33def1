import { MalformedPacket } from '../wire/packet-reader.ts';

/** Start of a field that is NULL. */
const NULL_START = -1;
const NULL_MARKER = 0xfb;
const TWO_BYTES_FOLLOW = 0xfc;
const THREE_BYTES_FOLLOW = 0xfd;
/** Integers of so many digits are exact as `number`. */
const EXACT_DIGITS = 15;
const DIGIT_ZERO = 0x30;
const MINUS = 0x2d;

/**
 * Where the first `count` fields of a text row lie. One object serves a whole result: `read` takes
 * the next row and forgets the one before. Merging reads every row of every shard, so this is
 * written for speed: no object a field, numbers straight from the bytes.
 */
export class RowFields {
  readonly count: number;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** Where each field with its length begins, and where the last one ends. */
  readonly #borders: Int32Array;
  #row: Buffer = Buffer.alloc(0);

  constructor(count: number) {
    this.count = count;
    this.#starts = new Int32Array(count);
    this.#ends = new Int32Array(count);
    this.#borders = new Int32Array(count + 1);
  }

  read(row: Buffer): this {
    const starts = this.#starts;
    const ends = this.#ends;
    const borders = this.#borders;
    const count = this.count;
    this.#row = row;
    let at = 0;
    for (let index = 0; index < count; index++) {
      borders[index] = at;
      const first = row[at];
      if (first === undefined) throw new MalformedPacket(`a row has no field ${index}`);
      at += 1;
      if (first === NULL_MARKER) {
        starts[index] = NULL_START;
      } else {
        let length = first;
        if (first > NULL_MARKER) {
          length = longLength(row, at - 1);
          at += first === TWO_BYTES_FOLLOW ? 2 : first === THREE_BYTES_FOLLOW ? 3 : 8;
        }
        starts[index] = at;
        at += length;
      }
      ends[index] = at;
      if (at > row.length) throw new MalformedPacket('a field longer than its row');
    }
    borders[count] = at;
    return this;
  }

  isNull(index: number): boolean {
    return this.#starts[index] === NULL_START;
  }

  /** The value as text with one character a byte, as numbers, times and weights are compared. */
  latin1(index: number): string | undefined {
    const start = this.#starts[index] as number;
    if (start === NULL_START) return undefined;
    return this.#row.toString('latin1', start, this.#ends[index]);
  }

  /** The value's bytes in hexadecimal. */
  hex(index: number): string | undefined {
    const start = this.#starts[index] as number;
    if (start === NULL_START) return undefined;
    return this.#row.toString('hex', start, this.#ends[index]);
  }

  /** The value of an integer column; `bigint` only beyond 2^53. */
  integer(index: number): number | bigint | undefined {
    const start = this.#starts[index] as number;
    if (start === NULL_START) return undefined;
    const end = this.#ends[index] as number;
    if (end - start > EXACT_DIGITS) return exactInteger(this.#row.toString('latin1', start, end));
    const row = this.#row;
    const negative = row[start] === MINUS;
    let value = 0;
    for (let at = negative ? start + 1 : start; at < end; at++) {
      value = value * 10 + ((row[at] as number) - DIGIT_ZERO);
    }
    return negative && value !== 0 ? -value : value;
  }

  /** The fields from `first` up to `end`, with their lengths: as they stand in a row. */
  encoded(first: number, end: number): Buffer {
    return this.#row.subarray(this.#borders[first], this.#borders[end]);
  }
}

/** Yields the rows without their hidden last fields. */
export class RowCutter {
  readonly #fields: RowFields;

  constructor(visible: number) {
    this.#fields = new RowFields(visible);
  }

  cut(row: Buffer): Buffer {
    return this.#fields.read(row).encoded(0, this.#fields.count);
  }
}

function longLength(row: Buffer, at: number): number {
  switch (row[at]) {
    case TWO_BYTES_FOLLOW:
      return row.readUInt16LE(at + 1);
    case THREE_BYTES_FOLLOW:
      return row.readUIntLE(at + 1, 3);
    default:
      return Number(row.readBigUInt64LE(at + 1));
  }
}

function exactInteger(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}
