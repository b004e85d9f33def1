import { positionOfKey } from './key-hash.ts';
import type { KeyBound, RoutingKey, ShardId, Strategy } from './strategy.ts';

/** What decides a ring: nothing else does, so that every proxy and every restart computes the same. */
export interface HashRingOptions {
  readonly name: string;
  readonly shards: readonly ShardId[];
  /** Places on the ring of a shard of weight 1. */
  readonly virtualNodes: number;
  /** 1 for shards that are not named. */
  readonly weights?: ReadonlyMap<ShardId, number>;
}

/** Buckets by the upper bits of a position, about one for each place: an owner is found in one or two steps. */
const BUCKET_BITS_MAX = 20;
const OWNERS_MAX = 65_536;

/**
 * A consistent-hash ring. Each shard has many places on a ring of 2^32 positions; a key belongs to
 * the next place at or after its own position. A shard that is added takes its places out of the
 * others' arcs, so no key moves between old shards.
 */
export class HashRing implements Strategy {
  readonly kind = 'hash';
  readonly selfContained = true;
  readonly name: string;
  readonly shards: readonly ShardId[];
  readonly #positions: Uint32Array;
  readonly #owners: Uint16Array;
  /** Of each bucket the first place that is not before it. */
  readonly #buckets: Uint32Array;
  /** From a position to its bucket. */
  readonly #shift: number;

  constructor(options: HashRingOptions) {
    this.name = options.name;
    this.shards = options.shards;
    const places = placesOf(options);
    if (places.length === 0) throw new Error(`hash ring ${options.name} has no places`);
    const byName = [...options.shards].sort();
    const owners = byName.map((shard) => options.shards.indexOf(shard));
    this.#positions = new Uint32Array(places.length);
    this.#owners = new Uint16Array(places.length);
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as number;
      this.#positions[i] = Math.floor(place / OWNERS_MAX);
      this.#owners[i] = owners[place % OWNERS_MAX] as number;
    }
    const bits = Math.min(BUCKET_BITS_MAX, Math.ceil(Math.log2(places.length + 1)));
    this.#shift = 32 - bits;
    this.#buckets = bucketsOf(this.#positions, bits);
  }

  shardOf(key: RoutingKey): ShardId {
    return this.ownerOf(positionOfKey(key));
  }

  /** The shard that owns a position of the ring. */
  ownerOf(position: number): ShardId {
    const positions = this.#positions;
    let place = this.#buckets[position >>> this.#shift] as number;
    while (place < positions.length && (positions[place] as number) < position) place++;
    if (place === positions.length) place = 0;
    return this.shards[this.#owners[place] as number] as ShardId;
  }

  shardsBetween(low: KeyBound, high: KeyBound): readonly ShardId[] {
    const isOneKey =
      low.key !== undefined && low.key === high.key && low.inclusive && high.inclusive;
    return isOneKey && low.key !== undefined ? [this.shardOf(low.key)] : this.shards;
  }

  /** The arcs of the ring in order: positions up to and including `until` belong to `shard`. */
  *arcs(): Generator<{ readonly until: number; readonly shard: ShardId }> {
    for (const [index, until] of this.#positions.entries()) {
      yield { until, shard: this.shards[this.#owners[index] as number] as ShardId };
    }
  }
}

/**
 * Every place as position × OWNERS_MAX + rank of the shard's name, in order. Two shards at one
 * position: the name decides, as the order in the file must not.
 * A shard's places are the hashes of `name#0`, `name#1`, …
 */
function placesOf(options: HashRingOptions): Float64Array {
  const byName = [...options.shards].sort();
  const counts = byName.map((shard) =>
    Math.round(options.virtualNodes * (options.weights?.get(shard) ?? 1)),
  );
  const places = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let filled = 0;
  for (const [rank, shard] of byName.entries()) {
    const count = counts[rank] as number;
    for (let i = 0; i < count; i++) {
      places[filled++] = positionOfKey(`${shard}#${i}`) * OWNERS_MAX + rank;
    }
  }
  return places.sort();
}

function bucketsOf(positions: Uint32Array, bits: number): Uint32Array {
  const buckets = new Uint32Array(2 ** bits);
  let place = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const start = bucket * 2 ** (32 - bits);
    while (place < positions.length && (positions[place] as number) < start) place++;
    buckets[bucket] = place;
  }
  return buckets;
}
