import { hasFaithfulWeights } from './collation.ts';
import type { KeyType } from './strategy.ts';

const INTEGER_BYTES: ReadonlyMap<string, 1 | 2 | 3 | 4 | 8> = new Map([
  ['tinyint', 1],
  ['smallint', 2],
  ['mediumint', 3],
  ['int', 4],
  ['bigint', 8],
]);

/** What information_schema.COLUMNS says of a column, as far as its use as a shard key depends on it. */
export interface ColumnFacts {
  readonly dataType: string;
  readonly columnType: string;
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  readonly lengthMax: number | undefined;
  readonly numericPrecision: number | undefined;
  readonly numericScale: number | undefined;
  readonly datetimePrecision: number | undefined;
}

/**
 * How values of a column can be a shard key. Not FLOAT and DOUBLE (equality is not exact), TIMESTAMP (its text
 * depends on the session's time zone), TIME, YEAR, BIT, ENUM, SET and JSON (each equal to many spellings).
 */
export function keyTypeOf(column: ColumnFacts): KeyType | undefined {
  const bytes = INTEGER_BYTES.get(column.dataType);
  // ZEROFILL implies UNSIGNED; not every server says so.
  const unsigned = /\b(?:unsigned|zerofill)\b/i.test(column.columnType);
  if (bytes !== undefined) return { kind: 'integer', unsigned, bytes };
  switch (column.dataType) {
    case 'decimal': {
      const { numericPrecision: precision, numericScale: scale } = column;
      if (precision === undefined || scale === undefined) return undefined;
      return { kind: 'decimal', precision, scale, unsigned };
    }
    case 'date':
      return { kind: 'date' };
    case 'datetime':
      return { kind: 'datetime', fraction: column.datetimePrecision ?? 0 };
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return textType(column);
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob': {
      const length = column.lengthMax === undefined ? {} : { bytesMax: column.lengthMax };
      return { kind: 'binary', ...length, fixedLength: column.dataType === 'binary' };
    }
    default:
      return undefined;
  }
}

function textType(column: ColumnFacts): KeyType | undefined {
  const { charset, collation, lengthMax } = column;
  if (charset === undefined || collation === undefined) return undefined;
  if (!hasFaithfulWeights(collation)) return undefined;
  const isText = column.dataType.endsWith('text');
  // The length of TEXT counts bytes; four of them are enough for any character.
  const charsMax = isText && lengthMax !== undefined ? Math.floor(lengthMax / 4) : lengthMax;
  return {
    kind: 'text',
    charset,
    collation,
    ...(charsMax === undefined ? {} : { charsMax }),
    fixedLength: column.dataType === 'char',
  };
}

/**
 * Key types with the same class share keys: equal values have equal `RoutingKey`s in one order, so that tables
 * on one strategy are co-located on them. An INT and a BIGINT do; an INT and a VARCHAR do not.
 */
export function keyClass(type: KeyType): string {
  return type.kind === 'text' ? `text ${type.collation}` : type.kind;
}

/** True when a column of type `to` stores every value of a column of type `from` as the very same key. */
export function holdsKeysOf(to: KeyType, from: KeyType): boolean {
  switch (to.kind) {
    case 'integer': {
      if (from.kind !== 'integer') return false;
      if (to.unsigned) return from.unsigned && to.bytes >= from.bytes;
      return from.unsigned ? to.bytes > from.bytes : to.bytes >= from.bytes;
    }
    case 'decimal': {
      if (from.kind !== 'decimal' || (to.unsigned === true && from.unsigned !== true)) return false;
      const isWide = to.precision - to.scale >= from.precision - from.scale;
      return isWide && to.scale >= from.scale;
    }
    case 'date':
      return from.kind === 'date';
    case 'datetime':
      return from.kind === 'datetime' && to.fraction >= from.fraction;
    case 'text': {
      if (from.kind !== 'text' || keyClass(to) !== keyClass(from)) return false;
      // CHAR drops the blanks at the end.
      if (to.fixedLength && !from.fixedLength) return false;
      return isAsLong(to.charsMax, from.charsMax);
    }
    case 'binary': {
      if (from.kind !== 'binary') return false;
      // BINARY fills up with zero bytes.
      if (to.fixedLength) return from.fixedLength === true && to.bytesMax === from.bytesMax;
      return isAsLong(to.bytesMax, from.bytesMax);
    }
  }
}

function isAsLong(to: number | undefined, from: number | undefined): boolean {
  return to === from || (to !== undefined && from !== undefined && to >= from);
}
