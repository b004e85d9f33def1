import type { ShardId } from '../topology/strategy.ts';
import { type ControlPlane, forgetDecisions, oldDecisions } from './decisions.ts';
import { findPrepared } from './prepared-scan.ts';
import { shardOfToken } from './xid.ts';

/**
 * Deletes decisions of `shard` that are old and have no branch left to finish. The shards are asked
 * for prepared branches after the row was read: since it was there all its branches were prepared,
 * none can appear later. A row whose participants do not all answer stays.
 */
export async function forgetOldDecisions(
  control: ControlPlane,
  shard: ShardId,
  options: {
    readonly deployment: string;
    readonly shards: readonly ShardId[];
    readonly commitsKeptMs: number;
    readonly abortsKeptMs: number;
    readonly batchMax: number;
  },
): Promise<number> {
  const old = await oldDecisions(control, shard, options);
  if (old.length === 0) return 0;
  const prepared = await findPrepared(control, options.shards, options.deployment);
  const finished = old.filter(({ gtrid, participants }) => {
    if ([...prepared.transactions.keys()].some((one) => one === gtrid)) return false;
    return participants.every((token) => {
      const participant = shardOfToken(token, options.shards);
      return participant !== undefined && !prepared.failures.has(participant);
    });
  });
  await forgetDecisions(
    control,
    shard,
    finished.map(({ gtrid }) => gtrid),
  );
  return finished.length;
}
