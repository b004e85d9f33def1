import { notSupported } from '../errors/proxy-error.ts';
import type { ShowStatement } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import { shardsOfTable } from '../topology/topology.ts';
import type { Plan, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';

const words = (...names: readonly string[]): ReadonlySet<string> => new Set(names);

/** What the session knows and no shard does. */
const LOCAL = words(
  'SHARD MAP',
  'SHARDS',
  'CONFIG VERSIONS',
  'CONFIG',
  'TRANSACTIONS IN DOUBT',
  'SESSIONS',
  'MOVES',
  'DATABASES',
  'SCHEMAS',
  'WARNINGS',
  'ERRORS',
  'COUNT WARNINGS',
  'COUNT ERRORS',
  'PROCESSLIST',
);

/** Every shard says the same. */
const ALIKE = words(
  'VARIABLES',
  'STATUS',
  'COLLATION',
  'CHARACTER SET',
  'CHARSET',
  'ENGINES',
  'STORAGE ENGINES',
  'PLUGINS',
  'PRIVILEGES',
  'AUTHORS',
  'CONTRIBUTORS',
  'LOCALES',
);

const OF_A_TABLE = words(
  'CREATE TABLE',
  'CREATE VIEW',
  'COLUMNS',
  'FIELDS',
  'INDEX',
  'INDEXES',
  'KEYS',
);

/** Things that live on the default shard, when the database has no other. */
const OF_A_DATABASE = words(
  'TABLE STATUS',
  'OPEN TABLES',
  'TRIGGERS',
  'EVENTS',
  'PROCEDURE STATUS',
  'FUNCTION STATUS',
  'CREATE SEQUENCE',
  'CREATE TRIGGER',
  'CREATE PROCEDURE',
  'CREATE FUNCTION',
  'CREATE EVENT',
);

/** SHOW … and DESCRIBE. */
export function planShow(statement: ShowStatement, context: PlanContext): Plan {
  const { what } = statement;
  if (LOCAL.has(what)) return { kind: 'local', statement };
  if (ALIKE.has(what)) return read({ kind: 'any', shards: context.currentShards() });
  if (OF_A_TABLE.has(what) && statement.table !== undefined) {
    return read({ kind: 'fixed', shard: homeOfTable(statement, context) });
  }
  const { database } = statement;
  if (what === 'CREATE DATABASE' || what === 'CREATE SCHEMA') {
    return read({ kind: 'fixed', shard: homeOf(database, context) });
  }
  if (what === 'TABLES') return planShowTables(statement, context);
  if (OF_A_DATABASE.has(what)) {
    if (!isWhole(database, context)) {
      throw notSupported(
        `SHOW ${what} of a database on several shards: connect to the shard itself`,
      );
    }
    return read({ kind: 'fixed', shard: homeOf(database, context) });
  }
  throw notSupported(`SHOW ${what}: connect to the shard itself`);
}

function planShowTables(statement: ShowStatement, context: PlanContext): Plan {
  const { database } = statement;
  if (context.isSystemSchema(database)) {
    return read({ kind: 'fixed', shard: context.homeShard() });
  }
  const { shards } = context.database(database);
  const [first] = shards;
  if (shards.length === 1 && first !== undefined) return read({ kind: 'fixed', shard: first });
  const name = { column: 0, descending: false };
  return {
    kind: 'scatter',
    target: { kind: 'every', shards },
    singleEdits: [],
    edits: [],
    // Sharded tables are on several shards and are shown once.
    merge: {
      kind: 'group',
      keys: [name],
      aggregates: [],
      orderAfterGroup: [name],
      hiddenColumns: 0,
    },
    locks: false,
    readsClock: false,
  };
}

/** SHOW COLUMNS FROM t FROM db names the database apart. */
function homeOfTable(statement: ShowStatement, context: PlanContext): ShardId {
  const { table } = statement;
  if (table === undefined) throw new Error('SHOW of no table');
  const database = statement.database ?? table.database;
  const found = context.table({
    name: table.name,
    ...(database === undefined ? {} : { database }),
  });
  return shardsOfTable(found)[0] as ShardId;
}

function homeOf(database: string | undefined, context: PlanContext): ShardId {
  if (context.isSystemSchema(database)) return context.homeShard();
  return context.database(database).defaultShard;
}

function isWhole(database: string | undefined, context: PlanContext): boolean {
  return context.isSystemSchema(database) || context.database(database).shards.length === 1;
}

export function read(target: ShardTarget): Plan {
  return { kind: 'single', target, edits: [], writes: false, locks: false };
}
