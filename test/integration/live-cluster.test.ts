/** Several proxies on one map, and proxies that come back to it. */
import { readFile, writeFile } from 'node:fs/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RunningProxy, startProxy } from '../../src/proxy.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, TEST_PASSWORD, TEST_USER, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'live_cluster';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
      by_tenant: { type: directory, shards: [s1, s2] }
    tables:
      notes: { key: tenant, strategy: by_tenant }
      users: { key: id, strategy: by_id }`;

await describeServers('a cluster of proxies', (flavour) => {
  let one: TestProxy;
  let text: string;
  const others: RunningProxy[] = [];
  const open: Connection[] = [];

  beforeEach(async () => {
    const servers = await useServers({ count: 2, flavour });
    one = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    text = await readFile(one.configPath, 'utf8');
    const client = await one.connect({ database: DATABASE });
    await client.query('CREATE TABLE users (id INT NOT NULL PRIMARY KEY)');
    await client.query('CREATE TABLE notes (tenant VARCHAR(20) NOT NULL PRIMARY KEY)');
    await client.query(
      `INSERT INTO users VALUES ${Array.from({ length: 40 }, (_, id) => `(${id})`)}`,
    );
  });
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.destroy();
    for (const proxy of others.splice(0)) await proxy.stop();
    await one.stop();
  });

  async function startOther(content: string): Promise<{ path: string; client: Connection }> {
    const path = `${one.configPath}.${others.length}.yaml`;
    await writeFile(path, content);
    const proxy = await startProxy({ configPath: path, logLevel: 'silent' });
    others.push(proxy);
    return { path, client: await clientOf(proxy) };
  }

  async function clientOf(proxy: RunningProxy): Promise<Connection> {
    const { host, port } = proxy.address;
    const login = { host, port, user: TEST_USER, password: TEST_PASSWORD, database: DATABASE };
    const connection = await createConnection(login);
    open.push(connection);
    return connection;
  }

  async function show(client: Connection): Promise<{ version: number; problems: string }> {
    const [rows] = await client.query<RowDataPacket[]>('SHOW CONFIG');
    const problems = rows.slice(1).map((row) => String(row.message));
    return { version: Number(rows[0]?.version), problems: problems.join('\n') };
  }

  const versionOf = async (client: Connection) => (await show(client)).version;
  const WITH_TABLE = `${DATABASES}\n      later: { key: id, strategy: by_id }`;
  const GOOD = () => text.replace(DATABASES, WITH_TABLE);
  const STRANDING = () => text.replace('shards: [s1, s2] }', 'shards: [s1] }');

  test('an edit at one proxy is followed by the other within a second', async () => {
    const { client } = await startOther(text);
    expect(await versionOf(client)).toBe(1);
    await writeFile(one.configPath, GOOD());

    await expect.poll(() => versionOf(client), { timeout: 2_000 }).toBe(2);
    const [[later]] = await client.query<RowDataPacket[]>('SHOW SHARD MAP FOR later');
    expect(later?.placement).toBe('sharded');
  });

  test('of two saves at once both are recorded one after the other, or one hears of the other', async () => {
    const { path, client } = await startOther(text);
    const first = await one.connect({ database: DATABASE });
    for (let round = 0; round < 5; round++) {
      const before = await versionOf(client);
      const user = (name: string) =>
        text.replace('users:\n', `users:\n  ${name}${round}: { password: x }\n`);
      await Promise.all([writeFile(one.configPath, user('a')), writeFile(path, user('b'))]);

      await expect.poll(() => versionOf(client), { timeout: 5_000 }).toBeGreaterThan(before);
      await expect
        .poll(
          async () => {
            const [here, there] = [await show(first), await show(client)];
            const refused = [here, there].filter(({ problems }) =>
              /at the same moment/.test(problems),
            );
            return here.version === there.version && here.version === before + 2 - refused.length;
          },
          { timeout: 5_000 },
        )
        .toBe(true);
    }
    const [versions] = await client.query<RowDataPacket[]>('SHOW CONFIG VERSIONS');
    expect(new Set(versions.map((row) => row.version)).size).toBe(versions.length);
  });

  test('a proxy that starts with another file offers it as an edit', async () => {
    const good = await startOther(GOOD());
    expect(await show(good.client)).toEqual({ version: 2, problems: '' });

    const bad = await startOther(STRANDING());
    const { version, problems } = await show(bad.client);
    expect(version).toBe(2);
    expect(problems).toMatch(/\d+ rows on s2 would be at home on s1/);
    const [rows] = await bad.client.query<RowDataPacket[]>('SELECT * FROM users');
    expect(rows).toHaveLength(40);
  });

  test('a proxy that starts with an older version does not undo the newer one', async () => {
    await startOther(GOOD());
    const stale = await startOther(text);

    expect(await versionOf(stale.client)).toBe(2);
    // Nor does it when it is told to read its file again.
    await others.at(-1)?.reload();
    expect(await versionOf(stale.client)).toBe(2);
    const [[later]] = await stale.client.query<RowDataPacket[]>('SHOW SHARD MAP FOR later');
    expect(later?.placement).toBe('sharded');
  });

  test('a shard that is another server than it was stops the start', async () => {
    const ports = [...text.matchAll(/port: (\d+)/g)].map(([, port]) => port as string);
    const swapped = text
      .replace(`port: ${ports[0]}`, 'port: A')
      .replace(`port: ${ports[1]}`, `port: ${ports[0]}`)
      .replace('port: A', `port: ${ports[1]}`);
    await expect(startOther(swapped)).rejects.toThrow(/metadata of cluster .* is on shard s2/);
  });

  test('keys that two proxies assign at once have one home, and leave it with their shard', async () => {
    const { client } = await startOther(text);
    const first = await one.connect({ database: DATABASE });
    const tenants = Array.from({ length: 20 }, (_, index) => `tenant${index}`);
    for (const tenant of tenants) {
      await Promise.allSettled([
        first.query(`INSERT INTO notes VALUES ('${tenant}')`),
        client.query(`INSERT INTO notes VALUES ('${tenant}')`),
      ]);
    }
    for (const connection of [first, client]) {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT tenant FROM notes');
      expect(rows).toHaveLength(tenants.length);
    }
    // Without rows their keys are free, and a shard may leave the directory.
    await first.query('DELETE FROM notes');
    await writeFile(
      one.configPath,
      text.replace('type: directory, shards: [s1, s2]', 'type: directory, shards: [s1]'),
    );
    await expect.poll(() => versionOf(client), { timeout: 3_000 }).toBe(2);
    for (const connection of [first, client]) {
      for (const tenant of tenants)
        await connection.query(`INSERT IGNORE INTO notes VALUES ('${tenant}')`);
    }
    const shard = await one.connectShard(0);
    const [[count]] = await shard.query<RowDataPacket[]>(
      `SELECT COUNT(*) AS n FROM ${DATABASE}.notes`,
    );
    expect(Number(count?.n)).toBe(tenants.length);
  });
});
