import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane } from './decisions.ts';
import { type Gtrid, parsePreparedBranch } from './xid.ts';

/** A branch that XA RECOVER showed: where it was found and its own part of the XID. */
export interface FoundBranch {
  readonly shard: ShardId;
  readonly branch: string;
}

export interface PreparedScan {
  readonly transactions: ReadonlyMap<Gtrid, readonly FoundBranch[]>;
  /** Shards that did not answer, and why: what they hold is not known. */
  readonly failures: ReadonlyMap<ShardId, string>;
}

/** Lists this deployment's prepared branches on the shards, by transaction. Others' are left out. */
export async function findPrepared(
  control: ControlPlane,
  shards: readonly ShardId[],
  deployment: string,
): Promise<PreparedScan> {
  const transactions = new Map<Gtrid, FoundBranch[]>();
  const failures = new Map<ShardId, string>();
  const answers = await Promise.allSettled(
    shards.map((shard) => control.query(shard, 'XA RECOVER')),
  );
  for (const [index, answer] of answers.entries()) {
    const shard = shards[index];
    if (shard === undefined) continue;
    if (answer.status === 'rejected') {
      failures.set(shard, answer.reason instanceof Error ? answer.reason.message : 'no answer');
      continue;
    }
    for (const row of answer.value.rows) {
      const found = parsePreparedBranch(row, deployment);
      if (found === undefined) continue;
      const branches = transactions.get(found.gtrid) ?? [];
      branches.push({ shard, branch: found.branch });
      transactions.set(found.gtrid, branches);
    }
  }
  return { transactions, failures };
}
