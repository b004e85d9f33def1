import { notSupported } from '../errors/proxy-error.ts';
import { HIDDEN_BASE, type MergeKey } from '../plan/plan.ts';
import {
  MYSQL_TYPE_BIT,
  MYSQL_TYPE_DATE,
  MYSQL_TYPE_DATETIME,
  MYSQL_TYPE_DECIMAL,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_GEOMETRY,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_JSON,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NEWDATE,
  MYSQL_TYPE_NEWDECIMAL,
  MYSQL_TYPE_NULL,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_TIME,
  MYSQL_TYPE_TIMESTAMP,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_VECTOR,
  MYSQL_TYPE_YEAR,
} from '../wire/column-types.ts';
import type { ColumnDefinition } from '../wire/result-set-packets.ts';
import { canonicalDecimal, compareCanonicalDecimals } from './exact-number.ts';
import type { RowFields } from './row-fields.ts';

/**
 * A field brought to the form in which equal values are equal: integers as `number` (`bigint`
 * beyond 2^53), doubles as `number`, TIME as microseconds, decimals canonical text, dates their
 * text, text and bytes one character a byte. NULL is `null`.
 */
export type SortValue = number | bigint | string | null;

/** How values of one column are read and compared. */
export type ValueKind =
  | 'integer'
  | 'decimal'
  | 'double'
  /** 'YYYY-MM-DD hh:mm:ss.ffffff', which sorts as text. */
  | 'date'
  | 'time'
  | 'bytes';

export type SortColumn = {
  /** Index in the shard's row of what is compared: the value or its weight string. */
  readonly index: number;
  readonly kind: ValueKind;
  /** Weight of a space, for weights of PAD SPACE collations; '' for none. */
  readonly pad: string;
  readonly descending: boolean;
};

export type SortKey = readonly SortValue[];

const TIME_TEXT = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/;
const MICROSECOND_DIGITS = 6;

/** Which columns of the shards' rows are compared, and how, now that their types are known. */
export function sortColumns(
  keys: readonly MergeKey[],
  columns: readonly ColumnDefinition[],
  hiddenColumns: number,
): readonly SortColumn[] {
  return keys.map((key) => sortColumn(key, columns, hiddenColumns));
}

export function sortColumn(
  key: Omit<MergeKey, 'descending'> & { readonly descending?: boolean },
  columns: readonly ColumnDefinition[],
  hiddenColumns: number,
): SortColumn {
  const place = (index: number) => columnIndex(index, columns.length, hiddenColumns);
  const index = place(key.column);
  const column = columns[index];
  if (column === undefined) throw new Error(`no column ${key.column} to sort by`);
  const kind = valueKind(column);
  const descending = key.descending ?? false;
  if (kind !== 'bytes' || key.weightColumn === undefined || column.type === MYSQL_TYPE_BIT) {
    return { index, kind, pad: '', descending };
  }
  return { index: place(key.weightColumn), kind, pad: key.padWeight ?? '', descending };
}

/** Plans count hidden columns from HIDDEN_BASE, since `SELECT *` has an unknown number before. */
export function columnIndex(index: number, columnCount: number, hiddenColumns: number): number {
  return index < HIDDEN_BASE ? index : columnCount - hiddenColumns + (index - HIDDEN_BASE);
}

/**
 * A FLOAT travels with 6 digits while shards compare all it has: equal text is no equal value. As
 * the last key of an order that does not show; elsewhere rows would come out wrong.
 */
export function refuseInexactKeys(
  keys: readonly SortColumn[],
  columns: readonly ColumnDefinition[],
  use: 'sort' | 'equality',
): void {
  keys.forEach((key, position) => {
    const column = columns[key.index];
    if (column?.type !== MYSQL_TYPE_FLOAT) return;
    if (use === 'sort' && position === keys.length - 1) return;
    throw notSupported(
      `ordering or grouping by the FLOAT column '${column.name}' over several shards; use ${column.name} + 0e0`,
    );
  });
}

export function valueKind(column: ColumnDefinition): ValueKind {
  switch (column.type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
      return 'integer';
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
      return 'decimal';
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
      return 'double';
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
      return 'date';
    case MYSQL_TYPE_TIME:
      return 'time';
    case MYSQL_TYPE_JSON:
    case MYSQL_TYPE_GEOMETRY:
    case MYSQL_TYPE_VECTOR:
      throw notSupported(
        `ordering, grouping or comparing JSON, geometry or vector values ('${column.name}') over several shards`,
      );
    case MYSQL_TYPE_NULL:
      return 'bytes';
    default:
      return 'bytes';
  }
}

export function readSortKey(fields: RowFields, columns: readonly SortColumn[]): SortValue[] {
  const key: SortValue[] = new Array(columns.length);
  for (let at = 0; at < columns.length; at++) {
    key[at] = readSortValue(fields, columns[at] as SortColumn);
  }
  return key;
}

export function readSortValue(fields: RowFields, column: SortColumn): SortValue {
  if (column.kind === 'integer') return fields.integer(column.index) ?? null;
  const text = fields.latin1(column.index);
  if (text === undefined) return null;
  switch (column.kind) {
    case 'decimal':
      return canonicalDecimal(text);
    case 'double':
      return Number(text);
    case 'date':
      return text;
    case 'time':
      return timeMicroseconds(text);
    case 'bytes':
      return column.pad === '' ? text : withoutPad(text, column.pad);
  }
}

/** How many fields of a row have to be found to read these. */
export function fieldsNeeded(columns: readonly SortColumn[]): number {
  return columns.reduce((most, column) => Math.max(most, column.index + 1), 0);
}

/** Text that two keys share exactly when MySQL holds their values to be equal. */
export function equalityText(key: SortKey): string {
  let text = '';
  for (const value of key) {
    if (value === null) {
      text += 'N';
    } else {
      const part = typeof value === 'string' ? value : String(value);
      text += `${part.length}:${part}`;
    }
  }
  return text;
}

/** Compares two keys as the shards did: NULL before everything, all of it turned round by DESC. */
export function compareSortKeys(a: SortKey, b: SortKey, columns: readonly SortColumn[]): number {
  for (let at = 0; at < columns.length; at++) {
    const column = columns[at] as SortColumn;
    const order = compareSortValues(a[at] as SortValue, b[at] as SortValue, column);
    if (order !== 0) return column.descending ? -order : order;
  }
  return 0;
}

export function compareSortValues(a: SortValue, b: SortValue, column: SortColumn): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (column.kind === 'decimal') return compareCanonicalDecimals(a as string, b as string);
  if (column.pad !== '') return comparePadded(a as string, b as string, column.pad);
  // Numbers and bigints compare by value with each other, strings by bytes.
  return a < b ? -1 : a > b ? 1 : 0;
}

function timeMicroseconds(text: string): number {
  const match = TIME_TEXT.exec(text);
  if (match === null) throw new Error(`'${text}' is no TIME`);
  const [, sign, hours, minutes, seconds, fraction = ''] = match;
  const whole = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  const value = whole * 1e6 + Number(fraction.padEnd(MICROSECOND_DIGITS, '0'));
  return sign === '-' && value !== 0 ? -value : value;
}

/** 'a' and 'a ' are equal under PAD SPACE: trailing weights of spaces say nothing. */
function withoutPad(weights: string, pad: string): string {
  if (weights.length % pad.length !== 0) return weights;
  let end = weights.length;
  while (end >= pad.length && weights.startsWith(pad, end - pad.length)) end -= pad.length;
  return end === weights.length ? weights : weights.slice(0, end);
}

/** As if the shorter weights went on in spaces: 'a' sorts behind 'a\t'. */
function comparePadded(a: string, b: string, pad: string): number {
  if (b.startsWith(a)) return -compareRestWithPad(b, a.length, pad);
  if (a.startsWith(b)) return compareRestWithPad(a, b.length, pad);
  return a < b ? -1 : 1;
}

function compareRestWithPad(longer: string, from: number, pad: string): number {
  for (let at = from; at < longer.length; at++) {
    const difference = longer.charCodeAt(at) - pad.charCodeAt((at - from) % pad.length);
    if (difference !== 0) return difference;
  }
  return 0;
}
