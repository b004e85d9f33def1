import { ProxyError } from '../errors/proxy-error.ts';
import type { ShardTarget } from '../plan/plan.ts';
import { routeTarget } from '../plan/route.ts';
import type { RoutingLookup } from '../topology/routing-caches.ts';
import type { RoutingKey, ShardId, Strategy } from '../topology/strategy.ts';
import type { BoundStatement, ExecutionContext } from './execution.ts';

/** A look-up may itself be pushed out of a full cache before it is used: try again, but not for ever. */
const LOOKUP_ROUNDS_MAX = 4;

type Routed<Result> =
  | { readonly kind: 'lookups'; readonly lookups: readonly RoutingLookup[] }
  | { readonly kind: 'routed'; readonly result: Result };

export type RoutingNeeds = Pick<ExecutionContext, 'caches' | 'lookups' | 'preferredShard'>;

/** Where the statement goes. Waits only when the caches do not know a key. */
export async function routedShards(
  target: ShardTarget,
  bound: BoundStatement,
  context: RoutingNeeds,
): Promise<readonly ShardId[]> {
  return routeWithLookups(
    (homeless) => {
      const found = homeless.length === 0 ? target : withHomes(target, homeless);
      const routed = routeTarget(found, bound, context.caches, context.preferredShard);
      return routed.kind === 'shards' ? { kind: 'routed', result: routed.shards } : routed;
    },
    { context, assign: false },
  );
}

/**
 * Routes, has looked up what is missing, and routes again. `route` is given the look-ups that found
 * nothing: directory keys which no row has.
 */
export async function routeWithLookups<Result>(
  route: (homeless: readonly RoutingLookup[]) => Routed<Result>,
  options: { readonly context: RoutingNeeds; readonly assign: boolean },
): Promise<Result> {
  let homeless: readonly RoutingLookup[] = [];
  for (let round = 0; round < LOOKUP_ROUNDS_MAX; round++) {
    const routed = route(homeless);
    if (routed.kind === 'routed') return routed.result;
    const { lookups } = options.context;
    homeless = [
      ...homeless,
      ...(await lookups.resolve(routed.lookups, { assign: options.assign })),
    ];
  }
  throw new ProxyError(
    'ER_NO_PARTITION_FOR_GIVEN_VALUE',
    'The shard of a key value could not be found out; the caches for keys may be too small ' +
      '(limits.weight_cache_max, limits.directory_cache_max)',
  );
}

/** The target with a home for keys that have none: no row has them, so any shard answers rightly. */
function withHomes(target: ShardTarget, homeless: readonly RoutingLookup[]): ShardTarget {
  if (target.kind === 'agreeing') {
    return { ...target, targets: target.targets.map((one) => withHomes(one, homeless)) };
  }
  if (target.kind !== 'by-key') return target;
  const { strategy, database } = target;
  const keys = new Set<RoutingKey>();
  for (const lookup of homeless) {
    if (lookup.kind !== 'directory' || lookup.strategy !== strategy.name) continue;
    if (lookup.database === database) keys.add(lookup.key);
  }
  const housed: Strategy = {
    name: strategy.name,
    kind: strategy.kind,
    shards: strategy.shards,
    selfContained: strategy.selfContained,
    shardOf: (key) => (keys.has(key) ? strategy.shards[0] : strategy.shardOf(key)),
    shardsBetween: (low, high) => strategy.shardsBetween(low, high),
  };
  return { ...target, strategy: housed };
}
