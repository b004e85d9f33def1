import type { KeyOrder } from './key-order.ts';
import type { KeyBound, RoutingKey, ShardId, Strategy } from './strategy.ts';

export interface KeyRange {
  /** Keys less than this; undefined for the last range, which takes the rest. */
  readonly below: RoutingKey | undefined;
  readonly shard: ShardId;
}

/**
 * Ranges of keys in ascending order, without gaps: each begins where the one before it ends, the
 * first at the least key, and NULL lives in it (MySQL sorts NULL first, and so do its partitions).
 */
export class RangeMap implements Strategy {
  readonly kind = 'range';
  readonly selfContained = true;
  readonly name: string;
  readonly shards: readonly ShardId[];
  readonly #bounds: readonly RoutingKey[];
  /** The bounds again when all of them are exact as doubles: a search over these is much faster. */
  readonly #numbers: Float64Array | undefined;
  readonly #owners: readonly ShardId[];
  readonly #order: KeyOrder;

  /** Throws when the bounds do not ascend or one before the last is missing. */
  constructor(options: {
    readonly name: string;
    readonly ranges: readonly KeyRange[];
    readonly order: KeyOrder;
  }) {
    const { name, ranges, order } = options;
    this.name = name;
    this.#owners = ranges.map(({ shard }) => shard);
    this.shards = [...new Set(this.#owners)];
    this.#bounds = ranges.slice(0, -1).map(({ below }) => below ?? null);
    this.#order = order;
    for (const [index, bound] of this.#bounds.entries()) {
      const before = index === 0 ? undefined : this.#bounds[index - 1];
      const ascends = before === undefined || (before !== null && order(before, bound) < 0);
      if (bound === null || !ascends) throw new Error(`range ${index} of ${name} does not ascend`);
    }
    const isPlain = this.#bounds.every((bound) => typeof bound === 'number');
    this.#numbers = isPlain ? Float64Array.from(this.#bounds as readonly number[]) : undefined;
  }

  shardOf(key: RoutingKey): ShardId {
    return this.#owners[key === null ? 0 : this.#indexOf(key)] as ShardId;
  }

  shardsBetween(low: KeyBound, high: KeyBound): readonly ShardId[] {
    const first = low.key === undefined || low.key === null ? 0 : this.#indexOf(low.key);
    let last = this.#owners.length - 1;
    if (high.key === null) last = 0;
    else if (high.key !== undefined) {
      last = this.#indexOf(high.key);
      const start = this.#bounds[last - 1];
      const isStart = start !== undefined && start !== null && this.#order(start, high.key) === 0;
      if (isStart && !high.inclusive) last--;
    }
    if (first === last) return [this.#owners[first] as ShardId];
    return [...new Set(this.#owners.slice(first, last + 1))];
  }

  /** The ranges as they were given: for SHOW SHARD MAP. */
  ranges(): readonly KeyRange[] {
    return this.#owners.map((shard, index) => ({ below: this.#bounds[index], shard }));
  }

  /** The number of bounds that are not above the key: the index of its range. */
  #indexOf(key: RoutingKey): number {
    if (this.#numbers !== undefined && typeof key === 'number')
      return countUpTo(this.#numbers, key);
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order(this.#bounds[middle] as RoutingKey, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function countUpTo(bounds: Float64Array, key: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] as number) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
