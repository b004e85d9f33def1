import type { CommitStep } from '../../src/txn/commit-steps.ts';
import { type ClusterOptions, runOn, TransactionCluster } from './txn-cluster.ts';

/**
 * A coordinator in a process of its own: adds 1 to an account on every shard and commits, and is
 * gone without a word when it comes to the step.
 */
export interface CommitAndDie extends ClusterOptions {
  readonly step: CommitStep;
}

const order: CommitAndDie = JSON.parse(process.argv[2] ?? '');
const cluster = new TransactionCluster(order);
const coordinator = cluster.coordinator({
  atStep: (step) => {
    if (step === order.step) process.kill(process.pid, 'SIGKILL');
  },
});
const transaction = cluster.begin(coordinator);
for (const shard of cluster.shards) {
  await runOn(transaction, shard, 'UPDATE accounts SET balance = balance + 1 WHERE id = 1');
}
await transaction.commit();
process.stdout.write('committed\n');
await cluster.close();
