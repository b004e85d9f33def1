import { notSupported } from '../errors/proxy-error.ts';
import type { TableReference } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Table } from '../topology/topology.ts';
import type { ColumnsOf } from './gather-columns.ts';
import type { KeyGroup } from './key-links.ts';
import type { GatherInput, KeyCondition, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { pushedConditions } from './pushed-conditions.ts';
import type { QueryBlock } from './query-blocks.ts';
import type { TableInstance } from './scope.ts';
import { conditionOf, keyTarget } from './statement-target.ts';

export interface InputFacts {
  readonly reference: TableReference;
  readonly instance: TableInstance;
  readonly block: QueryBlock;
  readonly finish: ShardId;
  readonly context: PlanContext;
}

/** What has to be moved for one table reference; undefined where there is nothing to move. */
export function gatherInput(facts: InputFacts, columnsOf: ColumnsOf): GatherInput | undefined {
  const { reference, instance, block, finish, context } = facts;
  const { table } = instance;
  // No shard has it, or each has its own (information_schema): the server that finishes will tell.
  if (reference.kind !== 'table' || table?.schema === undefined) return undefined;
  if (reference.partitioned) {
    throw notSupported('PARTITION (…) and FOR SYSTEM_TIME over rows of several shards');
  }
  const isAtFinish = isHeldBy(instance, finish);
  const columns = columnsOf(instance);
  const names = new Set(columns.map(({ name }) => name));
  const { primaryKey } = table.schema;
  return {
    table,
    alias: instance.alias,
    span: context.place(block.tableBody ?? reference.span),
    isTableBody: block.tableBody !== undefined,
    database: scratchDatabase(table, finish, context),
    columns,
    primaryKey: primaryKey.every((name) => names.has(name)) ? primaryKey : [],
    target: targetOf(instance, block),
    conditions: pushedConditions(instance, block, context),
    isAtFinish,
  };
}

function isHeldBy({ placement }: TableInstance, shard: ShardId): boolean {
  if (placement.kind === 'unsharded') return placement.shard === shard;
  return placement.kind === 'reference' && placement.shards.includes(shard);
}

/** Column names may be qualified with the database, so the copy stands in one of that name. */
function scratchDatabase(table: Table, finish: ShardId, context: PlanContext): string {
  if (context.database(table.database).shards.includes(finish)) return table.database;
  throw notSupported(
    `joining tables of databases that share no shard: '${table.database}' is not on ${finish}`,
  );
}

function targetOf(instance: TableInstance, block: QueryBlock): ShardTarget {
  const { placement } = instance;
  if (placement.kind === 'reference') return { kind: 'any', shards: placement.shards };
  if (placement.kind === 'unsharded') return { kind: 'fixed', shard: placement.shard };
  const group = block.links.groups.find(({ members }) => members.includes(instance));
  if (group === undefined) throw new Error(`${instance.alias} is in no group`);
  return keyTarget(group, nearestCondition(group));
}

/** The keys of the group's own terms, or of the outer group whose key it equals. */
function nearestCondition(group: KeyGroup): KeyCondition {
  for (let at: KeyGroup | undefined = group; at !== undefined; at = at.anchor) {
    const condition = conditionOf(at);
    if (condition.kind !== 'all') return condition;
  }
  return { kind: 'all' };
}
