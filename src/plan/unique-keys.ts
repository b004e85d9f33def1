import { notSupported } from '../errors/proxy-error.ts';
import type { InsertStatement } from '../sql/statement.ts';
import type { Table } from '../topology/topology.ts';
import type { WrittenKey } from './schema-words.ts';

/** Throws 1235 for a unique key that each shard would keep for its own rows only. */
export function refuseLocalUniqueness(keys: readonly WrittenKey[], table: Table): void {
  const local = keys.find(({ columns }) => !isUniqueOverall(columns, table));
  if (local === undefined) return;
  throw notSupported(
    `a unique key over (${local.columns.join(', ')}) of the sharded table '${table.name}', which each shard would check for its own rows only: add the shard key '${shardKey(table)}' to it, make it a plain key, or let Shardgate number its column (generate in shards.yaml)`,
  );
}

/**
 * What REPLACE, IGNORE and ON DUPLICATE KEY UPDATE do depends on the rows that have an equal unique
 * key: these must be where the new row goes.
 */
export function refuseUnseenDuplicates(statement: InsertStatement, table: Table): void {
  const what = conflictClause(statement);
  const { schema } = table;
  if (what === undefined || schema === undefined) return;
  const keys = [schema.primaryKey, ...schema.uniqueKeys.map((key) => key.columns)];
  const local = keys.find((columns) => columns.length > 0 && !isUniqueOverall(columns, table));
  if (local === undefined) return;
  throw notSupported(
    `${what} into the sharded table '${table.name}', whose unique key (${local.join(', ')}) lacks the shard key '${shardKey(table)}': a duplicate may be on another shard; add the shard key to the unique key, or look for the row first`,
  );
}

function conflictClause(statement: InsertStatement): string | undefined {
  if (statement.replace) return 'REPLACE';
  if (statement.onDuplicate !== undefined) return 'INSERT … ON DUPLICATE KEY UPDATE';
  return statement.ignore ? 'INSERT IGNORE' : undefined;
}

/** Rows of several shards never have equal values: they would have one shard key, or one number. */
function isUniqueOverall(columns: readonly string[], table: Table): boolean {
  const { placement, generated } = table;
  if (placement.kind !== 'sharded' || placement.strategy.shards.length === 1) return true;
  const names = columns.map((name) => name.toLowerCase());
  const distinct = [...placement.keyColumns.slice(0, 1), ...generated];
  return distinct.some((name) => names.includes(name.toLowerCase()));
}

function shardKey(table: Table): string | undefined {
  return table.placement.kind === 'sharded' ? table.placement.keyColumns[0] : undefined;
}
