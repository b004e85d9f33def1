import { hash } from 'node:crypto';
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

/** Buckets by the upper 16 bits of a position: a key's owner is found in one or two steps. */
const BUCKET_BITS = 16;
const OWNERS_MAX = 65_536;
const WORDS_PER_DIGEST = 8;

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

  constructor(options: HashRingOptions) {
    this.name = options.name;
    this.shards = options.shards;
    const places = placesOf(options);
    if (places.length === 0) throw new Error(`hash ring ${options.name} has no places`);
    this.#positions = Uint32Array.from(places, (place) => Math.floor(place / OWNERS_MAX));
    const byName = [...options.shards].sort();
    const owners = byName.map((shard) => options.shards.indexOf(shard));
    this.#owners = Uint16Array.from(places, (place) => owners[place % OWNERS_MAX] as number);
    this.#buckets = bucketsOf(this.#positions);
  }

  shardOf(key: RoutingKey): ShardId {
    return this.ownerOf(positionOfKey(key));
  }

  /** The shard that owns a position of the ring. */
  ownerOf(position: number): ShardId {
    const positions = this.#positions;
    let place = this.#buckets[position >>> (32 - BUCKET_BITS)] as number;
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
 * position: the name decides, as the order in the file must not. A shard's places are the words of SHA-256 of `name#0`, `name#1`, …
 */
function placesOf(options: HashRingOptions): Float64Array {
  const places: number[] = [];
  let digest = Buffer.alloc(0);
  for (const [rank, shard] of [...options.shards].sort().entries()) {
    const count = Math.round(options.virtualNodes * (options.weights?.get(shard) ?? 1));
    for (let i = 0; i < count; i++) {
      const word = i % WORDS_PER_DIGEST;
      if (word === 0) digest = hash('sha256', `${shard}#${i / WORDS_PER_DIGEST}`, 'buffer');
      places.push(digest.readUInt32BE(4 * word) * OWNERS_MAX + rank);
    }
  }
  return Float64Array.from(places).sort();
}

function bucketsOf(positions: Uint32Array): Uint32Array {
  const buckets = new Uint32Array(2 ** BUCKET_BITS);
  let place = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const start = bucket * 2 ** (32 - BUCKET_BITS);
    while (place < positions.length && (positions[place] as number) < start) place++;
    buckets[bucket] = place;
  }
  return buckets;
}
