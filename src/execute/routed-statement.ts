import { notSupported, type ProxyError } from '../errors/proxy-error.ts';
import type {
  DdlPlan,
  GatherPlan,
  InsertPlan,
  MergePlan,
  Plan,
  ScatterPlan,
  WritePlan,
} from '../plan/plan.ts';
import { unreachable } from '../runtime/assert.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { BoundStatement, ExecutionContext } from './execution.ts';
import { type InsertFacts, routeInsert } from './insert-text.ts';
import { readNumber, renderText, type ShardText } from './render-text.ts';
import { type RoutedGather, routeGather } from './routed-gather.ts';
import { routedShards } from './routed-shards.ts';

/** A plan made concrete: every shard is known, and the text it gets. Execution no longer looks at the plan. */
export type RoutedStatement =
  /** The reply of the shard is the client's, byte for byte. */
  | ({ readonly kind: 'single' } & ShardText)
  | {
      readonly kind: 'scatter';
      readonly texts: readonly ShardText[];
      readonly merge: MergePlan;
      readonly limit: RowLimit | undefined;
      readonly fixClock: boolean;
    }
  | RoutedGather
  | {
      readonly kind: 'write';
      readonly texts: readonly ShardText[];
      /** Every shard does the same: counts are those of one, and must agree. */
      readonly reference: boolean;
      /** Of an INSERT or REPLACE. */
      readonly insert?: InsertFacts;
    }
  | { readonly kind: 'ddl'; readonly texts: readonly ShardText[] };

export interface RowLimit {
  readonly offset: number;
  readonly count: number;
}

type RoutingContext = Pick<
  ExecutionContext,
  'topology' | 'caches' | 'lookups' | 'sequences' | 'facts' | 'preferredShard'
>;

/** Finds the shards of a statement, takes ids for its rows, and writes the texts. Sends nothing to them. */
export async function routeStatement(
  plan: Plan,
  bound: BoundStatement,
  context: RoutingContext,
): Promise<RoutedStatement> {
  switch (plan.kind) {
    case 'single': {
      const shards = await routedShards(plan.target, bound, context);
      if (shards.length > 1) throw notOnOneShard(shards);
      return single(required(shards[0]), renderText(bound, plan.edits, context.facts));
    }
    case 'scatter':
      return routeScatter(plan, bound, context);
    case 'gather':
      return routeGatherPlan(plan, bound, context);
    case 'write':
      return routeWrite(plan, bound, context);
    case 'insert':
      return routeInsertPlan(plan, bound, context);
    case 'ddl':
      return routeDdl(plan, bound, context);
    case 'local':
      throw notSupported('this statement here: it is the session that carries it out');
    default:
      return unreachable(plan);
  }
}

/**
 * True when the statement must run inside a transaction to be all or nothing: `context.leases` has
 * to be one before it is executed.
 */
export function writesSeveralShards(routed: RoutedStatement): boolean {
  return routed.kind === 'write' && routed.texts.length > 1;
}

async function routeScatter(
  plan: ScatterPlan,
  bound: BoundStatement,
  context: RoutingContext,
): Promise<RoutedStatement> {
  const shards = await routedShards(plan.target, bound, context);
  const [first] = shards;
  if (shards.length <= 1) {
    return single(required(first), renderText(bound, plan.singleEdits, context.facts));
  }
  const sql = renderText(bound, plan.edits, context.facts);
  return {
    kind: 'scatter',
    texts: inTopologyOrder(shards, context).map((shard) => ({ shard, sql })),
    merge: plan.merge,
    limit: rowLimit(plan.merge, bound),
    fixClock: plan.readsClock,
  };
}

async function routeGatherPlan(
  plan: GatherPlan,
  bound: BoundStatement,
  context: RoutingContext,
): Promise<RoutedStatement> {
  if (plan.single !== undefined) {
    const [only, ...others] = await routedShards(plan.single, bound, context);
    if (only !== undefined && others.length === 0) {
      return single(only, renderText(bound, plan.singleEdits, context.facts));
    }
  }
  return routeGather(plan, bound, context);
}

async function routeWrite(
  plan: WritePlan,
  bound: BoundStatement,
  context: RoutingContext,
): Promise<RoutedStatement> {
  const shards = await routedShards(plan.target, bound, context);
  const sql = renderText(bound, plan.edits, context.facts);
  if (shards.length <= 1) return single(required(shards[0]), sql);
  return {
    kind: 'write',
    texts: inTopologyOrder(shards, context).map((shard) => ({ shard, sql })),
    reference: plan.reference,
  };
}

async function routeInsertPlan(
  plan: InsertPlan,
  bound: BoundStatement,
  context: RoutingContext,
): Promise<RoutedStatement> {
  const { texts, insert } = await routeInsert(plan, bound, context);
  const [only] = texts;
  // With ids of ours in it the shard's own OK would tell the client a wrong insert id.
  if (insert.generated === undefined && texts.length === 1 && only !== undefined) {
    return single(only.shard, only.sql);
  }
  const order = inTopologyOrder(
    texts.map((text) => text.shard),
    context,
  );
  const sorted = [...texts].sort((a, b) => order.indexOf(a.shard) - order.indexOf(b.shard));
  return { kind: 'write', texts: sorted, reference: plan.target.kind === 'every', insert };
}

function routeDdl(plan: DdlPlan, bound: BoundStatement, context: RoutingContext): RoutedStatement {
  const texts = inTopologyOrder(plan.shards, context).map((shard) => ({ shard, sql: bound.text }));
  return { kind: 'ddl', texts };
}

function rowLimit(merge: MergePlan, bound: BoundStatement): RowLimit | undefined {
  if (merge.limit === undefined) return undefined;
  const { count, offset } = merge.limit;
  return {
    count: Number(readNumber(count, bound)),
    offset: offset === undefined ? 0 : Number(readNumber(offset, bound)),
  };
}

function single(shard: ShardId, sql: Buffer): RoutedStatement {
  return { kind: 'single', shard, sql };
}

/** A plan for one shard whose key value did not tell which: one shard's answer would be a wrong one. */
function notOnOneShard(shards: readonly ShardId[]): ProxyError {
  return notSupported(
    `this statement over several shards (here: ${shards.join(', ')}): ` +
      'write the shard key value as a plain literal of its column type',
  );
}

/**
 * Statements that take connections of several pools take them in one order, so that two of them
 * never wait for each other's.
 */
function inTopologyOrder(
  shards: readonly ShardId[],
  context: Pick<RoutingContext, 'topology'>,
): readonly ShardId[] {
  const wanted = new Set(shards);
  return [...context.topology.shards.keys()].filter((shard) => wanted.has(shard));
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('routing found no shard');
  return value;
}
