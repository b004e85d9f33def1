import { afterAll, beforeAll, expect, test } from 'vitest';
import { CollationWeights } from '../../src/backend/collation-weights.ts';
import { ControlConnections } from '../../src/backend/control-connection.ts';
import { DirectoryStore } from '../../src/backend/directory-store.ts';
import { ensureMetadataSchema } from '../../src/backend/metadata-schema.ts';
import { ShardLookups } from '../../src/backend/routing-lookups.ts';
import { MetadataSequences } from '../../src/backend/sequences.ts';
import { TopologyLoader } from '../../src/backend/topology-loader.ts';
import { ProxyError } from '../../src/errors/proxy-error.ts';
import { ShardError } from '../../src/errors/shard-error.ts';
import { readConfig } from '../../src/topology/config-file.ts';
import type { ProxyConfig, ShardConfig } from '../../src/topology/config-schema.ts';
import type { RoutingLookup } from '../../src/topology/routing-caches.ts';
import { type ShardId, shardIds } from '../../src/topology/strategy.ts';
import { type Placement, type Topology, tableOf } from '../../src/topology/topology.ts';
import { describeServers, type ServerAddress, useServers } from '../support/mysql-servers.ts';

const DATABASE = 'topology_loader';
const [s1, s2] = shardIds(['s1', 's2']) as [ShardId, ShardId];

const TABLES = {
  users:
    'id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) DEFAULT "x", UNIQUE KEY by_name (name)',
  orders:
    'id INT, user_id INT NOT NULL, total DECIMAL(10,2) AS (id * 2), PRIMARY KEY (id, user_id)',
  events: 'at DATETIME(3), what TEXT',
  words: 'word VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY',
  notes: 'tenant VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY',
  countries: 'code CHAR(2) PRIMARY KEY',
  constructor: 'id INT',
};

function databaseConfig(): Record<string, unknown> {
  return {
    default: 's1',
    strategies: {
      h: { type: 'hash', shards: ['s1', 's2'] },
      days: { type: 'range', ranges: [{ below: '2026-01-01', shard: 's1' }, { shard: 's2' }] },
      letters: { type: 'range', ranges: [{ below: 'M', shard: 's1' }, { shard: 's2' }] },
      d: { type: 'directory', shards: ['s1', 's2'], pins: { Acme: 's2' } },
    },
    tables: {
      users: { key: 'id', strategy: 'h', generate: { id: 'sequence' } },
      orders: { key: 'user_id', strategy: 'h' },
      events: { key: 'at', strategy: 'days' },
      words: { key: 'word', strategy: 'letters' },
      notes: { key: 'tenant', strategy: 'd' },
      countries: 'reference',
    },
  };
}

function configFor(
  servers: readonly ServerAddress[],
  more: Record<string, unknown> = {},
): ProxyConfig {
  const shards = Object.fromEntries(
    servers.map(({ host, port, user, password }, i) => [
      `s${i + 1}`,
      { host, port, user, password },
    ]),
  );
  const text = JSON.stringify({
    users: { a: { password: 'a' } },
    shards,
    databases: { [DATABASE]: databaseConfig() },
    limits: { sequence_block: 10 },
    ...more,
  });
  const config = readConfig(text, {});
  if (!config.ok) throw new Error(JSON.stringify(config.problems));
  return config.config;
}

const shardsOf = (config: ProxyConfig) =>
  new Map(Object.entries(config.shards)) as unknown as ReadonlyMap<ShardId, ShardConfig>;

/** What one proxy has of its own. */
function proxyParts(config: ProxyConfig) {
  const control = new ControlConnections({ shards: shardsOf(config), connectTimeoutMs: 5_000 });
  const weights = new CollationWeights(control, { entriesMax: 1_000 });
  const directories = new DirectoryStore(control, { entriesMax: 1_000 });
  const loader = new TopologyLoader({ control, weights, directories });
  return { control, weights, directories, loader };
}

function sharded(topology: Topology, table: string): Extract<Placement, { kind: 'sharded' }> {
  const { placement } = tableOf(topology.databases.get(DATABASE) as never, table);
  if (placement.kind !== 'sharded') throw new Error(`${table} is ${placement.kind}`);
  return placement;
}

await describeServers('topologies made from shards', (flavour) => {
  let config: ProxyConfig;
  let parts: ReturnType<typeof proxyParts>;

  beforeAll(async () => {
    config = configFor(await useServers({ count: 2, flavour }));
    parts = proxyParts(config);
    for (const shard of [s1, s2]) {
      await parts.control.query(shard, `DROP DATABASE IF EXISTS ${DATABASE}`);
      await parts.control.query(shard, `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4`);
      for (const [table, columns] of Object.entries(TABLES)) {
        if (shard === s2 && table === 'constructor') continue;
        await parts.control.query(shard, `CREATE TABLE ${DATABASE}.${table} (${columns})`);
      }
    }
    await Promise.all([
      ensureMetadataSchema(parts.control, [s1, s2]),
      ensureMetadataSchema(parts.control, [s1, s2]),
    ]);
    for (const table of ['sequences', 'directory_entries']) {
      await parts.control.query(s1, `DELETE FROM shardgate.${table} WHERE database_name = ?`, [
        DATABASE,
      ]);
    }
  });
  afterAll(() => parts.control.close());

  test('tables have the columns, keys and key types that the shards tell', async () => {
    const { topology, problems, drift } = await parts.loader.load(() => config);
    const database = topology.databases.get(DATABASE);
    const users = database?.tables.get('users');

    expect(problems).toEqual([]);
    expect(drift).toEqual([]);
    expect(
      users?.schema?.columns.map(({ name, dataType, nullable }) => [name, dataType, nullable]),
    ).toEqual([
      ['id', 'bigint', false],
      ['name', 'varchar', true],
    ]);
    expect(database?.tables.get('constructor')?.placement).toEqual({
      kind: 'unsharded',
      shard: s1,
    });
    expect(users?.schema?.primaryKey).toEqual(['id']);
    expect(users?.schema?.uniqueKeys).toEqual([{ name: 'by_name', columns: ['name'] }]);
    expect(users?.schema?.autoIncrementColumn).toBe('id');
    expect(database?.tables.get('orders')?.schema?.columns[2]?.generatedAlways).toBe(true);
    expect(sharded(topology, 'events').keyTypes).toEqual([{ kind: 'datetime', fraction: 3 }]);
  });

  test('tables with keys of one kind share their strategy, others do not', async () => {
    const { topology } = await parts.loader.load(() => config);

    expect(sharded(topology, 'users').strategy).toBe(sharded(topology, 'orders').strategy);
    expect(sharded(topology, 'words').strategy).not.toBe(sharded(topology, 'notes').strategy);
  });

  test('bounds and pins of text are those of the column, by its collation', async () => {
    const { topology } = await parts.loader.load(() => config);
    const letters = sharded(topology, 'words').strategy;
    const charset = 'utf8mb4';
    const collation = 'utf8mb4_general_ci';
    const keyOf = async (text: string) => {
      await parts.weights.load([{ kind: 'weight', charset, collation, text }], [s1]);
      return parts.weights.weightOf(collation, text) as string;
    };

    expect(letters.shardOf(await keyOf('lager'))).toBe(s1);
    expect(letters.shardOf(await keyOf('m'))).toBe(s2);
    expect(sharded(topology, 'notes').strategy.shardOf(await keyOf('ACME  '))).toBe(s2);
  });

  test('unchanged strategies are the same objects in the next snapshot', async () => {
    const before = await parts.loader.load(() => config);
    await parts.control.query(s1, `ALTER TABLE ${DATABASE}.users ADD age INT`);
    const torn = await parts.loader.refresh(() => config, DATABASE, ['users']);
    await parts.control.query(s2, `ALTER TABLE ${DATABASE}.users ADD age INT`);
    const after = await parts.loader.refresh(() => config, DATABASE, ['users']);

    expect(torn.drift.map(({ table, shard }) => [table, shard])).toEqual([['users', s2]]);
    expect(after.drift).toEqual([]);
    expect(after.topology.generation).toBeGreaterThan(before.topology.generation);
    expect(
      after.topology.databases.get(DATABASE)?.tables.get('users')?.schema?.columns,
    ).toHaveLength(3);
    expect(after.topology.databases.get(DATABASE)?.tables.get('words')?.schema).toBeDefined();
    expect(sharded(after.topology, 'orders').strategy).toBe(
      sharded(before.topology, 'orders').strategy,
    );
  });

  test('a key column that is missing, or cannot hold the bounds, is a problem with its place', async () => {
    const wrong = structuredClone(config);
    const database = wrong.databases[DATABASE] as NonNullable<(typeof wrong.databases)[string]>;
    database.tables.users = { key: 'uid', strategy: 'h', generate: {} };
    database.tables.orders = { key: 'user_id', strategy: 'days', generate: {} };
    const { problems, topology } = await parts.loader.load(() => wrong);

    expect(problems.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`)).toEqual([
      'tables.users.key: names uid, which is no column of the table',
      'strategies.days.ranges.0.below: is not a value of the key column (integer)',
    ]);
    expect(sharded(topology, 'users').keyTypes).toEqual([undefined]);
    expect(sharded(topology, 'orders').keyTypes).toEqual([undefined]);
  });

  test('two proxies that assign the same new keys at once agree', async () => {
    const other = proxyParts(config);
    const topology = (await parts.loader.load(() => config)).topology;
    const lookups: RoutingLookup[] = Array.from({ length: 50 }, (_, i) => ({
      kind: 'directory',
      database: DATABASE,
      strategy: 'd',
      key: `key${i}`,
    }));
    const resolve = (proxy: typeof parts, list: readonly RoutingLookup[], assign: boolean) =>
      new ShardLookups({ ...proxy, current: () => topology }).resolve(list, { assign });

    expect(await resolve(parts, lookups, false)).toHaveLength(50);
    await Promise.all([
      ...lookups.map((lookup) => resolve(parts, [lookup], true)),
      resolve(other, lookups.toReversed(), true),
    ]);
    expect(await resolve(other, lookups, false)).toEqual([]);
    const seen = parts.directories.entries(DATABASE, 'd');

    expect(seen.size).toBe(50);
    expect([...other.directories.entries(DATABASE, 'd')].sort()).toEqual([...seen].sort());
    const onS1 = [...seen.values()].filter((shard) => shard === s1).length;
    expect(onS1).toBeGreaterThan(15);
    expect(onS1).toBeLessThan(35);
    await other.control.close();
  });

  test('ids begin above those in the table, are consecutive, and are never given twice', async () => {
    await parts.control.query(s1, `INSERT INTO ${DATABASE}.users (id, name) VALUES (5, 'e')`);
    await parts.control.query(s2, `INSERT INTO ${DATABASE}.users (id, name) VALUES (900, 'f')`);
    const { topology } = await parts.loader.load(() => config);
    const other = proxyParts(config);
    const proxies = [parts, other].map(
      ({ control }) => new MetadataSequences(control, () => topology),
    );
    const taken: { first: bigint; count: number }[] = [];
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const count = 1 + (i % 13);
        const first = await proxies[i % 2]?.take(DATABASE, 'users', 'id', count);
        taken.push({ first: first as bigint, count });
      }),
    );
    // A proxy that crashed in the middle of a block: its successor starts with a fresh one.
    const successor = new MetadataSequences(parts.control, () => topology);
    taken.push({ first: await successor.take(DATABASE, 'users', 'id', 1), count: 1 });
    const ids = taken.flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, i) => first + BigInt(i)),
    );

    expect(ids.every((id) => id > 900n)).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    await other.control.close();
  });

  test('an id that a client chose itself pushes the sequence above it', async () => {
    const { topology } = await parts.loader.load(() => config);
    const sequences = new MetadataSequences(parts.control, () => topology);
    const first = await sequences.take(DATABASE, 'users', 'id', 1);
    await sequences.observe(DATABASE, 'users', 'id', first + 3n);

    expect(await sequences.take(DATABASE, 'users', 'id', 1)).toBeGreaterThan(first + 3n);
    await sequences.observe(DATABASE, 'users', 'id', 9_007_199_254_740_995n);
    expect(await sequences.take(DATABASE, 'users', 'id', 2)).toBe(9_007_199_254_740_996n);
  });

  test('errors of a shard come through; a shard that is down is named', async () => {
    const down = {
      ...config,
      shards: { ...config.shards, s3: { ...config.shards.s1, port: 1 } },
    } as ProxyConfig;
    const control = new ControlConnections({ shards: shardsOf(down), connectTimeoutMs: 1_000 });

    await expect(control.query(s1, 'SELECT nothing')).rejects.toMatchObject({
      errno: 1054,
      shard: 's1',
    });
    await expect(control.query(s1, 'SELECT nothing')).rejects.toBeInstanceOf(ShardError);
    const [s3] = shardIds(['s3']) as [ShardId];
    await expect(control.query(s3, 'SELECT 1')).rejects.toBeInstanceOf(ProxyError);
    await expect(control.query(s3, 'SELECT 1')).rejects.toThrow(/Shard s3 .* cannot be reached/);
    await control.close();
  });

  test('a shard that is down leaves the rest to be served, and what was known of it', async () => {
    const before = proxyParts(config);
    await before.loader.load(() => config);
    await before.control.setShards(
      new Map(
        [...shardsOf(config)].map(([shard, address]) => [
          shard,
          shard === s2 ? { ...address, port: 1 } : address,
        ]),
      ),
    );
    const { topology, unreachable, drift } = await before.loader.load(() => config);

    expect(unreachable).toEqual([s2]);
    expect(drift).toEqual([]);
    expect(sharded(topology, 'orders').keyTypes[0]).toMatchObject({ kind: 'integer' });
    expect(await ensureMetadataSchema(before.control, [s1, s2])).toEqual([s2]);
    await before.control.close();
  });

  test('a transaction commits as a whole or not at all, and a statement that takes too long is ended', async () => {
    const control = new ControlConnections({
      shards: shardsOf(config),
      connectTimeoutMs: 1_000,
      queryTimeoutMs: 200,
    });
    await control.transaction(s1, (session) =>
      session.query(`INSERT INTO ${DATABASE}.words VALUES ('kept')`),
    );
    const failing = control.transaction(s1, async (session) => {
      await session.query(`INSERT INTO ${DATABASE}.words VALUES ('lost')`);
      throw new Error('on purpose');
    });

    await expect(failing).rejects.toThrow('on purpose');
    const { rows } = await control.query(s1, `SELECT word FROM ${DATABASE}.words`);
    expect(rows).toEqual([{ word: 'kept' }]);
    await expect(control.query(s1, 'SELECT SLEEP(5)')).rejects.toBeInstanceOf(ProxyError);
    await control.close();
  });
});
