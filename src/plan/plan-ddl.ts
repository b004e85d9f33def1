import { notSupported, type ProxyError } from '../errors/proxy-error.ts';
import type { DdlStatement, TableName } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Database, shardsOfTable, type Table } from '../topology/topology.ts';
import { refuseStranding } from './altered-table.ts';
import { refuseUnplaceable } from './created-table.ts';
import type { DdlPlan, Plan } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { blocksOfQuery } from './query-blocks.ts';
import {
  type SchemaWord,
  schemaWords,
  type WrittenKey,
  writtenUniqueKeys,
} from './schema-words.ts';
import { reachOf } from './statement-target.ts';
import { refuseLocalUniqueness } from './unique-keys.ts';

/** A schema change goes to every shard that holds the table, or will. */
export function planDdl(statement: DdlStatement, context: PlanContext): Plan {
  switch (statement.object) {
    case 'database':
      return planDatabase(statement, context);
    case 'table':
      return planTables(statement, context);
    case 'index':
      return planIndex(statement, context);
    case 'temporary table':
      throw notSupported(
        'temporary tables: sessions share connections, and the table lives in one',
      );
    case 'user':
      throw notSupported('users and roles: they are named in shards.yaml');
    default:
      return planObject(statement, context);
  }
}

function planDatabase(statement: DdlStatement, context: PlanContext): DdlPlan {
  const name = statement.database ?? context.input.database;
  const isConfigured = name !== undefined && context.topology.databases.has(name);
  if (statement.verb === 'create' && !isConfigured) {
    throw notSupported(`creating the database '${name}': add it to shards.yaml first`);
  }
  if (context.isSystemSchema(statement.database)) throw systemTables();
  const database = context.database(statement.database);
  return { kind: 'ddl', shards: database.shards, statement, database: database.name, tables: [] };
}

function planTables(statement: DdlStatement, context: PlanContext): Plan {
  const tables = statement.tables.map((name) => stored(name, context));
  const shards = commonShards(tables);
  const [first] = tables;
  if (first === undefined || shards === undefined) {
    throw notSupported(
      `${statement.verb.toUpperCase()} of tables that are on different shards: use one statement for each`,
    );
  }
  switch (statement.verb) {
    case 'create':
      refuseUnplaceable(statement, first, context);
      if (statement.query !== undefined) refuseForeignRows(statement, first, context);
      refuseLocalUniqueness(createdUniqueKeys(statement, context), first);
      break;
    case 'alter': {
      const words = wordsOf(statement, context);
      refuseStranding(words, first);
      refuseLocalUniqueness(writtenUniqueKeys(words), first);
      break;
    }
    case 'rename':
      refuseRename(tables);
      break;
    case 'analyze':
    case 'optimize':
    case 'check':
    case 'repair':
      return reports(shards);
  }
  return {
    kind: 'ddl',
    shards,
    statement,
    database: first.database,
    tables: tables.map((table) => table.name),
  };
}

function planIndex(statement: DdlStatement, context: PlanContext): DdlPlan {
  const [name] = statement.tables;
  if (name === undefined) throw notSupported('this index statement');
  const table = stored(name, context);
  refuseLocalUniqueness(writtenUniqueKeys(wordsOf(statement, context)), table);
  return {
    kind: 'ddl',
    shards: shardsOfTable(table),
    statement,
    database: table.database,
    tables: [table.name],
  };
}

/** Views and stored programs may reach any table: only where all of them are on one shard. */
function planObject(statement: DdlStatement, context: PlanContext): DdlPlan {
  const [name] = statement.tables;
  if (context.isSystemSchema(name?.database)) throw systemTables();
  const database: Database = context.database(name?.database);
  if (database.shards.length > 1) {
    const what = statement.object === 'other' ? 'this kind of object' : `a ${statement.object}`;
    throw notSupported(
      `${what} in '${database.name}', a database on several shards: it would see the rows of one`,
    );
  }
  const tables = statement.object === 'view' ? statement.tables.map((view) => view.name) : [];
  return { kind: 'ddl', shards: database.shards, statement, database: database.name, tables };
}

function stored(name: TableName, context: PlanContext): Table {
  if (context.isSystemSchema(name.database)) throw systemTables();
  return context.table(name);
}

function systemTables(): ProxyError {
  return notSupported('changing system tables: connect to the shard itself');
}

/** The shards of all the tables, when they are the same. */
function commonShards(tables: readonly Table[]): readonly ShardId[] | undefined {
  const [first, ...others] = tables.map((table) => shardsOfTable(table));
  if (first === undefined) return undefined;
  const isSame = others.every(
    (shards) => shards.length === first.length && shards.every((shard) => first.includes(shard)),
  );
  return isSame ? first : undefined;
}

/** ANALYZE TABLE and its kin answer with rows: those of all shards. */
function reports(shards: readonly ShardId[]): Plan {
  const [only] = shards;
  if (shards.length === 1 && only !== undefined) {
    const target = { kind: 'fixed', shard: only } as const;
    return { kind: 'single', target, edits: [], writes: true, locks: true };
  }
  return {
    kind: 'scatter',
    target: { kind: 'every', shards },
    singleEdits: [],
    edits: [],
    merge: { kind: 'concat', keys: [], aggregates: [], hiddenColumns: 0 },
    locks: true,
    readsClock: false,
  };
}

/** CREATE TABLE … AS SELECT, where the rows are on the table's one shard. */
function refuseForeignRows(statement: DdlStatement, table: Table, context: PlanContext): void {
  if (statement.query === undefined) return;
  const found = blocksOfQuery(statement.query, context);
  const reach = reachOf(found.blocks, undefined, context);
  const { placement } = table;
  const isHere =
    placement.kind === 'unsharded' &&
    (reach.single?.kind === 'any' ||
      (reach.single?.kind === 'fixed' && reach.single.shard === placement.shard));
  if (!isHere) {
    throw notSupported(
      'CREATE TABLE … AS SELECT unless the table and the rows are on one shard: create the table, then insert the rows',
    );
  }
}

function wordsOf(statement: DdlStatement, context: PlanContext): readonly SchemaWord[] {
  return schemaWords(context.input.text, statement.span, context.input.lexical);
}

function createdUniqueKeys(statement: DdlStatement, context: PlanContext): readonly WrittenKey[] {
  if (statement.like === undefined) return writtenUniqueKeys(wordsOf(statement, context));
  const { schema } = context.table(statement.like);
  if (schema === undefined) return [];
  const primary = schema.primaryKey.length === 0 ? [] : [{ columns: schema.primaryKey }];
  return [...primary, ...schema.uniqueKeys];
}

function refuseRename(tables: readonly Table[]): void {
  const named = tables.find((table) => table.placement.kind !== 'unsharded');
  if (named === undefined) return;
  throw notSupported(`renaming from or to '${named.name}', which shards.yaml names`);
}
