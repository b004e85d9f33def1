import { expect, test } from 'vitest';
import { buildTopology, type Schemas } from '../../../src/topology/build-topology.ts';
import { readConfig } from '../../../src/topology/config-file.ts';
import type { KeyType } from '../../../src/topology/strategy.ts';
import type { TableSchema } from '../../../src/topology/table-schema.ts';
import { type Placement, shardsOfTable, tableOf } from '../../../src/topology/topology.ts';
import { TopologyStore } from '../../../src/topology/topology-store.ts';

const INTEGER: KeyType = { kind: 'integer', unsigned: false, bytes: 8 };
const TEXT: KeyType = { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };

const STRATEGIES = `
      h: { type: hash, shards: [s1, s2], weights: { s2: 2 } }
      words: { type: range, ranges: [{ below: a, shard: s1 }, { below: B, shard: s2 }, { shard: s3 }] }
      ids: { type: range, ranges: [{ below: 10, shard: s1 }, { below: 9, shard: s2 }, { shard: s3 }] }
      d: { type: directory, shards: [s1], pins: { '7': s1 } }`;
const TABLES = `
      a: { key: id, strategy: h }
      b: { key: id, strategy: h }
      c: { key: name, strategy: h }
      w: { key: name, strategy: words }
      i: { key: id, strategy: ids }
      j: { key: id, strategy: ids }
      e: { key: ID, strategy: d }
      r: reference
      x: { shard: s4 }`;

function build(tables: string, schemas: Schemas = new Map(), generation = 1) {
  const file = readConfig(
    `users: { u: { password: p } }
shards: { s1: { host: a }, s2: { host: b }, s3: { host: c }, s4: { host: d } }
databases:
  shop:
    default: s3
    strategies:${STRATEGIES}
    tables:${tables}
`,
    {},
  );
  if (!file.ok) throw new Error(JSON.stringify(file.problems));
  const built = buildTopology({
    generation,
    config: file.config,
    schemas,
    caches: { weightOf: (_, text) => text.toUpperCase(), padOf: () => ' ' },
    directoryOf: () => new Map(),
  });
  const shop = built.topology.databases.get('shop');
  if (shop === undefined) throw new Error('no database');
  return { ...built, shop, file };
}

function tableWith(...columns: readonly [string, KeyType | undefined][]): TableSchema {
  return {
    columns: columns.map(([name, keyType]) => ({
      name,
      dataType: 'x',
      columnType: 'x',
      nullable: true,
      hasDefault: true,
      generatedAlways: false,
      charset: undefined,
      collation: undefined,
      keyType,
    })),
    primaryKey: [],
    uniqueKeys: [],
    autoIncrementColumn: undefined,
    isView: false,
  };
}

const full = tableWith(['id', INTEGER], ['name', TEXT]);
const SCHEMAS: Schemas = new Map([
  ['shop', new Map([...'abcwijerx', 'other'].map((name) => [name, full]))],
]);

const shardedBy = (placement: Placement) => {
  if (placement.kind !== 'sharded') throw new Error(placement.kind);
  return placement;
};

test('tables stand where the config says; others are whole on the default shard', () => {
  const { shop } = build(TABLES, SCHEMAS);

  expect(shardsOfTable(tableOf(shop, 'a'))).toEqual(['s1', 's2']);
  expect(shardsOfTable(tableOf(shop, 'r'))).toEqual(['s3', 's1', 's2', 's4']);
  expect(shardsOfTable(tableOf(shop, 'x'))).toEqual(['s4']);
  expect(shardsOfTable(tableOf(shop, 'other'))).toEqual(['s3']);
  expect(shardsOfTable(tableOf(shop, 'unheard'))).toEqual(['s3']);
  expect(tableOf(shop, 'other').schema).toBe(full);
});

test('an instance of a strategy is for keys of one kind, since only those are co-located', () => {
  const { shop } = build(TABLES, SCHEMAS);
  const strategyOf = (table: string) => shardedBy(tableOf(shop, table).placement).strategy;

  expect(strategyOf('a')).toBe(strategyOf('b'));
  expect(strategyOf('a')).not.toBe(strategyOf('c'));
  expect(strategyOf('a').shards).toEqual(strategyOf('c').shards);
});

test('text bounds are in order by the column, and bounds that are not are one problem', () => {
  const { shop, problems, file } = build(TABLES, SCHEMAS);

  expect(problems).toEqual([
    {
      path: ['databases', 'shop', 'strategies', 'ids', 'ranges', 1, 'below'],
      message: 'must be greater than the one before it',
    },
  ]);
  expect(problems.map((problem) => file.ok && file.locate(problem).line)).toEqual([9]);
  const { strategy, keyTypes } = shardedBy(tableOf(shop, 'w').placement);
  expect(keyTypes).toEqual([TEXT]);
  expect(['9', 'A', 'AZ', 'B'].map((key) => strategy.shardOf(key))).toEqual([
    's1',
    's2',
    's2',
    's3',
  ]);
  const wrong = shardedBy(tableOf(shop, 'i').placement);
  expect(wrong.keyTypes).toEqual([undefined]);
  expect([wrong.strategy.kind, wrong.strategy.shards]).toEqual(['range', ['s1', 's2', 's3']]);
});

test('without tables text bounds are taken as they stand, and numbers are checked all the same', () => {
  const { problems } = build(' {}');

  expect(problems.map(({ path }) => path[3])).toEqual(['ids']);
});

test('pins are keys of the column, whose name compares without case', () => {
  const { strategy } = shardedBy(tableOf(build(TABLES, SCHEMAS).shop, 'e').placement);

  expect(strategy.shardOf(7)).toBe('s1');
  expect(strategy.shardOf('7')).toBeUndefined();
});

test('a snapshot takes the place of an older one only', () => {
  const [first, second] = [build(TABLES, SCHEMAS, 1).topology, build(TABLES, SCHEMAS, 2).topology];
  const store = new TopologyStore(first);
  const seen: [number, number][] = [];
  const stop = store.onSwap((now, before) => seen.push([now.generation, before.generation]));
  store.swap(second);
  stop();

  expect(store.current()).toBe(second);
  expect(seen).toEqual([[2, 1]]);
  expect(() => store.swap(first)).toThrow('not newer');
});
