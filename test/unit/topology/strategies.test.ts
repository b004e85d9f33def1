import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryMap } from '../../../src/topology/directory.ts';
import { HashRing } from '../../../src/topology/hash-ring.ts';
import { positionOfKey } from '../../../src/topology/key-hash.ts';
import { compareDecimals, keyOrder } from '../../../src/topology/key-order.ts';
import { canonicalDecimal } from '../../../src/topology/key-value.ts';
import { type KeyRange, RangeMap } from '../../../src/topology/range-map.ts';
import {
  type KeyBound,
  type RoutingKey,
  type ShardId,
  shardIds,
} from '../../../src/topology/strategy.ts';

const VIRTUAL_NODES = 1_024;
const shardNames = (count: number, prefix = 's') =>
  shardIds(Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`));
const ringOf = (shards: readonly ShardId[], weights: readonly [string, number][] = []) =>
  new HashRing({
    name: 'h',
    shards,
    virtualNodes: VIRTUAL_NODES,
    weights: new Map(weights) as unknown as ReadonlyMap<ShardId, number>,
  });

const KEYS_OF_KIND: Readonly<Record<string, (i: number) => RoutingKey>> = {
  'sequential ids': (i) => i + 1,
  'ids beyond 2^53': (i) => 2n ** 60n + BigInt(i),
  uuids: () => randomBytes(16).toString('hex'),
  emails: (i) => `user${i}@example.com`,
};

/** The largest share of the keys that one shard has, as a multiple of the mean. */
function largestShare(ring: HashRing, keyAt: (i: number) => RoutingKey, keys: number): number {
  const counts = new Map<string, number>();
  for (let i = 0; i < keys; i++) {
    const shard = ring.shardOf(keyAt(i));
    counts.set(shard, (counts.get(shard) ?? 0) + 1);
  }
  return Math.max(...counts.values()) / (keys / ring.shards.length);
}

test('the hash is the one that servers compute', () => {
  // SELECT … on MariaDB 10.11 and MySQL 9.7; the integration test compares many more.
  expect(positionOfKey(null)).toBe(0);
  expect([7, '7', 7n].map(positionOfKey)).toEqual(Array(3).fill(positionOfKey('7')));
  expect([1, 2, 'acme'].map(positionOfKey)).toEqual([593688466, 2311968248, 2332695639]);
});

test('an integer hashes as its decimal text', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (key) => positionOfKey(key) === positionOfKey(String(key))),
  );
  for (const key of [0, 9, 10, -1, 2 ** 31 - 1, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
    expect(positionOfKey(key)).toBe(positionOfKey(String(key)));
  }
});

test.each(
  [4, 16, 64].flatMap((shards) => Object.keys(KEYS_OF_KIND).map((kind) => ({ shards, kind }))),
)(
  'over $shards shards the largest share of $kind is at most 1.15 times the mean',
  ({ shards, kind }) => {
    const keyAt = KEYS_OF_KIND[kind] as (i: number) => RoutingKey;

    expect(largestShare(ringOf(shardNames(shards)), keyAt, 200_000)).toBeLessThanOrEqual(1.15);
  },
);

test('a shard that is added takes its share from all others, and no key moves between them', () => {
  const before = ringOf(shardNames(8));
  const after = ringOf(shardNames(9));
  let moved = 0;
  for (let key = 0; key < 90_000; key++) {
    const [old, now] = [before.shardOf(key), after.shardOf(key)];
    if (old === now) continue;
    moved++;
    expect(now).toBe('s9');
  }

  expect(moved / 90_000).toBeGreaterThan(0.09);
  expect(moved / 90_000).toBeLessThan(0.13);
});

test('neither the order of shards in the file nor that of a restart changes a home', () => {
  const shards = shardNames(7);
  const one = ringOf(shards);
  const other = ringOf(shards.toReversed());

  for (let key = 0; key < 10_000; key++) expect(other.shardOf(key)).toBe(one.shardOf(key));
});

test('a weight multiplies the share', () => {
  const ring = ringOf(shardNames(3), [
    ['s1', 2],
    ['s3', 0],
  ]);
  let onFirst = 0;
  for (let key = 0; key < 60_000; key++) if (ring.shardOf(key) === 's1') onFirst++;

  expect(onFirst / 60_000).toBeCloseTo(2 / 3, 1);
  expect([...ring.arcs()].some(({ shard }) => shard === 's3')).toBe(false);
});

test('the owner of a position is that of the next place on the ring', () => {
  const ring = ringOf(shardNames(5));
  const arcs = [...ring.arcs()];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (position) => {
      const next = arcs.find(({ until }) => until >= position) ?? arcs[0];
      expect(ring.ownerOf(position)).toBe(next?.shard);
    }),
  );
  for (const { until, shard } of arcs.slice(0, 50)) expect(ring.ownerOf(until)).toBe(shard);
});

const integers = keyOrder({ kind: 'integer', unsigned: false, bytes: 8 }, '');
const none: KeyBound = { key: undefined, inclusive: false };
const [a, b, c] = shardNames(3) as [ShardId, ShardId, ShardId];

function rangesAt(bounds: readonly RoutingKey[], order = integers): RangeMap {
  const owners = [a, b, c, a, b, c];
  const ranges: KeyRange[] = [...bounds, undefined].map((below, i) => ({
    below,
    shard: owners[i] as ShardId,
  }));
  return new RangeMap({ name: 'r', ranges, order });
}

test('a bound belongs to the range above it; the ends are open; NULL is in the lowest', () => {
  const map = rangesAt([10, 20]);

  expect(
    [-5, 9, 10, 19, 20, 1e15, 2n ** 63n, -(2n ** 63n), null].map((key) => map.shardOf(key)),
  ).toEqual([a, a, b, b, c, c, c, a, a]);
});

test.each<[string, KeyBound, KeyBound, readonly ShardId[]]>([
  ['everything', none, none, [a, b, c]],
  ['k < 10', none, { key: 10, inclusive: false }, [a]],
  ['k <= 10', none, { key: 10, inclusive: true }, [a, b]],
  ['k > 9', { key: 9, inclusive: false }, none, [a, b, c]],
  ['k >= 20', { key: 20, inclusive: true }, none, [c]],
  ['10..19', { key: 10, inclusive: true }, { key: 19, inclusive: true }, [b]],
  ['10..<20', { key: 10, inclusive: true }, { key: 20, inclusive: false }, [b]],
  ['nothing', { key: 25, inclusive: true }, { key: 5, inclusive: true }, []],
])('of three ranges %s asks the shards that overlap', (_, low, high, shards) => {
  expect(rangesAt([10, 20]).shardsBetween(low, high)).toEqual(shards);
});

test('every key of an interval lives on a shard that the interval asks', () => {
  const key = fc.oneof(
    fc.integer({ min: -50, max: 50 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 5 }),
      key,
      key,
      key,
      fc.boolean(),
      fc.boolean(),
      (bounds, low, high, probe, lowInclusive, highInclusive) => {
        const map = rangesAt(bounds.toSorted((x, y) => x - y));
        const isInside =
          (lowInclusive ? probe >= low : probe > low) &&
          (highInclusive ? probe <= high : probe < high);
        const asked = map.shardsBetween(
          { key: low, inclusive: lowInclusive },
          { key: high, inclusive: highInclusive },
        );
        if (isInside) expect(asked).toContain(map.shardOf(probe));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('bounds that do not ascend are refused', () => {
  expect(() => rangesAt([20, 10])).toThrow('does not ascend');
  expect(() => rangesAt([10, 10])).toThrow('does not ascend');
});

test('decimals compare by value', () => {
  const decimal = fc
    .tuple(fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }), fc.integer({ min: 0, max: 6 }))
    .map(([digits, scale]) => ({
      value: digits * 10n ** BigInt(6 - scale),
      text: placed(digits, scale),
    }));
  fc.assert(
    fc.property(decimal, decimal, (x, y) => {
      const order = compareDecimals(canonicalDecimal(x.text) ?? '', canonicalDecimal(y.text) ?? '');
      expect(Math.sign(order)).toBe(x.value < y.value ? -1 : x.value > y.value ? 1 : 0);
    }),
  );
});

/** 1234 with 2 places is 12.34. */
function placed(digits: bigint, scale: number): string {
  const sign = digits < 0n ? '-' : '';
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
  return `${sign}${text.slice(0, text.length - scale)}.${text.slice(text.length - scale)}`;
}

test('padded text goes on with the weight of a space', () => {
  const order = keyOrder({ kind: 'text', charset: 'latin1', collation: 'latin1_swedish_ci' }, ' ');

  expect(['a\t', 'a', 'a!', 'ab'].toSorted(order)).toEqual(['a\t', 'a', 'a!', 'ab']);
  expect(['ab', 'a!', 'a', 'a\t'].toSorted(order)).toEqual(['a\t', 'a', 'a!', 'ab']);
});

test('a directory knows its pins and what its owner adds, and nothing else', () => {
  const entries = new Map<RoutingKey, ShardId>();
  const directory = new DirectoryMap({
    name: 'd',
    shards: [a, b],
    pins: new Map([['acme', b]]),
    entries,
  });

  expect(directory.shardOf('acme')).toBe(b);
  expect(directory.shardOf('new')).toBeUndefined();
  entries.set('new', a);
  expect(directory.shardOf('new')).toBe(a);
  expect(directory.shardsBetween(none, { key: 'x', inclusive: true })).toEqual([a, b]);
});
