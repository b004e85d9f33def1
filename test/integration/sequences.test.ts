import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'sequences_test';

await describeServers('ids from sequences', (flavour) => {
  let proxy: TestProxy;

  beforeAll(async () => {
    proxy = await startTestProxy({
      servers: await useServers({ count: 2, flavour }),
      createDatabases: [DATABASE],
      databases: `  ${DATABASE}:
    default: s1
    strategies:
      h: { type: hash, shards: [s1, s2] }
    tables:
      users: { key: id, strategy: h, generate: { id: sequence } }
      orders: { key: user_id, strategy: h, generate: { id: sequence } }`,
    });
    const client = await proxy.connect({ database: DATABASE });
    await client.query(
      'CREATE TABLE users (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))',
    );
    await client.query('CREATE TABLE orders (id BIGINT PRIMARY KEY, user_id INT NOT NULL)');
  });
  afterAll(() => proxy.stop());

  test('many clients at once are given no id twice, and the ids of one statement are consecutive', async () => {
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => proxy.connect({ database: DATABASE })),
    );
    const given = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const [reply] = await (clients[i % 4] as (typeof clients)[0]).query<ResultSetHeader>(
          `INSERT INTO users (name) VALUES ('a${i}'), ('b${i}'), ('c${i}')`,
        );
        return [reply.insertId, i] as const;
      }),
    );
    const [rows] = await (clients[0] as (typeof clients)[0]).query<RowDataPacket[]>(
      'SELECT id, name FROM users ORDER BY id',
    );

    const names = new Map(rows.map((row) => [Number(row.id), row.name]));
    expect(names.size).toBe(180);
    for (const [first, i] of given) {
      const found = [0, 1, 2].map((offset) => names.get(first + offset));
      expect(found).toEqual([`a${i}`, `b${i}`, `c${i}`]);
    }
  });

  test.each(['users', 'orders'])(
    'ids of %s go on above those that clients chose themselves',
    async (table) => {
      const client = await proxy.connect({ database: DATABASE });
      const [columns, values] = table === 'users' ? ['name', "'x'"] : ['user_id', '7'];
      const insert = async (row: string): Promise<number> => {
        const [reply] = await client.query<ResultSetHeader>(`INSERT INTO ${table} ${row}`);
        return reply.insertId;
      };
      const first = await insert(`(${columns}) VALUES (${values})`);
      await insert(`(id, ${columns}) VALUES (${first + 1}, ${values}), (${first + 5}, ${values})`);
      const afterOwn = await insert(`(${columns}) VALUES (${values})`);
      await insert(`(id, ${columns}) VALUES ('${first + 50_000}', ${values})`);
      const afterFar = await insert(`SET ${columns} = ${values}`);

      expect(afterOwn).toBe(first + 6);
      expect(afterFar).toBe(first + 50_001);
    },
  );
});
