import { notSupported } from '../errors/proxy-error.ts';
import {
  readCreateTable,
  type SchemaForeignKey,
  type SchemaTable,
} from '../sql/schema-statement.ts';
import type { DdlStatement } from '../sql/statement.ts';
import { shardsOfTable, type Table } from '../topology/topology.ts';
import type { PlanContext } from './plan-context.ts';

/** Throws 1235 for a table that could not keep its promises where the config puts it. */
export function refuseUnplaceable(
  statement: DdlStatement,
  table: Table,
  context: PlanContext,
): void {
  if (statement.like !== undefined) {
    refuseForeignModel(table, context.table(statement.like));
    return;
  }
  if (statement.query !== undefined) return;
  const sql = context.source(statement.span);
  const created = readCreateTable(sql);
  if (created === undefined) refuseUnread(sql, table);
  else refuseBadParts(created, table, context);
}

function refuseForeignModel(table: Table, model: Table): void {
  const shards = shardsOfTable(model);
  if (shardsOfTable(table).every((shard) => shards.includes(shard))) return;
  throw notSupported(
    `CREATE TABLE '${table.name}' LIKE '${model.name}', which is not on all of its shards: write the columns`,
  );
}

/** What we cannot read is the shard's to judge, as far as nothing depends on where the table is. */
function refuseUnread(sql: string, table: Table): void {
  if (table.placement.kind === 'unsharded') return;
  if (/\bREFERENCES\b/i.test(sql)) {
    throw notSupported(`foreign keys in this form of CREATE TABLE '${table.name}'`);
  }
  const [key] = table.placement.kind === 'sharded' ? table.placement.keyColumns : [];
  if (key !== undefined && !sql.toLowerCase().includes(key.toLowerCase()))
    refuseMissingKey(key, table);
}

function refuseBadParts(created: SchemaTable, table: Table, context: PlanContext): void {
  const [key] = table.placement.kind === 'sharded' ? table.placement.keyColumns : [];
  const names = created.columns.map((column) => column.name.toLowerCase());
  if (key !== undefined && !names.includes(key.toLowerCase())) refuseMissingKey(key, table);
  for (const foreignKey of created.foreignKeys) {
    const database = foreignKey.database ?? table.database;
    const parent = context.table({ database, name: foreignKey.table });
    if (isLocal(foreignKey, table, parent)) continue;
    throw notSupported(
      `a foreign key from '${table.name}' to '${parent.name}', whose rows are on other shards: shard both by the columns of the key, or make '${parent.name}' a reference table`,
    );
  }
}

function refuseMissingKey(key: string, table: Table): never {
  throw notSupported(
    `CREATE TABLE '${table.name}' without its shard key: shards.yaml names the column '${key}'`,
  );
}

/** True when a row and the row it points to are always on one shard. */
function isLocal(foreignKey: SchemaForeignKey, table: Table, parent: Table): boolean {
  const child = table.placement;
  const target = parent.placement;
  if (target.kind === 'reference') {
    return shardsOfTable(table).every((shard) => target.shards.includes(shard));
  }
  if (target.kind === 'unsharded') {
    return child.kind === 'unsharded' && child.shard === target.shard;
  }
  if (child.kind !== 'sharded' || child.strategy !== target.strategy) return false;
  const at = foreignKey.columns.findIndex((name) => isSame(name, child.keyColumns[0]));
  return at >= 0 && isSame(foreignKey.references[at], target.keyColumns[0]);
}

function isSame(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a.toLowerCase() === b?.toLowerCase();
}
