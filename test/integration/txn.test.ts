import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ShardId } from '../../src/topology/strategy.ts';
import type { XaCoordinator } from '../../src/txn/commit-coordinator.ts';
import type { Transaction } from '../../src/txn/transaction.ts';
import { eventually, freshDeployment, runOn, TransactionCluster } from '../faults/txn-cluster.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';

const DATABASE = 'txn_statements';

await describeServers('transactions over several shards', (flavour) => {
  let cluster: TransactionCluster;
  let coordinator: XaCoordinator;
  let s1: ShardId;
  let s2: ShardId;
  let s3: ShardId;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    cluster = new TransactionCluster({
      servers,
      deployment: freshDeployment(),
      database: DATABASE,
    });
    [s1, s2, s3] = cluster.shards as [ShardId, ShardId, ShardId];
    coordinator = cluster.coordinator();
  });
  afterAll(() => cluster?.close());
  beforeEach(() => cluster.setUp());

  async function begin(...touched: readonly ShardId[]): Promise<Transaction> {
    const transaction = cluster.begin(coordinator);
    for (const shard of touched) await runOn(transaction, shard, add(1));
    return transaction;
  }

  test('commits on all shards, and its connections serve the next transaction', async () => {
    for (let times = 0; times < 3; times++) await (await begin(s1, s2, s3)).commit();

    expect(await cluster.balances()).toEqual([3, 3, 3]);
    expect(await cluster.preparedCount()).toBe(0);
    expect(cluster.left).toEqual([]);
  });

  test('rolls back on all shards', async () => {
    await (await begin(s1, s2, s3)).rollback();

    expect(await cluster.balances()).toEqual([0, 0, 0]);
  });

  test('reads on one shard and writes on another commit without a decision', async () => {
    const before = await decisions(cluster, s1);
    const transaction = cluster.begin(coordinator);
    await runOn(transaction, s1, 'SELECT balance FROM accounts WHERE id = 1 FOR UPDATE');
    await runOn(transaction, s2, add(1));
    await transaction.commit();

    expect(await cluster.balances()).toEqual([0, 1, 0]);
    expect(await decisions(cluster, s1)).toBe(before);
  });

  test('a duplicate key costs the statement, not the transaction', async () => {
    const transaction = await begin(s1, s2);

    const insert = runOn(transaction, s2, 'INSERT INTO accounts VALUES (1, 9)');
    await expect(insert).rejects.toMatchObject({ errno: 1062 });
    await transaction.afterError();
    await transaction.commit();

    expect(await cluster.balances()).toEqual([1, 1, 0]);
  });

  test('a statement that failed on one shard is undone on the others', async () => {
    const transaction = await begin(s1);
    transaction.beginStatement();
    for (const shard of [s1, s2])
      await runOn(transaction, shard, 'INSERT INTO accounts VALUES (4, 4)');
    const failing = runOn(transaction, s3, 'INSERT INTO accounts VALUES (4, 4), (1, 4)');
    await expect(failing).rejects.toMatchObject({ errno: 1062 });
    await transaction.undoStatement();
    await transaction.commit();

    expect(await cluster.balances(1)).toEqual([1, 0, 0]);
    expect(await cluster.balances(4)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  test('savepoints hold on every shard, also on those touched later', async () => {
    const transaction = await begin(s1);
    await transaction.savepoint('before');
    await runOn(transaction, s1, add(10));
    await runOn(transaction, s2, add(10));
    await transaction.savepoint('middle');
    await transaction.rollbackTo('Before');
    await runOn(transaction, s3, add(1));
    await expect(transaction.rollbackTo('middle')).rejects.toMatchObject({ errno: 1305 });
    await transaction.releaseSavepoint('before');
    await transaction.commit();

    expect(await cluster.balances()).toEqual([1, 0, 1]);
  });

  test.each([
    { where: 'the plain branch', first: 0, second: 1 },
    { where: 'an XA branch', first: 1, second: 0 },
  ])('a deadlock on $where rolls back on every shard', async ({ first, second }) => {
    const order = [cluster.shards[first], cluster.shards[second]] as [ShardId, ShardId];
    const victimShard = s1;
    const victim = await begin(...order);
    const other = cluster.begin(coordinator);
    await runOn(other, victimShard, 'UPDATE accounts SET balance = 7 WHERE id = 2');
    // More work makes the other one heavier: the server rolls back the lighter transaction.
    await runOn(other, victimShard, 'UPDATE accounts SET balance = 7 WHERE id = 3');
    const waiting = runOn(other, victimShard, 'UPDATE accounts SET balance = 7 WHERE id = 1');
    const failing = runOn(victim, victimShard, 'UPDATE accounts SET balance = 1 WHERE id = 2');
    await expect(failing).rejects.toMatchObject({ errno: 1213 });
    await victim.afterError();
    await waiting;
    await other.commit();

    expect(victim.isOver).toBe(true);
    expect(await cluster.balances(1)).toEqual([7, 0, 0]);
    expect(await cluster.preparedCount()).toBe(0);
  });

  test('a lock wait that was too long costs the statement only', async () => {
    const holder = await begin(s2);
    const transaction = await begin(s1);
    await runOn(transaction, s2, 'SET SESSION innodb_lock_wait_timeout = 1');

    await expect(runOn(transaction, s2, add(1))).rejects.toMatchObject({ errno: 1205 });
    await transaction.afterError();
    await holder.rollback();
    await runOn(transaction, s2, add(5));
    await transaction.commit();

    expect(await cluster.balances()).toEqual([1, 5, 0]);
  });

  test('a shard’s connection killed in mid-transaction rolls back on every shard', async () => {
    const transaction = await begin(s1, s2);
    const lease = await transaction.lease(s2);
    await cluster.control.query(s2, `KILL ${lease.serverThreadId}`);
    await eventually(() =>
      runOn(transaction, s2, 'SELECT 1').then(
        () => false,
        () => true,
      ),
    );

    await expect(runOn(transaction, s1, add(1))).rejects.toMatchObject({ errno: 1402 });
    await expect(transaction.commit()).rejects.toMatchObject({ errno: 1402 });

    expect(await cluster.balances()).toEqual([0, 0, 0]);
  });

  test.each([0, 1])(
    'a connection killed before COMMIT (of shard %i): known to be rolled back',
    async (at) => {
      const transaction = await begin(s1, s2);
      const shard = cluster.shards[at] as ShardId;
      const { serverThreadId } = await transaction.lease(shard);
      await cluster.control.query(shard, `KILL ${serverThreadId}`);
      await eventually(async () => {
        const { rows } = await cluster.control.query(shard, 'SHOW PROCESSLIST');
        return rows.every((row) => Number(row.Id) !== serverThreadId);
      });

      await expect(transaction.commit()).rejects.toThrow('rolled back on every shard');

      await cluster.recoverUntilClean();
      expect(await cluster.balances()).toEqual([0, 0, 0]);
    },
  );

  test('isolation and READ ONLY hold on branches of both kinds', async () => {
    const options = { isolation: 'READ COMMITTED', readOnly: true } as const;
    const transaction = cluster.begin(coordinator, options);
    for (const shard of [s1, s2]) {
      await runOn(transaction, shard, 'SELECT balance FROM accounts WHERE id = 1');
      await expect(runOn(transaction, shard, add(1))).rejects.toMatchObject({ errno: 1792 });
    }
    await transaction.rollback();

    const next = await begin(s1, s2);
    await next.commit();
    expect(await cluster.balances()).toEqual([1, 1, 0]);
  });

  test('many at once leave no branch, no lock and no sum out of balance', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 60 }, async (_, index) => {
        const transaction = cluster.begin(coordinator);
        // In one order, so that no cycle of waits goes over several shards.
        const [from, to] = [0, 1, 2].filter((at) => at !== index % 3);
        try {
          await runOn(transaction, cluster.shards[from ?? 0] as ShardId, add(-1));
          await runOn(transaction, cluster.shards[to ?? 0] as ShardId, add(1));
        } catch (error) {
          await transaction.rollback();
          throw error;
        }
        await transaction.commit();
      }),
    );

    const balances = await cluster.balances();
    expect(balances.reduce((sum, balance) => sum + balance, 0)).toBe(0);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(60);
    await cluster.recoverUntilClean();
  });
});

function add(amount: number): string {
  return `UPDATE accounts SET balance = balance + ${amount} WHERE id = 1`;
}

async function decisions(cluster: TransactionCluster, shard: ShardId): Promise<number> {
  const { rows } = await cluster.control.query(
    shard,
    'SELECT COUNT(*) AS number FROM shardgate.decisions WHERE gtrid LIKE ?',
    [`%.${cluster.options.deployment}.%`],
  );
  return Number(rows[0]?.number);
}
