/** Large results stream: the proxy's memory does not grow with the result or with a slow reader. */
import { createConnection as createCallbackConnection } from 'mysql2';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useServers } from '../support/mysql-servers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const DATABASE = 'streaming';
const ROWS = 1_000_000;
const GROWTH_BYTES_MAX = 50 * 1024 * 1024;

let proxy: ProxyProcess;

beforeAll(async () => {
  const servers = await useServers({ count: 4, flavour: 'any' });
  for (const { host, port, user, password } of servers) {
    const connection = await createConnection({ host, port, user, password });
    await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    await connection.end();
  }
  proxy = await startProxyProcess({
    servers,
    databases: `
  ${DATABASE}:
    default: s1
    strategies: { by_id: { type: hash, shards: [s1, s2, s3, s4] } }
    tables: { big: { key: id, strategy: by_id } }`,
  });
  const client = await createConnection({ ...proxy.login, database: DATABASE });
  await client.query('CREATE TABLE whole (id INT NOT NULL PRIMARY KEY, filler CHAR(180) NOT NULL)');
  await client.query('CREATE TABLE big (id INT NOT NULL PRIMARY KEY, filler CHAR(180) NOT NULL)');
  await client.query(
    `INSERT INTO whole SELECT a.n * 1000 + b.n, REPEAT('x', 180) FROM (${thousand()}) a, (${thousand()}) b`,
  );
  for (let from = 0; from < 200_000; from += 5_000) {
    const rows = Array.from({ length: 5_000 }, (_, i) => `(${from + i},'${'y'.repeat(180)}')`);
    await client.query(`INSERT INTO big VALUES ${rows.join()}`);
  }
  await client.end();
}, 300_000);

afterAll(async () => {
  await proxy?.stop();
});

/** Numbers 0 to 999 from digits alone: the same SQL on MySQL and MariaDB. */
function thousand(): string {
  const digit = Array.from({ length: 10 }, (_, n) => `SELECT ${n} AS d`).join(' UNION ALL ');
  return `SELECT x.d + 10 * y.d + 100 * z.d AS n FROM (${digit}) x, (${digit}) y, (${digit}) z`;
}

/** Reads a result row by row, never holding more than one, and reports the proxy's peak growth. */
async function readAll(sql: string, everyRow: (count: number) => Promise<void> | void) {
  const before = proxy.residentBytes();
  const connection = createCallbackConnection({ ...proxy.login, database: DATABASE });
  let count = 0;
  let peak = before;
  for await (const _ of connection.query(sql).stream({ highWaterMark: 100 })) {
    count += 1;
    if (count % 10_000 === 0) peak = Math.max(peak, proxy.residentBytes());
    await everyRow(count);
  }
  connection.destroy();
  return { count, growth: peak - before };
}

test('a SELECT * of a million rows from one shard streams through', async () => {
  const { count, growth } = await readAll('SELECT * FROM whole', () => {});

  expect(count).toBe(ROWS);
  expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
}, 120_000);

test('a sorted scatter over four shards streams through', async () => {
  let last = -1;
  const { count, growth } = await readAll('SELECT * FROM big ORDER BY id', () => {
    last += 1;
  });

  expect(count).toBe(200_000);
  expect(last).toBe(199_999);
  expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
}, 120_000);
