import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ShardId } from '../../src/topology/strategy.ts';
import { COMMIT_LIMITS } from '../../src/txn/commit-limits.ts';
import type { CommitStep } from '../../src/txn/commit-steps.ts';
import { type DevServer, describeServers, startOwnServer } from '../support/mysql-servers.ts';
import { eventually, freshDeployment, runOn, TransactionCluster } from './txn-cluster.ts';

const LIMITS = { ...COMMIT_LIMITS, commandTimeoutMs: 5_000, resolveTimeoutMs: 700 };
const STEPS: readonly CommitStep[] = [
  'before-prepare',
  'prepare-sent',
  'all-prepared',
  'decision-sent',
  'decided',
];

await describeServers('a shard killed during a commit', (flavour) => {
  let servers: readonly DevServer[];
  let cluster: TransactionCluster;

  beforeAll(async () => {
    servers = await Promise.all([1, 2].map(() => startOwnServer({ flavour })));
    cluster = new TransactionCluster({
      servers: servers.map(({ address }) => address),
      deployment: freshDeployment(),
      database: 'txn_shard_killed',
    });
    await cluster.setUp();
  });
  afterAll(async () => {
    await cluster?.close();
    await Promise.all((servers ?? []).map((server) => server.stop()));
  });

  test.each(
    STEPS.flatMap((step) => [
      { step, victim: 0, role: 'the decision shard' },
      { step, victim: 1, role: 'a participant' },
    ]),
  )('$role at $step: what the client was told is what is there', async ({ step, victim }) => {
    const server = servers[victim] as DevServer;
    const before = await cluster.balances();
    const coordinator = cluster.coordinator({
      limits: LIMITS,
      atStep: async (at) => {
        if (at === step) await server.kill();
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
    await server.restart();
    await eventually(() => cluster.balances().then(() => true), 20_000);
    await cluster.recoverUntilClean();

    const added = (await cluster.balances()).map((balance, at) => balance - (before[at] ?? 0));
    expect(new Set(added).size).toBe(1);
    const found = added[0] === 1 ? 'committed' : 'rolled back';
    expect(['committed', 'rolled back', 'unknown']).toContain(told);
    if (told !== 'unknown') expect(found).toBe(told);
    // A shard that is not the decision shard never leaves the client without an answer.
    if (victim === 1) expect(told).not.toBe('unknown');
  });
});

const ADD_ONE = 'UPDATE accounts SET balance = balance + 1 WHERE id = 1';
