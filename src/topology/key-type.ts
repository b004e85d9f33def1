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
