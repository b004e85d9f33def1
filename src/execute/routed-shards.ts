import { ProxyError } from '../errors/proxy-error.ts';
import type { ShardTarget } from '../plan/plan.ts';
import { routeTarget } from '../plan/route.ts';
import type { RoutingLookup } from '../topology/routing-caches.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { BoundStatement, ExecutionContext } from './execution.ts';

/** A look-up may itself be pushed out of a full cache before it is used: try again, but not for ever. */
const LOOKUP_ROUNDS_MAX = 4;

export type Routed<Result> =
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
    () => {
      const routed = routeTarget(target, bound, context.caches, context.preferredShard);
      return routed.kind === 'shards' ? { kind: 'routed', result: routed.shards } : routed;
    },
    { context, assign: false },
  );
}

/** Routes, has looked up what is missing, and routes again. */
export async function routeWithLookups<Result>(
  route: () => Routed<Result>,
  options: { readonly context: RoutingNeeds; readonly assign: boolean },
): Promise<Result> {
  for (let round = 0; round < LOOKUP_ROUNDS_MAX; round++) {
    const routed = route();
    if (routed.kind === 'routed') return routed.result;
    await options.context.lookups.resolve(routed.lookups, { assign: options.assign });
  }
  throw new ProxyError(
    'ER_NO_PARTITION_FOR_GIVEN_VALUE',
    'The shard of a key value could not be found out; the caches for keys may be too small ' +
      '(limits.weight_cache_max, limits.directory_cache_max)',
  );
}
