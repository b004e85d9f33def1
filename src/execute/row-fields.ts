import { MalformedPacket } from '../wire/packet-reader.ts';
import { TextRowCursor } from '../wire/result-set-packets.ts';

/** Start of a field that is NULL. */
const NULL_START = -1;

/**
 * Where the fields of a text row lie. One object serves a whole result: `read` takes the next row
 * and forgets the one before.
 */
export class RowFields {
  readonly count: number;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** Where each field with its length begins, and the end of the row. */
  readonly #borders: Int32Array;
  readonly #cursor = new TextRowCursor(Buffer.alloc(0));
  #row: Buffer = Buffer.alloc(0);

  constructor(count: number) {
    this.count = count;
    this.#starts = new Int32Array(count);
    this.#ends = new Int32Array(count);
    this.#borders = new Int32Array(count + 1);
  }

  read(row: Buffer): this {
    const cursor = this.#cursor.open(row);
    this.#row = row;
    for (let index = 0; index < this.count; index++) {
      if (!cursor.advance()) throw new MalformedPacket(`a row has no field ${index}`);
      this.#borders[index] = cursor.fieldStart;
      this.#starts[index] = cursor.isNull ? NULL_START : cursor.start;
      this.#ends[index] = cursor.end;
    }
    this.#borders[this.count] = row.length;
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

  /** The fields from `first` up to `end`, with their lengths: as they stand in a row. */
  encoded(first: number, end: number): Buffer {
    return this.#row.subarray(this.#borders[first], this.#borders[end]);
  }
}

/** Yields the rows without their last `hidden` of `count` fields. */
export class RowCutter {
  readonly #fields: RowFields;
  readonly #visible: number;

  constructor(options: { readonly count: number; readonly hidden: number }) {
    this.#visible = options.count - options.hidden;
    // Only the fields up to the first hidden one need to be found.
    this.#fields = new RowFields(Math.min(options.count, this.#visible + 1));
  }

  cut(row: Buffer): Buffer {
    return this.#fields.read(row).encoded(0, this.#visible);
  }
}
