import { isUtf8 } from 'node:buffer';
import { ProxyError } from '../errors/proxy-error.ts';
import type { LexicalContext } from '../sql/statement.ts';
import {
  MYSQL_TYPE_BLOB,
  MYSQL_TYPE_DATE,
  MYSQL_TYPE_DATETIME,
  MYSQL_TYPE_DECIMAL,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_GEOMETRY,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONG_BLOB,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_MEDIUM_BLOB,
  MYSQL_TYPE_NEWDATE,
  MYSQL_TYPE_NEWDECIMAL,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_TIME,
  MYSQL_TYPE_TIMESTAMP,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_TINY_BLOB,
  MYSQL_TYPE_YEAR,
} from '../wire/column-types.ts';
import { MalformedPacket } from '../wire/packet-reader.ts';
import type { Parameter } from '../wire/statement-packets.ts';
import type { ParameterPlace, ParameterUse } from './parameter-places.ts';

/** How literals are read by who gets the text. */
export interface BindRules {
  readonly lexical: LexicalContext;
  /** False: the client's character set is one in which all bytes mean something. */
  readonly readsAsUtf8: boolean;
}

/** From here on integers have another text as doubles (1e15). */
const PLAIN_INTEGER_LIMIT = 1e15;
const QUOTE = 0x27;
const BACKSLASH = 0x5c;
const SPACE = Buffer.from(' ');

/** For planning before there are values: every parameter is 1. */
export function bindSample(text: Buffer, places: readonly ParameterPlace[]): Buffer {
  const one: Parameter = { type: MYSQL_TYPE_TINY, unsigned: false, bytes: Buffer.from([1]) };
  const lexical = { flavour: 'mariadb' } as LexicalContext;
  return bindParameters(
    text,
    places,
    places.map(() => one),
    { lexical, readsAsUtf8: true },
  );
}

/**
 * The text with a literal in place of each `?`: of the same value and, but for whole numbers that
 * came as doubles, of the same type. Spaces around keep it apart from its neighbours.
 */
export function bindParameters(
  text: Buffer,
  places: readonly ParameterPlace[],
  parameters: readonly Parameter[],
  rules: BindRules,
): Buffer {
  const parts: Buffer[] = [];
  let copied = 0;
  for (let index = 0; index < places.length; index++) {
    const { start, end, use } = places[index] as ParameterPlace;
    const literal = literalOf(parameters[index] as Parameter, use, rules);
    parts.push(text.subarray(copied, start), SPACE);
    parts.push(typeof literal === 'string' ? Buffer.from(literal, 'latin1') : literal, SPACE);
    copied = end;
  }
  parts.push(text.subarray(copied));
  return Buffer.concat(parts);
}

function literalOf(parameter: Parameter, use: ParameterUse, rules: BindRules): Buffer | string {
  const { type, unsigned, bytes } = parameter;
  if (bytes === undefined) return 'NULL';
  // MariaDB takes a number there for the number of a column, as in a text; MySQL for a constant.
  if (use === 'position' && rules.lexical.flavour === 'mysql') return 'NULL';
  switch (type) {
    case MYSQL_TYPE_TINY:
      return String(unsigned ? bytes.readUInt8() : bytes.readInt8());
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
      return String(unsigned ? bytes.readUInt16LE() : bytes.readInt16LE());
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_INT24:
      return String(unsigned ? bytes.readUInt32LE() : bytes.readInt32LE());
    case MYSQL_TYPE_LONGLONG:
      return String(unsigned ? bytes.readBigUInt64LE() : bytes.readBigInt64LE());
    case MYSQL_TYPE_FLOAT:
      return doubleLiteral(bytes.readFloatLE(), use);
    case MYSQL_TYPE_DOUBLE:
      return doubleLiteral(bytes.readDoubleLE(), use);
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
      return datetimeLiteral(bytes, type);
    case MYSQL_TYPE_TIME:
      return timeLiteral(bytes);
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
      return decimalLiteral(bytes, use) ?? textLiteral(bytes, rules);
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB:
    case MYSQL_TYPE_GEOMETRY:
      return binaryLiteral(bytes, rules);
    default:
      return use === 'limit' && /^\d+$/.test(bytes.toString('latin1'))
        ? bytes
        : textLiteral(bytes, rules);
  }
}

function doubleLiteral(value: number, use: ParameterUse): string {
  if (!Number.isFinite(value)) {
    throw new ProxyError('ER_WRONG_ARGUMENTS', 'Incorrect arguments to mysqld_stmt_execute');
  }
  const isWhole = Number.isInteger(value) && Math.abs(value) < PLAIN_INTEGER_LIMIT;
  if (isWhole && (use === 'value' || use === 'limit')) return String(value + 0);
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return digits.includes('e') ? digits : `${digits}e0`;
}

function decimalLiteral(bytes: Buffer, use: ParameterUse): string | undefined {
  const text = bytes.toString('latin1');
  if (!/^-?\d+(?:\.\d*)?$/.test(text)) return undefined;
  // Digits alone would be an integer.
  return text.includes('.') || use === 'value' || use === 'limit' ? text : `${text}.`;
}

// Dates with a zero in them are no literals in strict modes, but text that columns may take.
function datetimeLiteral(bytes: Buffer, type: number): string {
  const isDate = type === MYSQL_TYPE_DATE || type === MYSQL_TYPE_NEWDATE;
  if (bytes.length === 0) return isDate ? "'0000-00-00'" : "'0000-00-00 00:00:00'";
  if (bytes.length !== 4 && bytes.length !== 7 && bytes.length !== 11) throw noTemporal();
  const [year, month, day] = [bytes.readUInt16LE(), bytes.readUInt8(2), bytes.readUInt8(3)];
  const date = `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`;
  const time = isDate ? '' : ` ${clock(bytes, 4)}`;
  const isReal = year > 0 && month > 0 && day > 0;
  if (!isReal) return `'${date}${time}'`;
  return isDate ? `DATE'${date}'` : `TIMESTAMP'${date}${time}'`;
}

function timeLiteral(bytes: Buffer): string {
  if (bytes.length === 0) return "TIME'00:00:00'";
  if (bytes.length !== 8 && bytes.length !== 12) throw noTemporal();
  const sign = bytes[0] === 0 ? '' : '-';
  const hours = bytes.readUInt32LE(1) * 24 + bytes.readUInt8(5);
  return `TIME'${sign}${padded(hours, 2)}${clock(bytes, 5).slice(2)}'`;
}

/** Hours, minutes, seconds and microseconds, as many as there are. */
function clock(bytes: Buffer, at: number): string {
  if (bytes.length <= at) return '00:00:00';
  const [hour = 0, minute = 0, second = 0] = bytes.subarray(at, at + 3);
  const micros = bytes.length > at + 3 ? bytes.readUInt32LE(at + 3) : 0;
  const fraction = micros === 0 ? '' : `.${padded(micros, 6)}`;
  return `${padded(hour, 2)}:${padded(minute, 2)}:${padded(second, 2)}${fraction}`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

function noTemporal(): MalformedPacket {
  return new MalformedPacket('a date or time of a length that none has');
}

function textLiteral(bytes: Buffer, rules: BindRules): Buffer {
  // Bytes that are no text of the character set would be cut or refused as a literal.
  if (rules.readsAsUtf8 && !isUtf8(bytes)) return binaryLiteral(bytes, rules);
  return quoted(bytes, "'", rules);
}

function binaryLiteral(bytes: Buffer, rules: BindRules): Buffer {
  return quoted(bytes, "_binary'", rules);
}

function quoted(bytes: Buffer, opening: string, { lexical }: BindRules): Buffer {
  const out = Buffer.allocUnsafe(opening.length + 2 * bytes.length + 1);
  let length = out.write(opening, 'latin1');
  for (const byte of bytes) {
    if (byte === QUOTE) out[length++] = QUOTE;
    else if (byte === BACKSLASH && !lexical.noBackslashEscapes) out[length++] = BACKSLASH;
    out[length++] = byte;
  }
  out[length++] = QUOTE;
  return out.subarray(0, length);
}
