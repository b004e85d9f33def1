import { isCodePointOrder, isNoPad } from './collation.ts';
import type { RoutingCaches, RoutingLookup } from './routing-caches.ts';
import type { KeyType, RoutingKey } from './strategy.ts';

/** As the statement's tree names them; topology stands beside sql and imports nothing from there. */
export type KeyLiteralType =
  | 'integer'
  | 'decimal'
  | 'float'
  | 'string'
  | 'hex'
  | 'bit'
  | 'null'
  | 'true'
  | 'false'
  | 'date'
  | 'time'
  | 'timestamp';

/** A literal or parameter as a value: what it is compared with or stored as. */
export interface KeyLiteral {
  readonly type: KeyLiteralType;
  /** A number's source text with its sign; a string's value, its escapes resolved. */
  readonly text: string;
}

export type KeyResult =
  | { readonly kind: 'key'; readonly key: RoutingKey }
  /** No row has a key equal to this: 7.5 for an INT, NULL. */
  | { readonly kind: 'no-row' }
  /** Nothing is known: a read asks all shards, an INSERT is refused. */
  | { readonly kind: 'unknown' }
  /** The shards have to be asked first. */
  | { readonly kind: 'lookup'; readonly lookup: RoutingLookup };

const NO_ROW: KeyResult = Object.freeze({ kind: 'no-row' });
const UNKNOWN: KeyResult = Object.freeze({ kind: 'unknown' });
const NULL_KEY: KeyResult = Object.freeze({ kind: 'key', key: null });

/** Decimals that differ in these digits differ as doubles too. */
const DOUBLE_DIGITS = 15;

/** The key that rows have for which `column = literal` is true. */
export function keyOfEqual(literal: KeyLiteral, type: KeyType, caches: RoutingCaches): KeyResult {
  if (literal.type === 'null') return NO_ROW;
  switch (type.kind) {
    case 'integer':
      return integerEqual(literal, type);
    case 'decimal':
      return decimalEqual(literal, type);
    case 'date':
      return literal.type === 'string' || literal.type === 'date'
        ? keyOfDate(literal.text)
        : UNKNOWN;
    case 'datetime':
      return isTemporal(literal.type) ? keyOfDatetime(literal.text, type.fraction) : UNKNOWN;
    case 'text':
      return literal.type === 'string' ? keyOfText(literal.text, type, caches) : UNKNOWN;
    case 'binary':
      return literal.type === 'string' ? keyOf(bytesOf(literal.text)) : UNKNOWN;
  }
}

/** The key of the row that an INSERT of the literal stores, whatever the sql_mode; else unknown. */
export function keyOfStored(literal: KeyLiteral, type: KeyType, caches: RoutingCaches): KeyResult {
  if (literal.type === 'null') return NULL_KEY;
  switch (type.kind) {
    case 'integer':
      return integerStored(literal, type);
    case 'decimal':
      return decimalStored(literal, type);
    case 'text':
      return literal.type === 'string' ? textStored(literal.text, type, caches) : UNKNOWN;
    case 'binary':
      return literal.type === 'string' ? binaryStored(literal.text, type) : UNKNOWN;
    default: {
      const result = keyOfEqual(literal, type, caches);
      return result.kind === 'no-row' ? UNKNOWN : result;
    }
  }
}

/** The key that stands where the literal stands in `column < literal` and its kin. */
export function keyOfBound(literal: KeyLiteral, type: KeyType, caches: RoutingCaches): KeyResult {
  // An integer out of the column's range is as good a bound as any: keys are plain numbers.
  if (type.kind === 'integer' && literal.type === 'integer') return keyOf(integerOf(literal.text));
  const result = keyOfEqual(literal, type, caches);
  return result.kind === 'no-row' && literal.type !== 'null' ? UNKNOWN : result;
}

type IntegerType = Extract<KeyType, { kind: 'integer' }>;
type DecimalType = Extract<KeyType, { kind: 'decimal' }>;
type TextType = Extract<KeyType, { kind: 'text' }>;
type BinaryType = Extract<KeyType, { kind: 'binary' }>;

function keyOf(key: RoutingKey): KeyResult {
  return { kind: 'key', key };
}

function integerEqual(literal: KeyLiteral, type: IntegerType): KeyResult {
  switch (literal.type) {
    case 'integer':
      return integerInRange(integerOf(literal.text), type);
    case 'true':
      return keyOf(1);
    case 'false':
      return keyOf(0);
    case 'decimal': {
      const decimal = canonicalDecimal(literal.text);
      if (decimal === undefined) return UNKNOWN;
      return decimal.includes('.') ? NO_ROW : integerInRange(integerOf(decimal), type);
    }
    case 'float': {
      // Compared as doubles: exact below 2^53; from there on several integers equal one double.
      const value = Number(literal.text);
      if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return UNKNOWN;
      return Number.isInteger(value) ? integerInRange(value + 0, type) : NO_ROW;
    }
    case 'string': {
      // Text that is plainly a number. '7abc' and '' equal numbers too, by rules not worth copying.
      const value = plainInteger(withoutBlanks(literal.text));
      return value === undefined ? UNKNOWN : integerInRange(value, type);
    }
    default:
      return UNKNOWN;
  }
}

/** What MySQL skips around a number in text. `trim` takes more away: no-break spaces, for instance. */
function withoutBlanks(text: string): string {
  return text.replace(/^[ \t\n\v\f\r]+/, '').replace(/[ \t\n\v\f\r]+$/, '');
}

function integerStored(literal: KeyLiteral, type: IntegerType): KeyResult {
  let result = integerEqual(literal, type);
  // As text a number is stored exactly, while a comparison may go by way of doubles.
  if (literal.type === 'string' && /^[+-]?\d{1,20}$/.test(literal.text)) {
    result = integerInRange(integerOf(literal.text), type);
  }
  return result.kind === 'no-row' ? UNKNOWN : result;
}

/** The integer that text means to both MySQL and us without rounding: at most 15 digits, `7`, `-07`, `7.0`. */
function plainInteger(text: string): number | undefined {
  return /^[+-]?\d{1,15}(?:\.0*)?$/.test(text) ? Number.parseInt(text, 10) + 0 : undefined;
}

/** `number` where it is exact, else `bigint`; never -0. */
export function integerOf(text: string): number | bigint {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value + 0;
  return BigInt(text.startsWith('+') ? text.slice(1) : text);
}

function integerInRange(value: number | bigint, type: IntegerType): KeyResult {
  if (type.bytes === 8) {
    const [low, high] = type.unsigned ? [0n, 2n ** 64n - 1n] : [-(2n ** 63n), 2n ** 63n - 1n];
    if (typeof value === 'number' && (value >= 0 || !type.unsigned)) return keyOf(value);
    return value >= low && value <= high ? keyOf(value) : NO_ROW;
  }
  const span = 2 ** (8 * type.bytes);
  const [low, high] = type.unsigned ? [0, span - 1] : [-span / 2, span / 2 - 1];
  return value >= low && value <= high ? keyOf(value) : NO_ROW;
}

function decimalEqual(literal: KeyLiteral, type: DecimalType): KeyResult {
  switch (literal.type) {
    case 'integer':
    case 'decimal': {
      const decimal = canonicalDecimal(literal.text);
      if (decimal === undefined) return UNKNOWN;
      return fitsDecimal(decimal, type) ? keyOf(decimal) : NO_ROW;
    }
    case 'string': {
      // Compared as doubles: one decimal a double, as long as all values are short.
      const decimal = canonicalDecimal(withoutBlanks(literal.text));
      if (decimal === undefined || type.precision > DOUBLE_DIGITS) return UNKNOWN;
      if (decimal.replace(/[-.]/g, '').length > DOUBLE_DIGITS) return UNKNOWN;
      return fitsDecimal(decimal, type) ? keyOf(decimal) : NO_ROW;
    }
    default:
      return UNKNOWN;
  }
}

function decimalStored(literal: KeyLiteral, type: DecimalType): KeyResult {
  if (literal.type !== 'integer' && literal.type !== 'decimal' && literal.type !== 'string') {
    return UNKNOWN;
  }
  const decimal = canonicalDecimal(literal.text);
  return decimal !== undefined && fitsDecimal(decimal, type) ? keyOf(decimal) : UNKNOWN;
}

/** `-007.50` is `-7.5`, `.5` is `0.5`, `-0.0` is `0`: one text a value. */
export function canonicalDecimal(text: string): string | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  if (match === null || !/\d/.test(text)) return undefined;
  const whole = (match[2] ?? '').replace(/^0+/, '') || '0';
  const fraction = (match[3] ?? '').replace(/0+$/, '');
  const digits = fraction === '' ? whole : `${whole}.${fraction}`;
  return match[1] === '-' && digits !== '0' ? `-${digits}` : digits;
}

function fitsDecimal(decimal: string, type: DecimalType): boolean {
  if (type.unsigned === true && decimal.startsWith('-')) return false;
  const [whole = '', fraction = ''] = decimal.replace('-', '').split('.');
  const wholeDigits = whole === '0' ? 0 : whole.length;
  return fraction.length <= type.scale && wholeDigits <= type.precision - type.scale;
}

function isTemporal(type: KeyLiteralType): boolean {
  return type === 'string' || type === 'date' || type === 'timestamp';
}

/** Dates in full, `2026-01-31`, only: MySQL reads many other spellings. */
function keyOfDate(text: string): KeyResult {
  return isDate(text) ? keyOf(text) : UNKNOWN;
}

function keyOfDatetime(text: string, fractionDigits: number): KeyResult {
  const match = /^(\d{4}-\d\d-\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/.exec(text);
  if (match === null) return UNKNOWN;
  const [, date = '', hour = '00', minute = '00', second = '00', fraction = ''] = match;
  if (!isDate(date) || hour > '23' || minute > '59' || second > '59') return UNKNOWN;
  // More digits than the column has are rounded when stored.
  if (/[1-9]/.test(fraction.slice(fractionDigits))) return UNKNOWN;
  return keyOf(`${date} ${hour}:${minute}:${second}.${fraction.padEnd(6, '0')}`);
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (year === 0 || month < 1 || month > 12 || day < 1) return false;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day <= days;
}

/**
 * Text that the column's character set lacks is compared in another set and collation: MariaDB finds 'a' = 'ä' in an
 * ascii_bin column when the connection's collation says so.
 */
function keyOfText(text: string, type: TextType, caches: RoutingCaches): KeyResult {
  const { charset, collation } = type;
  if (!isInCharset(text, charset)) return UNKNOWN;
  if (isCodePointOrder(collation)) {
    return keyOf(bytesOf(isNoPad(collation) ? text : text.replace(/ +$/, '')));
  }
  const weights = caches.weightOf(collation, text);
  if (weights !== undefined) return keyOf(weights);
  return { kind: 'lookup', lookup: { kind: 'weight', charset, collation, text } };
}

function textStored(text: string, type: TextType, caches: RoutingCaches): KeyResult {
  const { charsMax } = type;
  // The length of a string counts characters beyond U+FFFF twice.
  if (charsMax !== undefined && text.length > charsMax && [...text].length > charsMax)
    return UNKNOWN;
  return keyOfText(type.fixedLength ? text.replace(/ +$/, '') : text, type, caches);
}

/** True for text that certainly has a place in the character set. */
function isInCharset(text: string, charset: string): boolean {
  if (isAscii(text)) return true;
  switch (charset) {
    case 'utf8mb4':
    case 'utf16':
    case 'utf16le':
    case 'utf32':
    case 'gb18030':
      return text.isWellFormed();
    case 'utf8mb3':
    case 'utf8':
    case 'ucs2':
      return !/[\ud800-\udfff]/.test(text);
    case 'latin1':
      return /^[\0-\x7f\xa0-\xff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]*$/.test(text);
    default:
      return false;
  }
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

function binaryStored(text: string, type: BinaryType): KeyResult {
  const bytes = bytesOf(text);
  if (type.bytesMax !== undefined && bytes.length > type.bytesMax) return UNKNOWN;
  if (!type.fixedLength) return keyOf(bytes);
  return type.bytesMax === undefined ? UNKNOWN : keyOf(bytes.padEnd(type.bytesMax, '\0'));
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
