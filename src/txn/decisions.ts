import { ShardError } from '../errors/shard-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Gtrid, shardToken } from './xid.ts';

export interface ControlRows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** The part of `ControlConnections` that is used here: statements outside of any client's session. */
export interface ControlPlane {
  query(shard: ShardId, sql: string, params?: readonly unknown[]): Promise<ControlRows>;
  /** One connection for several statements, closed when `work` throws. */
  session<Result>(
    shard: ShardId,
    work: (session: {
      query(sql: string, params?: readonly unknown[]): Promise<ControlRows>;
    }) => Promise<Result>,
  ): Promise<Result>;
}

export type Decision = 'commit' | 'abort';

const ER_DUP_ENTRY = 1062;
const ER_LOCK_WAIT_TIMEOUT = 1205;
const ER_LOCK_DEADLOCK = 1213;

const INSERT_ABORT =
  'INSERT INTO shardgate.decisions (gtrid, decision, participants, created_at) ' +
  "VALUES (?, 'abort', '', UTC_TIMESTAMP())";

/** UTC whatever time zone and `timestamp` the client's session has set. */
const UTC_NOW = "'1970-01-01' + INTERVAL UNIX_TIMESTAMP(SYSDATE()) SECOND";

/**
 * The statement that makes a COMMIT on the decision shard the decision, run by the coordinator in
 * the transaction itself. It shares the shard's gate until that COMMIT, see `SnapshotGate`. No row is
 * inserted where the gate has none, so the coordinator looks at the count.
 */
export function insertDecisionSql(gtrid: Gtrid, participants: readonly ShardId[]): string {
  const names = participants.map(shardToken).join(',');
  return (
    'INSERT INTO shardgate.decisions (gtrid, decision, participants, created_at) ' +
    `SELECT '${gtrid}', 'commit', '${names}', ${UTC_NOW} ` +
    'FROM shardgate.commit_gate WHERE only_row = 1 LOCK IN SHARE MODE'
  );
}

/**
 * Settles what became of a transaction, for good: 'commit' when its decision is on disk; else 'abort'
 * is put there and nobody can commit it any more. 'undecided' while its coordinator holds the row.
 * Throws when the decision shard does not answer.
 */
export async function settleDecision(
  control: ControlPlane,
  decisionShard: ShardId,
  gtrid: Gtrid,
): Promise<Decision | 'undecided'> {
  // Twice: the row that was in the way may be forgotten before it is read.
  for (let tries = 0; tries < 2; tries++) {
    try {
      await control.session(decisionShard, async (session) => {
        // A coordinator that is just committing holds the row: it is left in peace after a second.
        await session.query('SET SESSION innodb_lock_wait_timeout = 1');
        await session.query(INSERT_ABORT, [gtrid]);
        await session.query('SET SESSION innodb_lock_wait_timeout = DEFAULT');
      });
      return 'abort';
    } catch (error) {
      const errno = error instanceof ShardError ? error.errno : undefined;
      if (errno === ER_LOCK_WAIT_TIMEOUT || errno === ER_LOCK_DEADLOCK) return 'undecided';
      if (errno !== ER_DUP_ENTRY) throw error;
    }
    const decision = await readDecision(control, decisionShard, gtrid);
    if (decision !== undefined) return decision;
  }
  return 'undecided';
}

export async function readDecision(
  control: ControlPlane,
  decisionShard: ShardId,
  gtrid: Gtrid,
): Promise<Decision | undefined> {
  const { rows } = await control.query(
    decisionShard,
    'SELECT decision FROM shardgate.decisions WHERE gtrid = ?',
    [gtrid],
  );
  const decision = rows[0]?.decision;
  return decision === 'commit' || decision === 'abort' ? decision : undefined;
}

/** A decision that is old enough to be forgotten, once none of its branches is prepared any more. */
export interface OldDecision {
  readonly gtrid: string;
  readonly decision: Decision;
  readonly participants: readonly string[];
}

export async function oldDecisions(
  control: ControlPlane,
  shard: ShardId,
  options: {
    readonly deployment: string;
    readonly commitsKeptMs: number;
    readonly abortsKeptMs: number;
    readonly batchMax: number;
  },
): Promise<readonly OldDecision[]> {
  const { rows } = await control.query(
    shard,
    'SELECT gtrid, decision, participants FROM shardgate.decisions ' +
      "WHERE gtrid LIKE ? AND created_at < UTC_TIMESTAMP() - INTERVAL IF(decision = 'commit', ?, ?) SECOND " +
      `LIMIT ${options.batchMax}`,
    [
      `sg1.${options.deployment.replaceAll('_', '\\_')}.%`,
      Math.ceil(options.commitsKeptMs / 1000),
      Math.ceil(options.abortsKeptMs / 1000),
    ],
  );
  return rows.map((row) => ({
    gtrid: String(row.gtrid),
    decision: row.decision === 'commit' ? 'commit' : 'abort',
    participants: String(row.participants ?? '')
      .split(',')
      .filter((name) => name !== ''),
  }));
}

export async function forgetDecisions(
  control: ControlPlane,
  shard: ShardId,
  gtrids: readonly string[],
): Promise<void> {
  if (gtrids.length === 0) return;
  const marks = gtrids.map(() => '?').join(', ');
  await control.query(shard, `DELETE FROM shardgate.decisions WHERE gtrid IN (${marks})`, gtrids);
}
