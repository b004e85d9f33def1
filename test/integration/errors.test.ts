/** Bad input and shards that are down get one clear answer, and the session goes on. */

import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DevServer } from '../support/mysql-servers.ts';
import { describeServers, startOwnServer, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'errors_test';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
    tables:
      users: { key: id, strategy: by_id }`;

await describeServers('errors', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let direct: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 2, flavour });
    proxy = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    client = await proxy.connect({ database: DATABASE });
    await client.query('CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL)');
    await client.query('CREATE TABLE plain (id INT PRIMARY KEY)');
    direct = await proxy.connectShard(0, { database: DATABASE });
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  test.each([
    'SELEC 1',
    'SELECT * FROM plain WHERE',
    "SELECT 'unclosed",
    'SELECT 1; SELECT 2',
    'SELECT * FROM nosuch',
    'SELECT nosuch FROM plain',
    'SELECT NOSUCH_FUNCTION(1)',
    'INSERT INTO plain VALUES (1, 2)',
    'CREATE TABLE plain (id INT)',
    'DROP TABLE nosuch',
    '',
  ])('the server’s own words for %j', async (sql) => {
    const expected = await failure(direct, sql);
    const found = await failure(client, sql);

    expect(found).toEqual(expected);
    expect(expected.errno).toBeGreaterThan(0);
  });

  test.each([
    ["INSERT INTO users (name) VALUES ('x')", 1364, /shard key/],
    ['SELECT * FROM nosuch_db.t', 1049, /nosuch_db/],
    ['UPDATE users SET id = 2 WHERE id = 1', 1235, /./],
    ['CREATE USER x', 1235, /./],
  ])('%s is refused by name', async (sql, errno, message) => {
    const found = await failure(client, sql);

    expect(found.errno).toBe(errno);
    expect(found.message).toMatch(message);
  });

  test('an error of PREPARE leaves the session as it was', async () => {
    await expect(client.execute('SELEC ?', [1])).rejects.toMatchObject({ errno: 1064 });
    expect((await client.query<RowDataPacket[]>('SELECT 1 AS x'))[0]).toEqual([{ x: 1 }]);
  });

  test('without a database there is 1046', async () => {
    const nowhere = await proxy.connect();

    expect(await failure(nowhere, 'SELECT * FROM users')).toMatchObject({ errno: 1046 });
    expect((await nowhere.query<RowDataPacket[]>('SELECT 1 AS x'))[0]).toEqual([{ x: 1 }]);
  });
});

describe('a shard that is down', () => {
  let server: DevServer;
  let proxy: TestProxy;

  beforeAll(async () => {
    const [other] = await useServers({ count: 1, flavour: 'any' });
    server = await startOwnServer({ flavour: 'any' });
    if (other === undefined) throw new Error('no server');
    const { host, port, user, password } = server.address;
    proxy = await startTestProxy({
      servers: [{ host, port, user, password }, other],
      databases: DATABASES.replaceAll(DATABASE, 'errors_down'),
      createDatabases: ['errors_down'],
      extra: 'limits: { connect_timeout_ms: 2000 }',
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await server?.stop();
  });

  test('gives one error that names it, while statements for the others go on', async () => {
    const client = await proxy.connect({ database: 'errors_down' });
    await client.query('CREATE TABLE users (id BIGINT PRIMARY KEY)');
    await client.query(
      `INSERT INTO users VALUES ${Array.from({ length: 40 }, (_, id) => `(${id})`)}`,
    );
    const lost = await idOn(proxy, 0);
    const kept = await idOn(proxy, 1);
    await server.stop();
    const startedMs = performance.now();

    expect(await failure(client, `SELECT id FROM users WHERE id = ${lost}`)).toMatchObject({
      errno: 1429,
      message: expect.stringContaining('s1'),
    });
    expect(await failure(client, 'SELECT COUNT(*) FROM users')).toMatchObject({ errno: 1429 });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    const [rows] = await client.query(`SELECT id FROM users WHERE id = ${kept}`);
    expect(rows).toEqual([{ id: kept }]);
    expect((await client.query<RowDataPacket[]>('SELECT 1 AS x'))[0]).toEqual([{ x: 1 }]);
    await client.query("SET time_zone = '+01:00'");
    const another = await proxy.connect({ database: 'errors_down' });
    expect(
      (await another.query<RowDataPacket[]>('SELECT @@version_comment AS x LIMIT 1'))[0],
    ).toHaveLength(1);
    expect(await failure(another, 'SELEC 1')).toMatchObject({ errno: 1064 });
  });
});

async function idOn(proxy: TestProxy, index: number): Promise<number> {
  const shard = await proxy.connectShard(index, { database: 'errors_down' });
  const [rows] = await shard.query<RowDataPacket[]>('SELECT MIN(id) AS id FROM users');
  return Number(rows[0]?.id);
}

interface Failure {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

async function failure(connection: Connection, sql: string): Promise<Failure> {
  try {
    await connection.query(sql);
  } catch (error) {
    const { errno, sqlState, message } = error as Failure; // mysql2 rejects with these
    return { errno, sqlState, message };
  }
  return { errno: 0, sqlState: '', message: 'no error' };
}

test('a proxy that stops lets statements and transactions in hand end, and takes no new ones', async () => {
  const servers = await useServers({ count: 2, flavour: 'any' });
  const proxy = await startTestProxy({
    servers,
    databases: DATABASES.replaceAll(DATABASE, 'errors_stop'),
    createDatabases: ['errors_stop'],
  });
  const setup = await proxy.connect({ database: 'errors_stop' });
  await setup.query('CREATE TABLE users (id BIGINT PRIMARY KEY)');
  const open = await proxy.connect({ database: 'errors_stop' });
  await open.query('BEGIN');
  await open.query('INSERT INTO users VALUES (1), (2), (3), (4)');
  const running = await proxy.connect({ database: 'errors_stop' });
  const answer = running.query<RowDataPacket[]>('SELECT SLEEP(0.5) AS x');
  await expect
    .poll(async () => {
      const [rows] = await setup.query<RowDataPacket[]>('SHOW PROCESSLIST');
      return rows.some((row) => String(row.Info).includes('SLEEP'));
    })
    .toBe(true);

  const stopped = proxy.proxy.stop();
  expect((await answer)[0]).toEqual([{ x: 0 }]);
  await expect(setup.query('SELECT 1')).rejects.toThrow();
  await expect(proxy.connect()).rejects.toThrow();
  await open.query('INSERT INTO users VALUES (5)');
  await open.query('COMMIT');
  await stopped;
  const counts = await Promise.all([0, 1].map((index) => count(proxy, index)));
  expect((counts[0] ?? 0) + (counts[1] ?? 0)).toBe(5);
  await proxy.stop();
});

async function count(proxy: TestProxy, index: number): Promise<number> {
  const shard = await proxy.connectShard(index, { database: 'errors_stop' });
  const [rows] = await shard.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM users');
  return Number(rows[0]?.n);
}
