import { MalformedPacket, PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/** "length of fixed length fields", always this. */
const FIXED_FIELDS_BYTES = 0x0c;
const NULL_MARKER = 0xfb;

/** Protocol::ColumnDefinition41. */
export interface ColumnDefinition {
  readonly catalog: string;
  readonly schema: string;
  /** Alias of the table and name of the stored one. */
  readonly table: string;
  readonly orgTable: string;
  readonly name: string;
  readonly orgName: string;
  readonly collationId: number;
  /** Largest length in bytes. */
  readonly columnLength: number;
  /** MYSQL_TYPE_…. */
  readonly type: number;
  readonly flags: number;
  /** 0 for integers and static strings, 0x1f for doubles and dynamic strings, else the scale. */
  readonly decimals: number;
}

export function encodeColumnDefinition(column: ColumnDefinition, writer: PacketWriter): void {
  writer.lengthEncodedBytes(column.catalog).lengthEncodedBytes(column.schema);
  writer.lengthEncodedBytes(column.table).lengthEncodedBytes(column.orgTable);
  writer.lengthEncodedBytes(column.name).lengthEncodedBytes(column.orgName);
  writer.lengthEncoded(FIXED_FIELDS_BYTES).uint16(column.collationId).uint32(column.columnLength);
  writer.uint8(column.type).uint16(column.flags).uint8(column.decimals).zeros(2);
}

export function decodeColumnDefinition(payload: Buffer): ColumnDefinition {
  const reader = new PacketReader(payload);
  const catalog = reader.lengthEncodedBytes().toString();
  const schema = reader.lengthEncodedBytes().toString();
  const table = reader.lengthEncodedBytes().toString();
  const orgTable = reader.lengthEncodedBytes().toString();
  const name = reader.lengthEncodedBytes().toString();
  const orgName = reader.lengthEncodedBytes().toString();
  reader.lengthEncoded();
  const collationId = reader.uint16();
  const columnLength = reader.uint32();
  const type = reader.uint8();
  const flags = reader.uint16();
  const decimals = reader.uint8();
  const names = { catalog, schema, table, orgTable, name, orgName };
  return { ...names, collationId, columnLength, type, flags, decimals };
}

/** The first packet of a result set. */
export function encodeColumnCount(count: number, writer: PacketWriter): void {
  writer.lengthEncoded(count);
}

export function decodeColumnCount(payload: Buffer): number {
  const count = new PacketReader(payload).lengthEncoded();
  if (typeof count === 'bigint') throw new MalformedPacket('more columns than can be counted');
  return count;
}

/** ProtocolText::ResultsetRow; `undefined` is NULL. */
export function encodeTextRow(
  values: readonly (Buffer | string | undefined)[],
  writer: PacketWriter,
): void {
  for (const value of values) writer.lengthEncodedBytes(value);
}

/** The field as a view of the row; undefined when it is NULL. Walks the fields before it. */
export function textRowField(row: Buffer, index: number): Buffer | undefined {
  const cursor = new TextRowCursor(row);
  for (let passed = 0; passed <= index; passed++) {
    if (!cursor.advance()) throw new MalformedPacket(`a row has no field ${index}`);
  }
  return cursor.bytes();
}

/** All fields as views of the row. */
export function decodeTextRow(row: Buffer): (Buffer | undefined)[] {
  const fields: (Buffer | undefined)[] = [];
  const reader = new PacketReader(row);
  while (reader.remaining > 0) fields.push(reader.nullableBytes());
  return fields;
}

/** Walks the fields of a text row once, without making an object of each. Reusable by `open`. */
export class TextRowCursor {
  #row: Buffer;
  #fieldStart = 0;
  #start = 0;
  #end = 0;
  #isNull = false;

  constructor(row: Buffer) {
    this.#row = row;
  }

  open(row: Buffer): this {
    this.#row = row;
    this.#fieldStart = 0;
    this.#start = 0;
    this.#end = 0;
    this.#isNull = false;
    return this;
  }

  /** Moves to the next field (the first one at first); false behind the last. */
  advance(): boolean {
    const row = this.#row;
    const at = this.#end;
    const first = row[at];
    if (first === undefined) return false;
    this.#fieldStart = at;
    this.#isNull = first === NULL_MARKER;
    if (first <= NULL_MARKER) {
      this.#start = at + 1;
      this.#end = this.#isNull ? at + 1 : at + 1 + first;
    } else {
      const reader = new PacketReader(row, at);
      const length = Number(reader.lengthEncoded());
      this.#start = reader.position;
      this.#end = this.#start + length;
    }
    if (this.#end > row.length) throw new MalformedPacket('a field longer than its row');
    return true;
  }

  get isNull(): boolean {
    return this.#isNull;
  }

  /** Where the field with its length begins: the bytes up to `end` can be copied into another row. */
  get fieldStart(): number {
    return this.#fieldStart;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** The value as a view; undefined when it is NULL. */
  bytes(): Buffer | undefined {
    return this.#isNull ? undefined : this.#row.subarray(this.#start, this.#end);
  }
}
