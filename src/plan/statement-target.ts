import { notSupported } from '../errors/proxy-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { KeyGroup } from './key-links.ts';
import type { KeyCondition, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import type { QueryBlock } from './query-blocks.ts';
import { conjunction, isCertain, keyCondition } from './shard-predicate.ts';

/** What the tables of a statement allow. */
export interface Reach {
  /**
   * Where the whole statement can run as it is. Undefined when no single shard has all its rows.
   */
  readonly single: ShardTarget | undefined;
  /** True when `single` is one shard whatever the literals are. */
  readonly certain: boolean;
  /** Where it can run shard by shard, as far as its tables go. */
  readonly scatter: Extract<ShardTarget, { kind: 'by-key' }> | undefined;
  /** The sharded tables of the first block, when `scatter` is there. */
  readonly group: KeyGroup | undefined;
  /** Why neither is possible, for the refusal. */
  readonly problem: string;
}

const ACROSS_STRATEGIES =
  'joins across strategies or without equality of the shard keys: join the tables on their shard keys, or give each shard key a value';

/** Judges the blocks of a statement; the first one is the outermost that can be scattered. */
export function reachOf(
  blocks: readonly QueryBlock[],
  outermost: QueryBlock | undefined,
  context: PlanContext,
): Reach {
  const homes = new Set<ShardId>();
  let anywhere: readonly ShardId[] | undefined;
  for (const instance of blocks.flatMap((block) => block.scope.instances)) {
    const { placement } = instance;
    if (placement.kind === 'unsharded') homes.add(placement.shard);
    if (placement.kind === 'reference') {
      anywhere = anywhere?.filter((shard) => placement.shards.includes(shard)) ?? placement.shards;
    }
  }
  const groups = blocks.flatMap((block) => block.links.groups);
  if (groups.length === 0) return withoutSharded(homes, anywhere, context);
  const reached = anywhere;
  if (reached !== undefined && !groups.every((group) => isWithin(group.strategy.shards, reached))) {
    return refused(
      'reference tables of a database that is not on every shard of the sharded table',
    );
  }
  const single = singleTarget(groups, homes);
  const reach = scatterOf({ groups, homes, outermost });
  return single === undefined
    ? reach
    : { ...reach, single: single.target, certain: single.certain };
}

function refused(problem: string): Reach {
  return { single: undefined, certain: false, scatter: undefined, group: undefined, problem };
}

function isWithin(shards: readonly ShardId[], others: readonly ShardId[]): boolean {
  return shards.every((shard) => others.includes(shard));
}

/** What a group's conditions say about its key. */
export function conditionOf(group: KeyGroup): KeyCondition {
  return conjunction(
    group.conditions.map((expression) =>
      keyCondition(expression, {
        scope: group.scope,
        isMember: (instance) => group.members.includes(instance),
      }),
    ),
  );
}

export function keyTarget(
  group: KeyGroup,
  condition: KeyCondition,
): Extract<ShardTarget, { kind: 'by-key' }> {
  const database = group.members[0]?.table?.database ?? '';
  return { kind: 'by-key', strategy: group.strategy, database, condition };
}

function withoutSharded(
  homes: ReadonlySet<ShardId>,
  anywhere: readonly ShardId[] | undefined,
  context: PlanContext,
): Reach {
  const none = { scatter: undefined, group: undefined };
  const [home] = homes;
  if (home === undefined) {
    const shards = anywhere ?? context.currentShards();
    return { single: { kind: 'any', shards }, certain: true, problem: '', ...none };
  }
  const reachable = homes.size === 1 && (anywhere === undefined || anywhere.includes(home));
  if (reachable)
    return { single: { kind: 'fixed', shard: home }, certain: true, problem: '', ...none };
  const problem =
    'statements over unsharded tables of different shards: put the tables on one shard, or make the smaller ones reference tables';
  return refused(problem);
}

/** One key, or keys that come out on one shard when the literals are known. */
function singleTarget(
  groups: readonly KeyGroup[],
  homes: ReadonlySet<ShardId>,
): { target: ShardTarget; certain: boolean } | undefined {
  const targets: ShardTarget[] = [...homes].map((shard) => ({ kind: 'fixed', shard }));
  const seen = new Set<KeyGroup>();
  let certain = true;
  for (const group of groups) {
    const pinned = pinnedGroup(group);
    if (pinned === undefined) return undefined;
    if (seen.has(pinned)) continue;
    seen.add(pinned);
    const condition = conditionOf(pinned);
    if (condition.kind === 'equal') certain &&= isCertain(condition.value);
    targets.push(keyTarget(pinned, condition));
  }
  const [only] = targets;
  if (only === undefined) return undefined;
  if (targets.length === 1) return { target: only, certain };
  return { target: { kind: 'agreeing', targets }, certain: true };
}

/** The group itself, or the outer one its key equals, that a single value is given for. */
function pinnedGroup(group: KeyGroup): KeyGroup | undefined {
  for (let at: KeyGroup | undefined = group; at !== undefined; at = at.anchor) {
    const { kind } = conditionOf(at);
    if (kind === 'equal' || kind === 'none') return at;
  }
  return undefined;
}

function scatterOf({
  groups,
  homes,
  outermost,
}: {
  readonly groups: readonly KeyGroup[];
  readonly homes: ReadonlySet<ShardId>;
  readonly outermost: QueryBlock | undefined;
}): Reach {
  if (homes.size > 0) {
    return refused(
      'statements that combine sharded and unsharded tables: make the unsharded table a reference table',
    );
  }
  const [group, ...others] = outermost?.links.groups ?? [];
  if (outermost === undefined || group === undefined) {
    return refused(
      'subqueries, derived tables and set operations over sharded tables unless one value is given for every shard key',
    );
  }
  if (others.length > 0) return refused(ACROSS_STRATEGIES);
  if (outermost.links.problem !== undefined) return refused(outermost.links.problem);
  if (groups.some((other) => other !== group && !isAnchored(other, group))) {
    return refused(
      'subqueries over sharded tables whose shard key does not equal the outer one: join on the shard key, or give it a value',
    );
  }
  const scatter = keyTarget(group, conditionOf(group));
  return { single: undefined, certain: false, scatter, group, problem: '' };
}

function isAnchored(group: KeyGroup, to: KeyGroup): boolean {
  for (let at = group.anchor; at !== undefined; at = at.anchor) if (at === to) return true;
  return false;
}

/** The refusal of a statement that no target fits. */
export function unreachableBy(reach: Reach): Error {
  return notSupported(reach.problem === '' ? ACROSS_STRATEGIES : reach.problem);
}
