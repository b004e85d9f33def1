import nodeSqlParser from 'node-sql-parser/build/mariadb.js';

export interface SchemaColumn {
  readonly name: string;
  /** As written, upper case and without length: BIGINT, VARCHAR, ENUM. */
  readonly type: string;
  readonly unsigned: boolean;
  readonly nullable: boolean;
  readonly autoIncrement: boolean;
  readonly generated: boolean;
  readonly collation?: string;
}

export interface SchemaForeignKey {
  readonly columns: readonly string[];
  readonly database?: string;
  readonly table: string;
  readonly references: readonly string[];
}

/** What a CREATE TABLE says of columns and keys. */
export interface SchemaTable {
  readonly database?: string;
  readonly name: string;
  readonly columns: readonly SchemaColumn[];
  readonly primaryKey: readonly string[];
  readonly uniqueKeys: readonly (readonly string[])[];
  readonly foreignKeys: readonly SchemaForeignKey[];
}

type Tree = Readonly<Record<string, unknown>>;

const parser = new nodeSqlParser.Parser();

/** A versioned comment may hold columns, and the library drops it. */
const VERSIONED_COMMENT = /\/\*M?!/;

/**
 * Reads CREATE TABLE. Undefined when the library does not understand the text, or might read it
 * otherwise than the server: then the schema must be asked of a shard.
 */
export function readCreateTable(sql: string): SchemaTable | undefined {
  if (VERSIONED_COMMENT.test(sql)) return undefined;
  let parsed: unknown;
  try {
    parsed = parser.astify(sql);
  } catch {
    // The library throws on all it does not know; the shard knows better.
    return undefined;
  }
  const trees = Array.isArray(parsed) ? parsed : [parsed];
  const [tree] = trees;
  if (trees.length !== 1 || !isTree(tree)) return undefined;
  if (tree.type !== 'create' || tree.keyword !== 'table') return undefined;
  if (isTree(tree.like) || isTree(tree.query_expr)) return undefined;
  return tableOf(tree);
}

function tableOf(tree: Tree): SchemaTable | undefined {
  const named = treesOf(tree.table)[0];
  const definitions = treesOf(tree.create_definitions);
  if (named === undefined || definitions.length === 0) return undefined;
  const keys = definitions.filter((definition) => definition.resource === 'constraint');
  const fields = definitions.filter((definition) => definition.resource === 'column');
  const primary = keys.find((key) => keyKind(key) === 'primary key');
  const primaryKey =
    primary === undefined ? inlineKeys(fields, 'primary_key') : keyColumns(primary);
  const unique = keys.filter((key) => keyKind(key).startsWith('unique')).map(keyColumns);
  const columns = fields.map((field) => columnOf(field, primaryKey));
  if (columns.some(({ name, type }) => name === '' || type === '')) return undefined;
  return {
    ...database(named),
    name: nameOf(named.table),
    columns,
    primaryKey,
    uniqueKeys: [...inlineKeys(fields, 'unique').map((column) => [column]), ...unique],
    foreignKeys: keys.filter((key) => keyKind(key) === 'foreign key').map(foreignKey),
  };
}

function columnOf(field: Tree, primaryKey: readonly string[]): SchemaColumn {
  const name = columnName(field.column);
  const definition = isTree(field.definition) ? field.definition : {};
  const nullable = isTree(field.nullable) && field.nullable.type === 'not null';
  const collation = collationOf(field.collate);
  const suffix = Array.isArray(definition.suffix) ? definition.suffix : [];
  return {
    name,
    type: typeof definition.dataType === 'string' ? definition.dataType.toUpperCase() : '',
    unsigned: suffix.some((word) => typeof word === 'string' && /unsigned/i.test(word)),
    nullable: !nullable && !primaryKey.includes(name),
    autoIncrement: typeof field.auto_increment === 'string',
    generated: isTree(field.generated),
    ...(collation === undefined ? {} : { collation }),
  };
}

function collationOf(collate: unknown): string | undefined {
  const inner = isTree(collate) ? collate.collate : undefined;
  const name = isTree(inner) ? inner.name : undefined;
  return typeof name === 'string' ? name.toLowerCase() : undefined;
}

function inlineKeys(fields: readonly Tree[], kind: 'primary_key' | 'unique'): string[] {
  return fields
    .filter((field) => typeof field[kind] === 'string')
    .map((field) => columnName(field.column));
}

function keyKind(key: Tree): string {
  return typeof key.constraint_type === 'string' ? key.constraint_type.toLowerCase() : '';
}

function keyColumns(key: Tree): string[] {
  return treesOf(key.definition).map(columnName);
}

function foreignKey(key: Tree): SchemaForeignKey {
  const reference = isTree(key.reference_definition) ? key.reference_definition : {};
  const table = treesOf(reference.table)[0] ?? {};
  return {
    columns: keyColumns(key),
    ...database(table),
    table: nameOf(table.table),
    references: treesOf(reference.definition).map(columnName),
  };
}

function database(table: Tree): { database?: string } {
  return typeof table.db === 'string' ? { database: nameOf(table.db) } : {};
}

function columnName(column: unknown): string {
  return isTree(column) ? nameOf(column.column) : '';
}

/** The library takes the outer backticks off and leaves the doubled ones inside. */
function nameOf(name: unknown): string {
  return typeof name === 'string' ? name.replaceAll('``', '`') : '';
}

function treesOf(value: unknown): Tree[] {
  return Array.isArray(value) ? value.filter(isTree) : [];
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null;
}
