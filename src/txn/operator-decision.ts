import { isUnreachable } from '../backend/control-connection.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type ControlPlane, type Decision, readDecision, settleDecision } from './decisions.ts';
import { type FoundBranch, findPrepared } from './prepared-scan.ts';
import { type Gtrid, parseGtrid, shardOfToken, xidSql } from './xid.ts';

export interface OperatorParts {
  readonly control: ControlPlane;
  readonly shards: () => readonly ShardId[];
  readonly deployment: string;
  readonly logger: Logger;
}

/**
 * COMMIT IN DOUBT and ROLLBACK IN DOUBT: finishes a transaction that recovery cannot finish since
 * its decision shard is gone for good. While that shard answers, only what it says is carried out:
 * an operator's word against it would tear the transaction apart.
 */
export async function endInDoubt(
  parts: OperatorParts,
  id: string,
  wanted: Decision,
): Promise<void> {
  const { control, deployment, logger } = parts;
  const shards = parts.shards();
  const { transactions, failures } = await findPrepared(control, shards, deployment);
  const found = [...transactions].find(([gtrid]) => gtrid === id);
  if (found === undefined) throw unknownTransaction(id, failures);
  const [gtrid, branches] = found;
  const recorded = await recordedDecision(control, gtrid, { shards, wanted });
  if (recorded !== undefined && recorded !== wanted) throw contradiction(gtrid, recorded);
  logger.warn('an operator ends a transaction in doubt', { gtrid, wanted, recorded });
  await Promise.all(branches.map((branch) => endBranch(control, gtrid, wanted, branch)));
}

/** Undefined when the decision shard is not there to say. */
async function recordedDecision(
  control: ControlPlane,
  gtrid: Gtrid,
  options: { readonly shards: readonly ShardId[]; readonly wanted: Decision },
): Promise<Decision | 'undecided' | undefined> {
  const token = parseGtrid(gtrid)?.decisionShard ?? '';
  const shard = shardOfToken(token, options.shards);
  if (shard === undefined) return undefined;
  try {
    if (options.wanted === 'abort') return await settleDecision(control, shard, gtrid);
    return (await readDecision(control, shard, gtrid)) ?? 'undecided';
  } catch (error) {
    if (isUnreachable(error)) return undefined;
    throw error;
  }
}

async function endBranch(
  control: ControlPlane,
  gtrid: Gtrid,
  decision: Decision,
  { shard, branch }: FoundBranch,
): Promise<void> {
  const verb = decision === 'commit' ? 'XA COMMIT' : 'XA ROLLBACK';
  await control.query(shard, `${verb} ${xidSql(gtrid, branch)}`);
}

function unknownTransaction(id: string, failures: ReadonlyMap<ShardId, string>): ProxyError {
  const unseen =
    failures.size === 0 ? '' : ` on the shards that answer (${[...failures.keys()]} do not)`;
  return new ProxyError(
    'ER_XAER_NOTA',
    `No transaction in doubt is called '${id}'${unseen}; see SHOW TRANSACTIONS IN DOUBT`,
  );
}

function contradiction(gtrid: Gtrid, recorded: Decision | 'undecided'): ProxyError {
  const why = {
    commit: 'its decision shard has committed it: only COMMIT IN DOUBT keeps it whole',
    abort: 'its decision shard has rolled it back: only ROLLBACK IN DOUBT keeps it whole',
    undecided: 'its decision shard answers and has not committed it: recovery will end it',
  }[recorded];
  return new ProxyError('ER_XAER_RMFAIL', `Transaction '${gtrid}' is left as it is: ${why}`);
}
