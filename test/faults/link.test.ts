import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ShardId } from '../../src/topology/strategy.ts';
import { COMMIT_LIMITS } from '../../src/txn/commit-limits.ts';
import { COMMIT_STEPS } from '../../src/txn/commit-steps.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { freshDeployment, runOn, TransactionCluster } from './txn-cluster.ts';

const LIMITS = {
  ...COMMIT_LIMITS,
  commandTimeoutMs: 400,
  rollBackTimeoutMs: 300,
  resolveTimeoutMs: 400,
};
const ADD_ONE = 'UPDATE accounts SET balance = balance + 1 WHERE id = 1';
const RECOVERED_WITHIN_MS = 10_000;

await describeServers('a link that fails during a commit', (flavour) => {
  /** Sees the shards through links that may fail. */
  let open: () => TransactionCluster;
  let cluster: TransactionCluster;
  /** Another proxy of the deployment, with links of its own. */
  let other: TransactionCluster;
  let relays: readonly TcpRelay[] = [];

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    relays = await Promise.all(servers.map((server) => TcpRelay.start(server)));
    const deployment = freshDeployment();
    const database = 'txn_link';
    other = new TransactionCluster({ servers, deployment, database });
    await other.setUp();
    const linked = servers.map((server, at) => ({ ...server, port: relays[at]?.port ?? 0 }));
    open = () => new TransactionCluster({ servers: linked, deployment, database });
  });
  // Pools of its own: those that have seen a failure wait before they try again.
  beforeEach(() => {
    cluster = open();
  });
  afterEach(async () => {
    for (const relay of relays) relay.heal();
    await cluster.close();
  });
  afterAll(async () => {
    await other?.close();
    await Promise.all(relays.map((relay) => relay.stop()));
  });

  test.each(
    COMMIT_STEPS.flatMap((step) =>
      (['cut', 'hang'] as const).flatMap((how) => [
        { step, how, victim: 0, role: 'the decision shard' },
        { step, how, victim: 1, role: 'a participant' },
      ]),
    ),
  )('$how at $step to $role: told is what is there, and another proxy recovers', async (fault) => {
    const relay = relays[fault.victim];
    const before = await other.balances();
    const coordinator = cluster.coordinator({
      limits: LIMITS,
      atStep: (step) => {
        if (step === fault.step) relay?.[fault.how]();
      },
    });
    const transaction = cluster.begin(coordinator);
    for (const shard of cluster.shards) await runOn(transaction, shard as ShardId, ADD_ONE);

    const told = await transaction.commit().then(
      () => 'committed',
      (error: { readonly errno: number; readonly message: string }) => {
        if (error.errno === 1180 && error.message.includes(`'${transaction.id}'`)) return 'unknown';
        return error.message.includes('rolled back') ? 'rolled back' : error.message;
      },
    );
    // What hangs is noticed by its server at last: a connection that lives on keeps its locks.
    relay?.heal();
    const healedAt = performance.now();
    await other.recoverUntilClean();

    expect(performance.now() - healedAt).toBeLessThan(RECOVERED_WITHIN_MS);
    const added = (await other.balances()).map((balance, at) => balance - (before[at] ?? 0));
    expect(new Set(added).size).toBe(1);
    const found = added[0] === 1 ? 'committed' : 'rolled back';
    expect(['committed', 'rolled back', 'unknown']).toContain(told);
    if (told !== 'unknown') expect(found).toBe(told);
    if (fault.victim === 1) expect(told).not.toBe('unknown');
  });
});
