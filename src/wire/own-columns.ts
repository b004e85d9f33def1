import {
  COLLATION_BINARY,
  COLLATION_UTF8MB4_GENERAL_CI,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_VAR_STRING,
  NOT_NULL_FLAG,
  NUM_FLAG,
} from './column-types.ts';
import type { ColumnDefinition } from './result-set-packets.ts';

const BYTES_PER_CHARACTER = 4;
const INTEGER_DIGITS = 21;

const NO_TABLE = { catalog: 'def', schema: '', table: '', orgTable: '', orgName: '' } as const;

/** Columns of results that the proxy makes itself. */
export function textColumn(name: string, charactersMax = 256): ColumnDefinition {
  return {
    ...NO_TABLE,
    name,
    collationId: COLLATION_UTF8MB4_GENERAL_CI,
    columnLength: charactersMax * BYTES_PER_CHARACTER,
    type: MYSQL_TYPE_VAR_STRING,
    flags: 0,
    decimals: 0x1f,
  };
}

export function integerColumn(name: string): ColumnDefinition {
  return {
    ...NO_TABLE,
    name,
    collationId: COLLATION_BINARY,
    columnLength: INTEGER_DIGITS,
    type: MYSQL_TYPE_LONGLONG,
    flags: NOT_NULL_FLAG | NUM_FLAG,
    decimals: 0,
  };
}
