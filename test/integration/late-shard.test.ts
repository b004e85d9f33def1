import { expect, test } from 'vitest';
import { describeServers, startOwnServer, useServers } from '../support/mysql-servers.ts';
import { startTestProxy } from '../support/test-proxy.ts';

const DATABASE = 'late_shard';

await describeServers('a shard that is down when the proxy starts', (flavour) => {
  test('is read when it comes up; statements for the others are served meanwhile', async () => {
    const [first] = await useServers({ count: 1, flavour });
    const second = await startOwnServer({ flavour });
    const options = {
      servers: [first as typeof second.address, second.address],
      databases: `  ${DATABASE}:
    default: s2
    strategies:
      r: { type: range, ranges: [{ below: 100, shard: s1 }, { shard: s2 }] }
    tables:
      t: { key: id, strategy: r }`,
    };
    try {
      const before = await startTestProxy({ ...options, createDatabases: [DATABASE] });
      const setup = await before.connect({ database: DATABASE });
      await setup.query('CREATE TABLE t (id INT PRIMARY KEY)');
      await setup.query('CREATE TABLE whole (id INT PRIMARY KEY)');
      await setup.query('INSERT INTO t VALUES (1), (200)');
      await setup.end();
      await before.proxy.stop();
      await second.kill();

      const proxy = await startTestProxy({ ...options, createDatabases: [] });
      const client = await proxy.connect({ database: DATABASE });
      const [rows] = await client.query('SELECT id FROM t WHERE id = 1');
      expect(rows).toEqual([{ id: 1 }]);
      await expect(client.query('SELECT id FROM t WHERE id = 200')).rejects.toThrow(/s2/);

      await second.restart();
      await expect
        .poll(
          () =>
            client.query('SELECT id FROM t ORDER BY id').then(
              ([found]) => found,
              () => [],
            ),
          {
            timeout: 20_000,
          },
        )
        .toEqual([{ id: 1 }, { id: 200 }]);
      const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
      const metrics = () => fetch(`http://${host}:${port}/metrics`).then((reply) => reply.text());
      // The second snapshot has the tables of the shard that came late.
      await expect.poll(metrics, { timeout: 20_000 }).toMatch(/^shardgate_topology_generation 2$/m);
      await client.query('INSERT INTO whole VALUES (1)');
      await client.query('INSERT INTO t VALUES (2), (300)');
      await proxy.stop();
    } finally {
      await second.stop();
    }
  });
});
