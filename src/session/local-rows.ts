import {
  COLLATION_BINARY,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_VAR_STRING,
  NOT_NULL_FLAG,
  NUM_FLAG,
} from '../wire/column-types.ts';
import type { ColumnDefinition } from '../wire/result-set-packets.ts';

export type LocalColumn =
  | {
      readonly type: 'text';
      readonly name: string;
      readonly charactersMax: number;
      /** MariaDB says 39 where MySQL says 31: no fixed number of decimals. */
      readonly decimals?: 31 | 39;
    }
  | { readonly type: 'integer'; readonly name: string; readonly bits: 32 | 64 };

/** A small result that the proxy makes itself: values are text, undefined is NULL. */
export interface LocalRows {
  readonly columns: readonly LocalColumn[];
  readonly rows: readonly (readonly (string | undefined)[])[];
}

const BYTES_PER_CHARACTER = 4;
const INT_DIGITS = 11;
const BIGINT_DIGITS = 21;

export function textColumn(name: string, charactersMax = 256): LocalColumn {
  return { type: 'text', name, charactersMax };
}

export function integerColumn(name: string, bits: 32 | 64 = 64): LocalColumn {
  return { type: 'integer', name, bits };
}

/** `collationId` is that of text in the client's results. */
export function columnDefinition(column: LocalColumn, collationId: number): ColumnDefinition {
  const { name } = column;
  const noTable = { catalog: 'def', schema: '', table: '', orgTable: '', name, orgName: '' };
  if (column.type === 'integer') {
    return {
      ...noTable,
      collationId: COLLATION_BINARY,
      columnLength: column.bits === 32 ? INT_DIGITS : BIGINT_DIGITS,
      type: column.bits === 32 ? MYSQL_TYPE_LONG : MYSQL_TYPE_LONGLONG,
      flags: NOT_NULL_FLAG | NUM_FLAG,
      decimals: 0,
    };
  }
  return {
    ...noTable,
    collationId,
    columnLength: column.charactersMax * BYTES_PER_CHARACTER,
    type: MYSQL_TYPE_VAR_STRING,
    flags: 0,
    decimals: column.decimals ?? 31,
  };
}
