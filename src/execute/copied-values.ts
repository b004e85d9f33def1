import { notSupported } from '../errors/proxy-error.ts';
import { quoteIdentifier } from '../sql/splice.ts';
import type { LexicalContext } from '../sql/statement.ts';
import type { ColumnSchema } from '../topology/table-schema.ts';
import type { RowFields } from './row-fields.ts';

/** How values of a column travel from one server to another without a bit of change. */
export interface CopiedColumn {
  /** What a shard is asked for, given the column's quoted name. */
  readonly fetched: (name: string) => string;
  /** The value of a row in SQL that any sql_mode and character set reads the same way. */
  readonly literal: (fields: RowFields, index: number) => string;
}

const itself = (name: string): string => name;

const NUMBER: CopiedColumn = {
  fetched: itself,
  literal: (fields, index) => fields.latin1(index) ?? 'NULL',
};
/** Text of a FLOAT has six digits only; as a DOUBLE it has all. */
const DOUBLE: CopiedColumn = {
  fetched: (name) => `${name}*1e0`,
  literal(fields, index) {
    const text = fields.latin1(index);
    // As an integer, -0 would lose its sign.
    return text === undefined ? 'NULL' : text.includes('e') ? text : `${text}e0`;
  },
};
/** The number of an ENUM's value, the bits of a SET and of BIT. */
const BITS: CopiedColumn = {
  fetched: (name) => `CAST(${name} AS UNSIGNED)`,
  literal: NUMBER.literal,
};
const BYTES: CopiedColumn = {
  fetched: itself,
  literal(fields, index) {
    const hex = fields.hex(index);
    return hex === undefined ? 'NULL' : hex === '' ? "''" : `x'${hex}'`;
  },
};
/** The bytes of the column's own character set, whatever the session's is. */
const TEXT: CopiedColumn = {
  fetched: (name) => `CAST(${name} AS BINARY)`,
  literal: BYTES.literal,
};
const JSON_VALUE: CopiedColumn = {
  fetched: (name) => `CAST(CONVERT(${name} USING utf8mb4) AS BINARY)`,
  literal(fields, index) {
    const hex = fields.hex(index);
    return hex === undefined ? 'NULL' : `_utf8mb4 x'${hex}'`;
  },
};
/** Digits and signs only. */
const QUOTED: CopiedColumn = {
  fetched: itself,
  literal(fields, index) {
    const text = fields.latin1(index);
    return text === undefined ? 'NULL' : `'${text}'`;
  },
};
/** An instant: as text it would be ambiguous in the hour that summer time ends. Read back at UTC. */
const TIMESTAMP: CopiedColumn = {
  fetched: (name) => `UNIX_TIMESTAMP(${name})`,
  literal(fields, index) {
    const seconds = fields.latin1(index);
    if (seconds === undefined) return 'NULL';
    return Number(seconds) === 0 ? "'0000-00-00 00:00:00'" : `FROM_UNIXTIME(${seconds})`;
  },
};

const COPIED: ReadonlyMap<string, CopiedColumn> = new Map([
  ...each('tinyint smallint mediumint int bigint decimal year', NUMBER),
  ...each('float double', DOUBLE),
  ...each('enum set bit', BITS),
  ...each('char varchar tinytext text mediumtext longtext', TEXT),
  ...each('binary varbinary tinyblob blob mediumblob longblob vector', BYTES),
  ...each('geometry point linestring polygon multipoint multilinestring multipolygon', BYTES),
  ...each('geomcollection geometrycollection', BYTES),
  ...each('json', JSON_VALUE),
  ...each('date datetime time inet4 inet6 uuid', QUOTED),
  ...each('timestamp', TIMESTAMP),
]);
const NOT_INDEXED = /text|blob|json|geom|point|linestring|polygon|vector|inet|uuid/;
const KEY_COLUMNS_MAX = 16;

function each(names: string, copied: CopiedColumn): readonly (readonly [string, CopiedColumn])[] {
  return names.split(' ').map((name) => [name, copied] as const);
}

export function copiedColumn(column: ColumnSchema): CopiedColumn {
  const copied = COPIED.get(column.dataType);
  if (copied !== undefined) return copied;
  throw notSupported(
    `moving values of type ${column.dataType} (column '${column.name}') between shards`,
  );
}

/** The column as it is in the table, but that its values are plain: no default, nothing generated, no sequence. */
export function columnDefinition(column: ColumnSchema): string {
  const { charset, collation } = column;
  const inCharset =
    charset === undefined || collation === undefined || column.dataType === 'json'
      ? ''
      : ` CHARACTER SET ${charset} COLLATE ${collation}`;
  const name = quoteIdentifier(column.name);
  const check = column.isCheckedJson ? ` CHECK (json_valid(${name}))` : '';
  return (
    `${name} ${column.columnType}${inCharset}` +
    `${column.nullable ? ' NULL' : ' NOT NULL'}${column.invisible ? ' INVISIBLE' : ''}${check}`
  );
}

/**
 * The primary key of the copy. MySQL derives from it which columns GROUP BY determines, so there it
 * must be a key; elsewhere it only makes joins quick, and need not be unique over all shards.
 */
export function keyDefinition(
  columns: readonly ColumnSchema[],
  options: {
    readonly primaryKey: readonly string[];
    readonly isUnique: boolean;
    readonly flavour: LexicalContext['flavour'];
  },
): string {
  const { primaryKey, isUnique, flavour } = options;
  const types = new Map(columns.map(({ name, dataType }) => [name, dataType]));
  const usable = primaryKey.every((name) => !NOT_INDEXED.test(types.get(name) ?? 'text'));
  if (primaryKey.length === 0 || primaryKey.length > KEY_COLUMNS_MAX || !usable) return '';
  const kind = isUnique || flavour === 'mysql' ? 'PRIMARY KEY' : 'KEY';
  return `, ${kind} (${primaryKey.map(quoteIdentifier).join(', ')})`;
}
