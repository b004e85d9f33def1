/**
 * What it costs to choose the shard for a key, beside a plain Map look-up for scale:
 * `npm exec -- node bench/micro/routing.ts`. Nanoseconds a call, the best of several rounds.
 */
import { DirectoryMap } from '../../src/topology/directory.ts';
import { HashRing } from '../../src/topology/hash-ring.ts';
import { keyOrder } from '../../src/topology/key-order.ts';
import { keyOfEqual } from '../../src/topology/key-value.ts';
import { RangeMap } from '../../src/topology/range-map.ts';
import {
  type RoutingKey,
  type ShardId,
  type Strategy,
  shardIds,
} from '../../src/topology/strategy.ts';

const SHARDS = 1_000;
const RANGES = 10_000;
const KEYS = 100_000;
const ROUNDS = 7;

const shards = shardIds(Array.from({ length: SHARDS }, (_, i) => `shard${i}`));
const integers = Array.from({ length: KEYS }, (_, i) => (i * 7_919) % 10_000_000);
const texts = integers.map((key) => `tenant-${key}`);
const shardAt = (i: number) => shards[i % SHARDS] as ShardId;

const started = performance.now();
const ring = new HashRing({ name: 'hash', shards, virtualNodes: 1_024 });
console.log(
  `a ring of ${SHARDS} shards is built in ${(performance.now() - started).toFixed(0)} ms`,
);

const integerRanges = new RangeMap({
  name: 'range',
  ranges: Array.from({ length: RANGES }, (_, i) => ({
    below: i === RANGES - 1 ? undefined : (i + 1) * 1_000,
    shard: shardAt(i),
  })),
  order: keyOrder({ kind: 'integer', unsigned: false, bytes: 8 }, ''),
});
const textRanges = new RangeMap({
  name: 'range',
  ranges: Array.from({ length: RANGES }, (_, i) => ({
    below: i === RANGES - 1 ? undefined : `tenant-${String(i).padStart(6, '0')}`,
    shard: shardAt(i),
  })),
  order: keyOrder({ kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_bin' }, ' '),
});
const entries = new Map<RoutingKey, ShardId>(texts.map((key, i) => [key, shardAt(i)]));
const directory = new DirectoryMap({ name: 'directory', shards, pins: new Map(), entries });

report('Map.get, text key', texts, (key) => entries.get(key));
report('hash, integer key', integers, strategy(ring));
report('hash, text key', texts, strategy(ring));
report('range, integer key', integers, strategy(integerRanges));
report('range, text key', texts, strategy(textRanges));
report('directory, text key', texts, strategy(directory));
const type = { kind: 'integer', unsigned: false, bytes: 8 } as const;
const literals = integers.map((key) => ({ type: 'integer' as const, text: String(key) }));
report('integer literal to key', literals, (literal) =>
  keyOfEqual(literal, type, { weightOf: () => undefined }),
);

function strategy(of: Strategy): (key: RoutingKey) => unknown {
  return (key) => of.shardOf(key);
}

function report<Key>(title: string, keys: readonly Key[], choose: (key: Key) => unknown): void {
  let best = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (const key of keys) if (choose(key) !== undefined) found++;
    best = Math.min(best, performance.now() - start);
  }
  if (found !== ROUNDS * keys.length) throw new Error(`${title}: not every key has a shard`);
  console.log(`${title.padEnd(24)} ${((best * 1e6) / keys.length).toFixed(0).padStart(6)} ns`);
}
