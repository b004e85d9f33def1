import {
  MYSQL_TYPE_DATE,
  MYSQL_TYPE_DATETIME,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NEWDATE,
  MYSQL_TYPE_NULL,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_TIME,
  MYSQL_TYPE_TIMESTAMP,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_YEAR,
} from './column-types.ts';
import { MalformedPacket } from './packet-reader.ts';
import { PacketWriter } from './packet-writer.ts';
import { TextRowCursor } from './result-set-packets.ts';

const BINARY_ROW_MARKER = 0x00;
/** "The NULL bitmap of a binary row has an offset of 2". */
const BITMAP_OFFSET = 2;
/** Digits that a number holds without rounding. */
const EXACT_DIGITS = 15;
const HOURS_A_DAY = 24;

const DATE_LENGTH = 4;
const DATETIME_LENGTH = 7;
const DATETIME_MICROS_LENGTH = 11;
const TIME_LENGTH = 8;
const TIME_MICROS_LENGTH = 12;

type Column = { readonly type: number };

/** Makes rows of the binary protocol of rows of the text protocol, by the types of their columns. */
export class BinaryRows {
  readonly #types: readonly number[];
  readonly #writer = new PacketWriter();
  readonly #cursor = new TextRowCursor(Buffer.alloc(0));

  constructor(columns: readonly Column[]) {
    this.#types = columns.map((column) => column.type);
  }

  /**
   * Binary row of a text row, both without headers. FLOAT is the one type whose text is less than its
   * value: callers refuse it (see `hasInexactText`).
   */
  row(text: Buffer): Buffer {
    const types = this.#types;
    const cursor = this.#cursor.open(text);
    const bitmap = Buffer.alloc((types.length + BITMAP_OFFSET + 7) >> 3);
    const writer = this.#writer;
    writer.uint8(BINARY_ROW_MARKER).bytes(bitmap);
    for (let index = 0; index < types.length; index++) {
      if (!cursor.advance()) throw new MalformedPacket(`a row has no field ${index}`);
      const value = cursor.bytes();
      if (value === undefined || types[index] === MYSQL_TYPE_NULL) {
        const bit = index + BITMAP_OFFSET;
        bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
      } else {
        writeBinaryValue(types[index] as number, value, writer);
      }
    }
    const row = writer.take();
    bitmap.copy(row, 1);
    return row;
  }
}

/** Text of a FLOAT has six digits, its value seven and more. */
export function hasInexactText(column: Column): boolean {
  return column.type === MYSQL_TYPE_FLOAT;
}

/** One value of a binary row, from its text. */
export function writeBinaryValue(type: number, text: Buffer, writer: PacketWriter): void {
  switch (type) {
    case MYSQL_TYPE_TINY:
      writer.uint8(integerOf(text) & 0xff);
      return;
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
      writer.uint16(integerOf(text) & 0xffff);
      return;
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_INT24:
      writer.uint32(integerOf(text));
      return;
    case MYSQL_TYPE_LONGLONG:
      writer.uint64(BigInt.asUintN(64, bigIntegerOf(text)));
      return;
    case MYSQL_TYPE_FLOAT: {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(Number(text.toString('latin1')));
      writer.bytes(bytes);
      return;
    }
    case MYSQL_TYPE_DOUBLE: {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(Number(text.toString('latin1')));
      writer.bytes(bytes);
      return;
    }
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
      writeDatetime(text.toString('latin1'), writer);
      return;
    case MYSQL_TYPE_TIME:
      writeTime(text.toString('latin1'), writer);
      return;
    default:
      writer.lengthEncodedBytes(text);
  }
}

function integerOf(text: Buffer): number {
  const value = Number(text.toString('latin1'));
  if (!Number.isInteger(value)) throw new MalformedPacket('a number that is none');
  return value;
}

function bigIntegerOf(text: Buffer): bigint {
  const digits = text.toString('latin1');
  if (!/^-?\d+$/.test(digits)) throw new MalformedPacket('a number that is none');
  return digits.length <= EXACT_DIGITS ? BigInt(Number(digits)) : BigInt(digits);
}

const DATETIME = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

// Shorter forms stand for zeros: nothing, the date alone, no microseconds.
function writeDatetime(text: string, writer: PacketWriter): void {
  const parts = DATETIME.exec(text);
  if (parts === null) throw new MalformedPacket('a date that is none');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const micros = microsOf(parts[7]);
  const hasTime = hour + minute + second > 0;
  if (micros === 0 && !hasTime && year + month + day === 0) {
    writer.uint8(0);
    return;
  }
  const length = micros > 0 ? DATETIME_MICROS_LENGTH : hasTime ? DATETIME_LENGTH : DATE_LENGTH;
  writer.uint8(length).uint16(year).uint8(month).uint8(day);
  if (length > DATE_LENGTH) writer.uint8(hour).uint8(minute).uint8(second);
  if (length > DATETIME_LENGTH) writer.uint32(micros);
}

const TIME = /^(-?)(\d{2,3}):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/;

function writeTime(text: string, writer: PacketWriter): void {
  const parts = TIME.exec(text);
  if (parts === null) throw new MalformedPacket('a time that is none');
  const [hours = 0, minute = 0, second = 0] = parts.slice(2, 5).map(Number);
  const micros = microsOf(parts[5]);
  if (micros + hours + minute + second === 0) {
    writer.uint8(0);
    return;
  }
  writer.uint8(micros > 0 ? TIME_MICROS_LENGTH : TIME_LENGTH).uint8(parts[1] === '-' ? 1 : 0);
  writer.uint32(Math.floor(hours / HOURS_A_DAY)).uint8(hours % HOURS_A_DAY);
  writer.uint8(minute).uint8(second);
  if (micros > 0) writer.uint32(micros);
}

function microsOf(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(6, '0'));
}
