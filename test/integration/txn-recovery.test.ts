import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../src/observability/logger.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import type { CommitStep } from '../../src/txn/commit-steps.ts';
import { settleDecision } from '../../src/txn/decisions.ts';
import { RECOVERY_LIMITS, Recovery } from '../../src/txn/recovery.ts';
import { checkRecoveryPrivileges } from '../../src/txn/recovery-check.ts';
import type { Transaction } from '../../src/txn/transaction.ts';
import { GtridSource, xidSql } from '../../src/txn/xid.ts';
import { eventually, freshDeployment, runOn, TransactionCluster } from '../faults/txn-cluster.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';

await describeServers('recovery', (flavour) => {
  let cluster: TransactionCluster;
  let s1: ShardId;
  let s2: ShardId;

  beforeAll(async () => {
    const servers = await useServers({ count: 2, flavour });
    const deployment = freshDeployment();
    cluster = new TransactionCluster({ servers, deployment, database: 'txn_recovery' });
    [s1, s2] = cluster.shards as [ShardId, ShardId];
  });
  afterAll(() => cluster?.close());
  beforeEach(() => cluster.setUp());
  afterEach(() => cluster.recoverUntilClean());

  /** A commit that stands still at `step` until it is let go. */
  async function commitHeldAt(step: CommitStep) {
    let letGo = (): void => {};
    let arrive = (): void => {};
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const coordinator = cluster.coordinator({
      atStep: (at) => {
        if (at !== step) return undefined;
        arrive();
        return gate;
      },
    });
    const transaction: Transaction = cluster.begin(coordinator);
    for (const shard of [s1, s2]) await runOn(transaction, shard, ADD_ONE);
    const commit = transaction.commit();
    commit.catch(() => undefined); // Looked at by the test.
    await arrived;
    return { letGo, commit, transaction };
  }

  test('leaves a coordinator alone that holds its decision row', async () => {
    const { letGo, commit } = await commitHeldAt('all-prepared');
    const recovery = cluster.recovery();

    await recovery.scan();
    await eventually(async () => {
      await recovery.scan();
      return recovery.inDoubt()[0]?.waitsFor === 'its coordinator, which holds the decision';
    });
    expect(recovery.inDoubt()[0]).toMatchObject({ decisionShard: s1, preparedOn: [s2] });
    letGo();
    await commit;

    expect(await cluster.balances()).toEqual([1, 1]);
  });

  test('that comes before the decision row stops a slow coordinator', async () => {
    const { letGo, commit, transaction } = await commitHeldAt('before-prepare');

    const gtrid = transaction.id as Parameters<typeof settleDecision>[2];
    expect(await settleDecision(cluster.control, s1, gtrid)).toBe('abort');
    letGo();

    await expect(commit).rejects.toMatchObject({ errno: 1213 });
    expect(await cluster.balances()).toEqual([0, 0]);
  });

  test('by many at once, while the coordinator goes on, ends as the decision says', async () => {
    const recoveries = Array.from({ length: 3 }, () => cluster.recovery());
    for (const recovery of recoveries) recovery.start();
    for (let times = 1; times <= 3; times++) {
      const { letGo, commit } = await commitHeldAt('decided');
      // MySQL lets recovery commit the branch at once, MariaDB when its connection is done with it.
      const seen = (): boolean => committedBy(recoveries) >= times;
      if (flavour === 'mysql') await eventually(async () => seen());
      letGo();
      await commit;
      await eventually(async () => (await cluster.preparedCount()) === 0);
      expect(await cluster.balances()).toEqual([times, times]);
    }
    await Promise.all(recoveries.map((recovery) => recovery.stop()));
  });

  test('does not touch XA transactions of others', async () => {
    const theirs = xidSql(new GtridSource('somebody-else').next(s1), s2);
    for (const xid of ["'not-ours','x',7", theirs]) {
      await cluster.control
        .session(s2, async (session) => {
          await session.query(`XA START ${xid}`);
          await session.query('INSERT INTO txn_recovery.accounts VALUES (?, 1)', [xid.length]);
          await session.query(`XA END ${xid}`);
          await session.query(`XA PREPARE ${xid}`);
          throw new Error('hang up'); // Closes the connection: the branch stays.
        })
        .catch(() => undefined);
    }
    const recovery = cluster.recovery();
    for (let times = 0; times < 4; times++) await recovery.scan();

    for (const xid of ["'not-ours','x',7", theirs]) {
      await eventually(() => cluster.control.query(s2, `XA ROLLBACK ${xid}`).then(() => true));
    }
    expect(recovery.counters).toMatchObject({ committed: 0, rolledBack: 0, failures: 0 });
  });

  test('forgets old decisions in batches, but none with a branch left', async () => {
    const { letGo, commit } = await commitHeldAt('decided');
    const gtrids = new GtridSource(cluster.options.deployment);
    for (let times = 0; times < 5; times++) {
      await cluster.control.query(
        s1,
        "INSERT INTO shardgate.decisions VALUES (?, 'commit', 's2', '2020-01-01')",
        [gtrids.next(s1)],
      );
    }
    const mine = async (): Promise<readonly unknown[]> => {
      const sql = 'SELECT gtrid FROM shardgate.decisions WHERE gtrid LIKE ? AND created_at < ?';
      const pattern = `sg1.${cluster.options.deployment}.%`;
      return (await cluster.control.query(s1, sql, [pattern, '2021-01-01'])).rows;
    };
    await cluster.control.query(
      s1,
      "UPDATE shardgate.decisions SET created_at = '2020-01-01' WHERE gtrid LIKE ?",
      [`sg1.${cluster.options.deployment}.%`],
    );
    const before = (await mine()).length;
    const recovery = new Recovery({
      control: cluster.control,
      shards: () => cluster.shards,
      deployment: cluster.options.deployment,
      clock: systemClock,
      logger: silentLogger,
      limits: { ...RECOVERY_LIMITS, forgetIntervalMs: 0, forgetBatchMax: before - 1 },
    });
    await recovery.scan();
    await recovery.scan();
    expect(await mine()).toHaveLength(1);
    letGo();
    await commit;
    await recovery.scan();
    expect(await mine()).toHaveLength(0);
  });

  test('names the grant that it lacks', async () => {
    const missing = await checkRecoveryPrivileges(cluster.control, cluster.shards);
    expect(missing).toEqual([]);

    const user = "'txn_low'@'127.0.0.1'";
    await cluster.control.query(s1, `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY ''`);
    const [server] = cluster.options.servers;
    if (server === undefined) throw new Error('no server');
    const low = new TransactionCluster({
      ...cluster.options,
      servers: [{ ...server, user: 'txn_low', password: '' }],
    });
    const problems = await checkRecoveryPrivileges(low.control, low.shards);
    await low.close();
    await cluster.control.query(s1, `DROP USER ${user}`);

    const grants = [`shard s1: decisions cannot be read: GRANT ALL ON shardgate.* TO ${user}`];
    if (flavour === 'mysql') {
      grants.unshift(
        `shard s1: crashed transactions cannot be finished: GRANT XA_RECOVER_ADMIN ON *.* TO ${user}`,
      );
    }
    expect(problems).toEqual(grants);
  });
});

const ADD_ONE = 'UPDATE accounts SET balance = balance + 1 WHERE id = 1';

function committedBy(recoveries: readonly Recovery[]): number {
  return recoveries.reduce((sum, { counters }) => sum + counters.committed, 0);
}
