import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../faults/txn-cluster.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'txn_proxy';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 100, shard: s1 }, { below: 200, shard: s2 }, { shard: s3 }] }
    tables:
      accounts: { key: id, strategy: by_id }
`;
/** One account on each shard. */
const IDS = [1, 101, 201] as const;

await describeServers('transactions through the proxy', (flavour) => {
  let proxy: TestProxy;
  let one: Connection;
  let two: Connection;

  beforeAll(async () => {
    proxy = await startTestProxy({
      servers: await useServers({ count: 3, flavour }),
      databases: DATABASES,
      createDatabases: [DATABASE],
    });
    one = await proxy.connect({ database: DATABASE });
    two = await proxy.connect({ database: DATABASE });
    await one.query('CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)');
  });
  afterAll(() => proxy?.stop());
  beforeEach(async () => {
    for (const client of [one, two]) await client.query('ROLLBACK');
    await one.query('DELETE FROM accounts');
    await one.query('INSERT INTO accounts VALUES (1, 0), (101, 0), (201, 0)');
  });

  async function balances(client: Connection = two): Promise<readonly number[]> {
    const [rows] = await client.query('SELECT balance FROM accounts ORDER BY id');
    return (rows as { readonly balance: number }[]).map(({ balance }) => balance);
  }

  async function addOn(client: Connection, id: number, amount = 1): Promise<void> {
    await client.query(`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${id}`);
  }

  test('nobody sees a transaction before its COMMIT; then it is there on every shard', async () => {
    await one.query('BEGIN');
    for (const id of IDS) await addOn(one, id);
    expect(await balances()).toEqual([0, 0, 0]);
    await one.query('COMMIT');

    expect(await balances()).toEqual([1, 1, 1]);
  });

  test('ROLLBACK undoes every shard, and a client that goes away has rolled back', async () => {
    await one.query('BEGIN');
    for (const id of IDS) await addOn(one, id);
    await one.query('ROLLBACK');
    expect(await balances()).toEqual([0, 0, 0]);

    const leaver = await proxy.connect({ database: DATABASE });
    await leaver.query('BEGIN');
    for (const id of IDS) await addOn(leaver, id);
    leaver.destroy();
    await two.query('SET innodb_lock_wait_timeout = 10');
    for (const id of IDS) await addOn(two, id, 5);
    expect(await balances()).toEqual([5, 5, 5]);
  });

  test('autocommit=0 begins by itself', async () => {
    await one.query('SET autocommit = 0');
    for (const id of IDS) await addOn(one, id);
    expect(await balances()).toEqual([0, 0, 0]);
    await one.query('COMMIT');
    await one.query('SET autocommit = 1');

    expect(await balances()).toEqual([1, 1, 1]);
  });

  test('an autocommit statement over several shards is all or nothing', async () => {
    const insert = one.query('INSERT INTO accounts VALUES (2, 0), (102, 0), (201, 0)');
    await expect(insert).rejects.toMatchObject({ errno: 1062 });
    expect(await balances()).toHaveLength(3);

    await one.query('UPDATE accounts SET balance = 7');
    expect(await balances()).toEqual([7, 7, 7]);
  });

  test('inside a transaction such a statement is undone and the transaction goes on', async () => {
    await one.query('BEGIN');
    await addOn(one, 1);
    const insert = one.query('INSERT INTO accounts VALUES (2, 0), (102, 0), (201, 0)');
    await expect(insert).rejects.toMatchObject({ errno: 1062 });
    await addOn(one, 101);
    await one.query('COMMIT');

    expect(await balances()).toEqual([1, 1, 0]);
  });

  test('a read that stops early leaves the transaction as it is', async () => {
    const more = Array.from({ length: 2_000 }, (_, at) => `(${300 + at}, 0)`);
    await one.query(`INSERT INTO accounts VALUES ${more.join(', ')}`);
    await one.query('BEGIN');
    for (const id of IDS) await addOn(one, id);
    for (const sql of [
      'SELECT id FROM accounts LIMIT 1',
      'SELECT id FROM accounts ORDER BY id LIMIT 2',
    ]) {
      await one.query(sql);
    }
    await one.query('COMMIT');

    expect((await balances()).slice(0, 3)).toEqual([1, 1, 1]);
  });

  test('a lock wait that was too long costs a split statement only', async () => {
    await two.query('BEGIN');
    await addOn(two, 101, 10);
    await one.query('SET SESSION innodb_lock_wait_timeout = 1');
    await one.query('BEGIN');
    await addOn(one, 1);
    const waiting = one.query('UPDATE accounts SET balance = balance + 100');
    await expect(waiting).rejects.toMatchObject({ errno: 1205 });
    await addOn(one, 201);
    await one.query('COMMIT');
    await two.query('COMMIT');

    expect(await balances()).toEqual([1, 10, 1]);
  });

  test('savepoints cover every shard', async () => {
    await one.query('BEGIN');
    await addOn(one, 1);
    await one.query('SAVEPOINT a');
    await addOn(one, 101);
    await addOn(one, 1, 10);
    await one.query('ROLLBACK TO a');
    await addOn(one, 201);
    await expect(one.query('ROLLBACK TO b')).rejects.toMatchObject({ errno: 1305 });
    await one.query('COMMIT');

    expect(await balances()).toEqual([1, 0, 1]);
  });

  test('a deadlock ends the transaction on every shard; the session goes on in autocommit', async () => {
    await one.query('INSERT INTO accounts VALUES (3, 0), (4, 0)');
    await one.query('BEGIN');
    await two.query('BEGIN');
    await addOn(one, 101);
    await addOn(one, 1);
    for (const id of [3, 4]) await addOn(two, id);
    const waiting = addOn(two, 1, 50);
    await expect(addOn(one, 3)).rejects.toMatchObject({ errno: 1213 });
    await waiting;
    await two.query('COMMIT');
    await addOn(one, 201);

    // In the order of the ids 1, 3, 4, 101, 201.
    expect(await balances()).toEqual([50, 1, 1, 0, 1]);
    await one.query('COMMIT');
  });

  test.each([
    'INSERT INTO accounts VALUES (3, 9)',
    'INSERT INTO accounts VALUES (3, 9), (103, 9)',
    'UPDATE accounts SET balance = balance + 1 WHERE id IN (3, 101)',
  ])('so does one met by %s', async (statement) => {
    await one.query('INSERT INTO accounts VALUES (3, 0), (4, 0)');
    await one.query('BEGIN');
    await two.query('BEGIN');
    await addOn(one, 101);
    await addOn(one, 1);
    for (const id of [3, 4]) await addOn(two, id);
    const waiting = addOn(two, 1, 50);
    await expect(one.query(statement)).rejects.toMatchObject({ errno: 1213 });
    await waiting;
    await two.query('COMMIT');
    await addOn(one, 201);

    expect(await balances()).toEqual([50, 1, 1, 0, 1]);
  });

  test('a lost shard connection fails the transaction until ROLLBACK', async () => {
    await one.query('BEGIN');
    for (const id of IDS) await addOn(one, id);
    await killConnections(1);

    await expect(addOn(one, 101)).rejects.toThrow(/s2/);
    await expect(addOn(one, 1)).rejects.toMatchObject({ errno: 1402 });
    await one.query('ROLLBACK');
    await addOn(one, 1);

    expect(await balances()).toEqual([1, 0, 0]);
  });

  test('COMMIT after a shard connection was lost says that all is rolled back', async () => {
    await one.query('BEGIN');
    for (const id of IDS) await addOn(one, id);
    await killConnections(0);

    await expect(one.query('COMMIT')).rejects.toThrow('rolled back on every shard');
    expect(await balances(one)).toEqual([0, 0, 0]);
  });

  /** Ends the connections to a shard that hold an open transaction. */
  async function killConnections(shard: number): Promise<void> {
    const direct = await proxy.connectShard(shard);
    let ids: readonly number[] = [];
    // The table shows a state that may be a tenth of a second old.
    await eventually(async () => {
      const [open] = await direct.query<RowDataPacket[]>(
        'SELECT id FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id WHERE db = ?',
        [DATABASE],
      );
      ids = open.map(({ id }) => Number(id));
      return ids.length > 0;
    });
    for (const id of ids) await direct.query(`KILL ${id}`);
    await eventually(async () => {
      const [rows] = await direct.query<RowDataPacket[]>('SHOW PROCESSLIST');
      return rows.every((row) => !ids.includes(Number(row.Id)));
    });
    await direct.end();
  }
});
