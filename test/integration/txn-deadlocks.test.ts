import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'txn_deadlocks';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 100, shard: s1 }, { below: 200, shard: s2 }, { shard: s3 }] }
    tables:
      accounts: { key: id, strategy: by_id }
`;
const DEADLOCK = { errno: 1213, sqlState: '40001' };

await describeServers('deadlocks over several shards', (flavour) => {
  const proxies: TestProxy[] = [];
  let one: Connection;
  let two: Connection;
  let three: Connection;
  /** Of another proxy. */
  let other: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    const options = { servers, databases: DATABASES };
    proxies.push(await startTestProxy({ ...options, createDatabases: [DATABASE] }));
    one = await clientOf(0);
    await one.query('CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)');
    proxies.push(await startTestProxy({ ...options, createDatabases: [] }));
    two = await clientOf(0);
    three = await clientOf(0);
    other = await clientOf(1);
  });
  afterAll(async () => {
    for (const proxy of proxies.reverse()) await proxy.stop();
  });
  beforeEach(async () => {
    for (const client of [one, two, three, other]) await client.query('ROLLBACK');
    await one.query('DELETE FROM accounts');
    await one.query('INSERT INTO accounts VALUES (1, 0), (2, 0), (101, 0), (102, 0), (201, 0)');
  });

  function clientOf(index: number): Promise<Connection> {
    const proxy = proxies[index];
    if (proxy === undefined) throw new Error('no such proxy');
    return proxy.connect({ database: DATABASE });
  }

  async function addOn(client: Connection, id: number, amount = 1): Promise<void> {
    await client.query(`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${id}`);
  }

  async function balances(): Promise<readonly number[]> {
    const [rows] = await three.query<RowDataPacket[]>('SELECT balance FROM accounts ORDER BY id');
    return rows.map(({ balance }) => Number(balance));
  }

  test('the younger of two is rolled back everywhere within a second; the other goes on', async () => {
    await one.query('BEGIN');
    await two.query('BEGIN');
    await addOn(one, 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await addOn(two, 101, 10);
    await addOn(two, 201, 10);
    const waiting = addOn(one, 101);
    const begun = performance.now();
    await expect(addOn(two, 1, 10)).rejects.toMatchObject(DEADLOCK);
    expect(performance.now() - begun).toBeLessThan(1_500);
    await waiting;
    await one.query('COMMIT');
    // As after a deadlock on one server, the session is out of its transaction.
    await addOn(two, 2, 100);

    expect(await balances()).toEqual([1, 100, 1, 0, 0]);
  });

  test('a ring of three is found, also where a statement waits on several shards', async () => {
    const ring = [one, two, three];
    for (const client of ring) await client.query('BEGIN');
    await addOn(one, 1);
    await addOn(two, 101);
    await addOn(three, 201);
    // Each has a second branch, on a row that nobody wants.
    await addOn(one, 102);
    await addOn(two, 2);
    const outcomes = await Promise.allSettled([
      one.query('UPDATE accounts SET balance = 7 WHERE id IN (101, 201)'),
      addOn(two, 201).finally(() => two.query('ROLLBACK')),
      addOn(three, 1).finally(() => three.query('ROLLBACK')),
    ]);

    const failed = outcomes.filter(({ status }) => status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const outcome of failed) expect(outcome).toMatchObject({ reason: DEADLOCK });
    expect(outcomes.map(({ status }) => status)).toContain('fulfilled');
  });

  test('a cycle through two proxies is found by what they show each other', async () => {
    await one.query('BEGIN');
    await other.query('BEGIN');
    await addOn(one, 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await addOn(other, 101, 10);
    const waiting = addOn(one, 101);
    const begun = performance.now();
    await expect(addOn(other, 1, 10)).rejects.toMatchObject(DEADLOCK);
    expect(performance.now() - begun).toBeLessThan(2_000);
    await waiting;
    await one.query('COMMIT');

    expect(await balances()).toEqual([1, 0, 1, 0, 0]);
  });

  test('a mere wait is left in peace', async () => {
    await one.query('BEGIN');
    await two.query('BEGIN');
    await addOn(one, 1);
    await addOn(one, 101);
    await addOn(two, 201);
    const waiting = addOn(two, 1);
    await new Promise((resolve) => setTimeout(resolve, 800));
    await one.query('COMMIT');
    await waiting;
    await two.query('COMMIT');

    expect(await balances()).toEqual([2, 0, 1, 0, 1]);
  });
});
