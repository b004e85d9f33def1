import { shardsOfDatabase } from '../topology/build-topology.ts';
import type { DatabaseConfig, ProxyConfig } from '../topology/config-schema.ts';
import { keyTypeOf } from '../topology/key-type.ts';
import { type ShardId, shardIds } from '../topology/strategy.ts';
import type { ColumnSchema, TableSchema } from '../topology/table-schema.ts';
import { type ControlConnections, type ControlRow, isUnreachable } from './control-connection.ts';

/** A table that is not the same on every shard that should have it. */
export interface SchemaDrift {
  readonly database: string;
  readonly table: string;
  readonly shard: ShardId;
  readonly message: string;
}

export interface ReadSchemas {
  /** By database and table. */
  readonly schemas: ReadonlyMap<string, ReadonlyMap<string, TableSchema>>;
  readonly drift: readonly SchemaDrift[];
  /** Shards that did not answer: tables that only they have are not in `schemas`. */
  readonly unreachable: readonly ShardId[];
}

/** Reads the schemas of all tables of the config's databases from the shards. */
export async function readSchemas(
  control: ControlConnections,
  config: ProxyConfig,
): Promise<ReadSchemas> {
  const drift: SchemaDrift[] = [];
  const schemas = new Map<string, ReadonlyMap<string, TableSchema>>();
  const databases = Object.entries(config.databases);
  const read = await Promise.all(
    databases.map(([name, database]) => readDatabase(control, name, database)),
  );
  for (const [index, [name]] of databases.entries()) {
    schemas.set(name, read[index]?.tables ?? new Map());
    drift.push(...(read[index]?.drift ?? []));
  }
  const unreachable = [...new Set(read.flatMap((database) => database.unreachable))];
  return { schemas, drift, unreachable };
}

interface ReadDatabase {
  readonly tables: ReadonlyMap<string, TableSchema>;
  readonly drift: readonly SchemaDrift[];
  readonly unreachable: readonly ShardId[];
}

/** Reads one database; only the tables named, when any are: those that are missing then do not exist. */
export async function readDatabase(
  control: ControlConnections,
  name: string,
  config: DatabaseConfig,
  only: readonly string[] = [],
): Promise<ReadDatabase> {
  const shards = shardsOfDatabase(config);
  const answers = await Promise.all(
    shards.map(async (shard): Promise<readonly [ShardId, TablesOnShard] | undefined> => {
      try {
        return [shard, await readTables(control, shard, { name, only })];
      } catch (error) {
        // The others still tell what tables look like, and statements for them go on.
        if (isUnreachable(error)) return undefined;
        throw error;
      }
    }),
  );
  const onShard = new Map(answers.filter((answer) => answer !== undefined));
  const found = [...onShard.values()];
  const tables = new Map<string, TableSchema>();
  const drift: SchemaDrift[] = [];
  for (const table of new Set(found.flatMap((tablesThere) => [...tablesThere.keys()]))) {
    const wanted = shardsWanted(config, table, shards);
    const compared = compareShards(onShard, table, wanted);
    if (compared.schema !== undefined) tables.set(table, compared.schema);
    drift.push(...compared.drift.map((problem) => ({ database: name, table, ...problem })));
  }
  return { tables, drift, unreachable: shards.filter((shard) => !onShard.has(shard)) };
}

function shardsWanted(
  config: DatabaseConfig,
  table: string,
  all: readonly ShardId[],
): readonly ShardId[] {
  // A table may be called `constructor`, which every object has.
  const placement = Object.hasOwn(config.tables, table) ? config.tables[table] : undefined;
  if (placement === undefined) return shardIds([config.default]);
  if (placement === 'reference') return all;
  if ('shard' in placement) return shardIds([placement.shard]);
  const strategy = config.strategies[placement.strategy];
  if (strategy === undefined) return all;
  const names =
    strategy.type === 'range' ? strategy.ranges.map(({ shard }) => shard) : strategy.shards;
  return shardIds([...new Set(names)]);
}

type TablesOnShard = ReadonlyMap<string, TableSchema>;

/** The schema of the first shard that should have the table and has it; the others must agree. */
function compareShards(
  onShard: ReadonlyMap<ShardId, TablesOnShard>,
  table: string,
  wanted: readonly ShardId[],
): {
  readonly schema: TableSchema | undefined;
  readonly drift: readonly Pick<SchemaDrift, 'shard' | 'message'>[];
} {
  const holder = wanted.find((shard) => onShard.get(shard)?.has(table));
  const schema = holder === undefined ? undefined : onShard.get(holder)?.get(table);
  const drift: Pick<SchemaDrift, 'shard' | 'message'>[] = [];
  for (const [shard, tables] of onShard) {
    const there = tables.get(table);
    if (!wanted.includes(shard)) {
      if (there !== undefined)
        drift.push({ shard, message: 'exists where the config has no place for it' });
    } else if (holder !== undefined && there === undefined) {
      drift.push({ shard, message: `is missing; shard ${holder} has it` });
    } else if (there !== undefined && !isSame(there, schema)) {
      drift.push({ shard, message: `has other columns or keys than on shard ${holder}` });
    }
  }
  return { schema, drift };
}

function isSame(a: TableSchema, b: TableSchema | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Names in lower case by aliases: MySQL 8 gives its own in upper case. */
const COLUMNS_SQL = `
  SELECT c.TABLE_NAME AS t, c.COLUMN_NAME AS name, c.DATA_TYPE AS data_type,
    c.COLUMN_TYPE AS column_type, c.IS_NULLABLE AS nullable,
    c.COLUMN_DEFAULT IS NOT NULL AS has_default, c.EXTRA AS extra,
    c.GENERATION_EXPRESSION AS expression, c.CHARACTER_SET_NAME AS charset,
    c.COLLATION_NAME AS collation, c.CHARACTER_MAXIMUM_LENGTH AS length_max,
    c.NUMERIC_PRECISION AS numeric_precision, c.NUMERIC_SCALE AS numeric_scale,
    c.DATETIME_PRECISION AS datetime_precision, t.TABLE_TYPE AS table_type, VERSION() AS version
  FROM information_schema.COLUMNS c
  JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
  WHERE c.TABLE_SCHEMA = ?`;
const KEYS_SQL = `
  SELECT TABLE_NAME AS t, INDEX_NAME AS name, COLUMN_NAME AS column_name
  FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA = ?`;

/** MariaDB's JSON is LONGTEXT with this check, by which its JSON functions know it. */
const JSON_SQL = `
  SELECT TABLE_NAME AS t, CONSTRAINT_NAME AS column_name FROM information_schema.CHECK_CONSTRAINTS
  WHERE LEVEL = 'Column' AND CHECK_CLAUSE LIKE 'json_valid(%' AND CONSTRAINT_SCHEMA = ?`;

async function readTables(
  control: ControlConnections,
  shard: ShardId,
  what: { readonly name: string; readonly only: readonly string[] },
): Promise<TablesOnShard> {
  const filter = (column: string) => (what.only.length === 0 ? '' : ` AND ${column} IN (?)`);
  const params = what.only.length === 0 ? [what.name] : [what.name, what.only];
  // One after the other: the control plane has few connections a shard.
  const columns = await control.query(
    shard,
    `${COLUMNS_SQL}${filter('c.TABLE_NAME')} ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`,
    params,
  );
  const keys = await control.query(
    shard,
    `${KEYS_SQL}${filter('TABLE_NAME')} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`,
    params,
  );
  const isMariadb = String(columns.rows[0]?.version).includes('MariaDB');
  const json = isMariadb
    ? await control.query(shard, `${JSON_SQL}${filter('TABLE_NAME')}`, params)
    : { rows: [] };
  const jsonColumns = new Set(json.rows.map((row) => `${row.t} ${row.column_name}`));
  const keyRows = Map.groupBy(keys.rows, (row) => String(row.t));
  const tables = Map.groupBy(columns.rows, (row) => String(row.t));
  return new Map(
    [...tables].map(([table, rows]) => [
      table,
      tableOfRows(rows, keyRows.get(table) ?? [], (column) =>
        jsonColumns.has(`${table} ${column}`),
      ),
    ]),
  );
}

function tableOfRows(
  rows: readonly ControlRow[],
  keyRows: readonly ControlRow[],
  isCheckedJson: (column: string) => boolean,
): TableSchema {
  const keys = new Map<string, string[]>();
  for (const row of keyRows) {
    const columns = keys.get(String(row.name)) ?? [];
    // An index over an expression has no column name: it is no key that routing could use.
    columns.push(row.column_name === null ? '' : String(row.column_name));
    keys.set(String(row.name), columns);
  }
  const automatic = rows.find((row) => String(row.extra).includes('auto_increment'));
  return Object.freeze({
    columns: rows.map((row) => columnOfRow(row, isCheckedJson(String(row.name)))),
    primaryKey: keys.get('PRIMARY') ?? [],
    uniqueKeys: [...keys]
      .filter(([name]) => name !== 'PRIMARY')
      .map(([name, columns]) => ({ name, columns })),
    autoIncrementColumn: automatic === undefined ? undefined : String(automatic.name),
    isView: rows[0]?.table_type === 'VIEW' || rows[0]?.table_type === 'SYSTEM VIEW',
  });
}

function columnOfRow(row: ControlRow, isCheckedJson: boolean): ColumnSchema {
  const dataType = String(row.data_type).toLowerCase();
  const columnType = String(row.column_type);
  const charset = textOf(row.charset);
  const collation = textOf(row.collation);
  const nullable = row.nullable === 'YES';
  const extra = String(row.extra);
  // MySQL has the words in EXTRA for a default that is an expression, which is not in COLUMN_DEFAULT then;
  // MariaDB writes the default NULL of a nullable column as the text NULL.
  const hasDefault = Number(row.has_default) === 1 || /DEFAULT_GENERATED/.test(extra) || nullable;
  return Object.freeze({
    name: String(row.name),
    dataType,
    columnType,
    nullable,
    hasDefault,
    generatedAlways: row.expression !== null && row.expression !== '',
    ...(isCheckedJson ? { isCheckedJson: true as const } : {}),
    ...(/\bINVISIBLE\b/i.test(extra) ? { invisible: true as const } : {}),
    charset,
    collation,
    keyType: keyTypeOf({
      dataType,
      columnType,
      charset,
      collation,
      lengthMax: numberOf(row.length_max),
      numericPrecision: numberOf(row.numeric_precision),
      numericScale: numberOf(row.numeric_scale),
      datetimePrecision: numberOf(row.datetime_precision),
    }),
  });
}

function textOf(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

function numberOf(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}
