import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'topology_routing';
const WORDS = [
  'apple',
  'Äpfel',
  'ämter',
  'Banana',
  'm',
  'M ',
  'Mango',
  'lzz',
  'zebra',
  'straße',
  'ñu',
];

await describeServers('keys of every strategy through a proxy', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;

  beforeAll(async () => {
    proxy = await startTestProxy({
      servers: await useServers({ count: 2, flavour }),
      createDatabases: [DATABASE],
      databases: `  ${DATABASE}:
    default: s1
    strategies:
      h: { type: hash, shards: [s1, s2] }
      letters: { type: range, ranges: [{ below: m, shard: s1 }, { shard: s2 }] }
      days: { type: range, ranges: [{ below: 2026-01-01, shard: s1 }, { shard: s2 }] }
      tenants: { type: directory, shards: [s1, s2], pins: { acme: s2 } }
    tables:
      hashed: { key: word, strategy: h }
      ranged: { key: word, strategy: letters }
      dated: { key: day, strategy: days }
      owned: { key: tenant, strategy: tenants }`,
    });
    client = await proxy.connect({ database: DATABASE });
    const word = 'word VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY';
    await client.query(`CREATE TABLE hashed (${word})`);
    await client.query(`CREATE TABLE ranged (${word})`);
    await client.query('CREATE TABLE dated (day DATE PRIMARY KEY)');
    await client.query('CREATE TABLE owned (tenant VARCHAR(20) COLLATE utf8mb4_general_ci, n INT)');
  });
  afterAll(() => proxy.stop());

  /** What each shard itself holds. */
  async function onShards(sql: string): Promise<readonly unknown[][]> {
    const shards = await Promise.all(
      [0, 1].map((i) => proxy.connectShard(i, { database: DATABASE })),
    );
    const answers = await Promise.all(shards.map((shard) => shard.query<RowDataPacket[]>(sql)));
    return answers.map(([rows]) => rows.map((row) => Object.values(row)[0]));
  }

  async function column(sql: string): Promise<readonly unknown[]> {
    const [rows] = await client.query<RowDataPacket[]>(sql);
    return rows.map((row) => Object.values(row)[0]);
  }

  test.each(['hashed', 'ranged'])(
    'a word in %s is found under every spelling that is equal',
    async (table) => {
      const distinct = WORDS.filter((word) => word !== 'M ');
      for (const word of distinct) await client.query(`INSERT INTO ${table} VALUES (?)`, [word]);
      await expect(client.query(`INSERT INTO ${table} VALUES ('M ')`)).rejects.toMatchObject({
        errno: 1062,
      });

      for (const word of WORDS) {
        for (const spelling of [word, word.toUpperCase(), word.toLowerCase(), `${word}  `]) {
          const sql = `SELECT word FROM ${table} WHERE word = '${spelling}'`;
          const [one, two] = await onShards(sql);
          expect(await column(sql)).toEqual([...(one ?? []), ...(two ?? [])]);
        }
      }
      const [one, two] = await onShards(`SELECT word FROM ${table}`);
      expect((one?.length ?? 0) + (two?.length ?? 0)).toBe(distinct.length);
    },
  );

  test("a range of words is on the shard that the column's collation says", async () => {
    const [one, two] = await onShards('SELECT word FROM ranged');

    expect(one?.toSorted()).toEqual(['Banana', 'apple', 'lzz', 'Äpfel', 'ämter']);
    expect(two?.toSorted()).toEqual(['Mango', 'm', 'straße', 'zebra', 'ñu']);
    expect(
      await column("SELECT word FROM ranged WHERE word BETWEEN 'L' AND 'MA' ORDER BY word"),
    ).toEqual(['lzz', 'm']);
    expect(
      await column("SELECT word FROM ranged WHERE word < 'M' AND word > 'a' ORDER BY word"),
    ).toHaveLength(5);
  });

  test('days are where their range is', async () => {
    await client.query("INSERT INTO dated VALUES ('2025-12-31'), ('2026-01-01'), ('2030-05-05')");

    expect(await onShards('SELECT CAST(day AS CHAR) FROM dated')).toEqual([
      ['2025-12-31'],
      ['2026-01-01', '2030-05-05'],
    ]);
    expect(await column("SELECT COUNT(*) FROM dated WHERE day >= '2025-12-31'")).toEqual([3]);
  });

  test('tenants stay where they were first put; reading one that nobody has finds nothing', async () => {
    expect(await column("SELECT n FROM owned WHERE tenant = 'nobody'")).toEqual([]);
    for (let n = 0; n < 40; n++) {
      await client.query(`INSERT INTO owned VALUES ('${n % 2 ? 'T' : 't'}${n % 10}', ${n})`);
    }
    await client.query("INSERT INTO owned VALUES ('ACME', 100), ('acme ', 101)");
    const [one = [], two = []] = await onShards('SELECT LOWER(tenant) FROM owned');

    expect(one.filter((tenant) => two.includes(tenant))).toEqual([]);
    expect(new Set(one).size).toBeGreaterThan(3);
    expect(two.filter((tenant) => String(tenant).startsWith('acme'))).toHaveLength(2);
    expect(await column("SELECT COUNT(*) FROM owned WHERE tenant = 'T3'")).toEqual([4]);
    expect(await column('SELECT COUNT(*) FROM owned')).toEqual([42]);
  });
});

await describeServers('a config that the tables contradict', (flavour) => {
  test('stops the start, with the line of every problem', async () => {
    const servers = await useServers({ count: 2, flavour });
    const start = (key: string) =>
      startTestProxy({
        servers,
        createDatabases: key === 'id' ? [`${DATABASE}_wrong`] : [],
        databases: `  ${DATABASE}_wrong:
    default: s1
    strategies: { h: { type: hash, shards: [s1, s2] } }
    tables:
      t: { key: ${key}, strategy: h }`,
      });
    const proxy = await start('id');
    const client = await proxy.connect({ database: `${DATABASE}_wrong` });
    await client.query('CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP NULL)');

    await expect(start('uid')).rejects.toThrow(
      /:\d+:12: .*tables\.t\.key names uid, which is no column/,
    );
    await expect(start('at')).rejects.toThrow(/a column of type timestamp cannot be a shard key/);
    await proxy.stop();
  });
});
