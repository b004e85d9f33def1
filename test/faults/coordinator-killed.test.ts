import { execFile } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMIT_STEPS, type CommitStep } from '../../src/txn/commit-steps.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import type { CommitAndDie } from './commit-and-die.ts';
import { freshDeployment, TransactionCluster } from './txn-cluster.ts';

/** What must have become of the transaction; undefined where either is right. */
const OUTCOMES: Record<CommitStep, 'committed' | 'rolled back' | undefined> = {
  'before-prepare': 'rolled back',
  'prepare-sent': 'rolled back',
  'one-prepared': 'rolled back',
  'all-prepared': 'rolled back',
  'decision-sent': undefined,
  decided: 'committed',
  'second-phase-sent': 'committed',
  'one-committed': 'committed',
  'before-answer': 'committed',
};

await describeServers('a proxy killed during a commit', (flavour) => {
  let cluster: TransactionCluster;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    cluster = new TransactionCluster({
      servers,
      deployment: freshDeployment(),
      database: 'txn_killed',
    });
    await cluster.setUp();
  });

  afterAll(() => cluster?.close());

  test.each(COMMIT_STEPS)('at %s leaves all or nothing, and no branch', async (step) => {
    const before = await cluster.balances();

    expect(await commitAndDie({ ...cluster.options, step })).toBe('SIGKILL');
    await cluster.recoverUntilClean();

    const added = (await cluster.balances()).map((balance, at) => balance - (before[at] ?? 0));
    expect(new Set(added).size).toBe(1);
    const outcome = added[0] === 1 ? 'committed' : 'rolled back';
    expect(outcome).toBe(OUTCOMES[step] ?? outcome);
  });

  test('by nobody commits and leaves nothing to recovery', async () => {
    const before = await cluster.balances();
    const never = { ...cluster.options, step: 'never' as CommitStep };

    expect(await commitAndDie(never)).toBe('committed');

    expect(await cluster.balances()).toEqual(before.map((balance) => balance + 1));
    expect(await cluster.preparedCount()).toBe(0);
  });
});

/** The signal that ended it, or what it said. */
function commitAndDie(order: CommitAndDie): Promise<string> {
  const program = new URL('commit-and-die.ts', import.meta.url).pathname;
  return new Promise((resolve) => {
    execFile(process.execPath, [program, JSON.stringify(order)], (error, stdout, stderr) => {
      resolve(error?.signal ?? (stdout.trim() || stderr));
    });
  });
}
