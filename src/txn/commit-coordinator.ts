import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import { assert } from '../runtime/assert.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Branch, isRefusal, wasNotSent } from './branch.ts';
import { COMMIT_LIMITS, type CommitLimits } from './commit-limits.ts';
import { CommitRun } from './commit-run.ts';
import type { CommitStepHook } from './commit-steps.ts';
import type { DeadlockDetector } from './deadlocks.ts';
import type { ControlPlane } from './decisions.ts';
import type { SnapshotGate } from './snapshot-gate.ts';
import type { CommitState } from './two-phase-commit.ts';
import type { Gtrid, GtridSource } from './xid.ts';

/** Branches that may be prepared and have nobody left to finish them. */
export interface LeftBranches {
  readonly gtrid: Gtrid;
  readonly shards: readonly ShardId[];
}

export interface CoordinatorParts {
  readonly gtrids: GtridSource;
  readonly control: ControlPlane;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Recovery: looks at once instead of at its next turn. */
  readonly onLeft: (left: LeftBranches) => void;
  readonly limits?: CommitLimits;
  /** Told of every transaction on several shards. */
  readonly deadlocks?: DeadlockDetector;
  /** Where it is missing, snapshots over all shards are refused. */
  readonly snapshots?: SnapshotGate;
  /** For fault tests. */
  readonly atStep?: CommitStepHook;
}

/** Plain numbers for the metrics page. */
export interface CommitCounters {
  onePhase: number;
  twoPhase: number;
  rolledBack: number;
  resolved: number;
  unknown: number;
  leftToRecovery: number;
}

/** Commits the branches of one transaction after another; shared by all sessions of a proxy. */
export class XaCoordinator {
  readonly gtrids: GtridSource;
  readonly clock: Clock;
  readonly limits: CommitLimits;
  readonly atStep: CommitStepHook | undefined;
  readonly deadlocks: DeadlockDetector | undefined;
  readonly snapshots: SnapshotGate | undefined;
  readonly counters: CommitCounters = {
    onePhase: 0,
    twoPhase: 0,
    rolledBack: 0,
    resolved: 0,
    unknown: 0,
    leftToRecovery: 0,
  };
  readonly #parts: CoordinatorParts;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
    this.gtrids = parts.gtrids;
    this.clock = parts.clock;
    this.limits = parts.limits ?? COMMIT_LIMITS;
    this.atStep = parts.atStep;
    this.deadlocks = parts.deadlocks;
    this.snapshots = parts.snapshots;
  }

  /**
   * Commits the branches as one and lets go of all their connections. Throws when they were rolled
   * back (the error says why) or when nobody knows: then with ER_ERROR_DURING_COMMIT.
   * `decisionBranch` opens the plain transaction on the decision shard where there is none yet.
   */
  async commit(
    gtrid: Gtrid,
    branches: readonly Branch[],
    decisionBranch: () => Promise<Branch>,
  ): Promise<void> {
    const writers = branches.filter((branch) => branch.use === 'wrote');
    const readers = branches.filter((branch) => branch.use !== 'wrote');
    try {
      await this.#checkLocks(writers.length > 0 ? readers : []);
      const [writer] = writers;
      if (writer === undefined) await this.#endReaders(readers);
      else if (writers.length === 1) await this.#commitOne(writer, readers);
      else await this.#commitMany(gtrid, { writers, readers, decisionBranch });
    } catch (error) {
      await this.rollBack(branches);
      throw error;
    }
  }

  /** Rolls the branches back, in parallel, and lets go of their connections. Never throws. */
  async rollBack(branches: readonly Branch[]): Promise<void> {
    await Promise.all(branches.map((branch) => rollBackBranch(branch)));
  }

  /** A lock that a read took must be held until the decision; its connection may be gone unnoticed. */
  async #checkLocks(readers: readonly Branch[]): Promise<void> {
    const locked = readers.filter((branch) => branch.use === 'locked');
    try {
      await Promise.all(locked.map((branch) => branch.run('DO 0')));
    } catch (error) {
      throw clientError(error);
    }
  }

  async #commitOne(writer: Branch, readers: readonly Branch[]): Promise<void> {
    this.counters.onePhase += 1;
    try {
      await writer.commitAlone();
    } catch (error) {
      if (!isRefusal(error) && !wasNotSent(error)) throw this.#unknownAlone(writer, error);
      this.counters.rolledBack += 1;
      throw clientError(error);
    }
    writer.release();
    await this.#endReaders(readers);
  }

  /**
   * Reads are committed rather than rolled back: should a function called by a SELECT have written
   * something, it stays. What goes wrong here loses nothing.
   */
  async #endReaders(readers: readonly Branch[]): Promise<void> {
    await Promise.all(
      readers.map(async (branch) => {
        try {
          await branch.commitAlone();
          branch.release();
        } catch {
          branch.destroy();
        }
      }),
    );
  }

  async #commitMany(
    gtrid: Gtrid,
    parts: {
      readonly writers: readonly Branch[];
      readonly readers: readonly Branch[];
      readonly decisionBranch: () => Promise<Branch>;
    },
  ): Promise<void> {
    this.counters.twoPhase += 1;
    const decision =
      [...parts.writers, ...parts.readers].find((branch) => branch.kind === 'plain') ??
      (await parts.decisionBranch().catch((error: unknown) => {
        throw clientError(error);
      }));
    const run = new CommitRun({
      gtrid,
      decision,
      participants: parts.writers.filter((branch) => branch !== decision),
      control: this.#parts.control,
      clock: this.clock,
      limits: this.limits,
      atStep: this.atStep,
    });
    const end = await run.run();
    const readers = parts.readers.filter((branch) => branch !== decision);
    if (end.kind === 'aborted') await this.rollBack(readers);
    else await this.#endReaders(readers);
    if (run.wasUnclear) this.counters.resolved += 1;
    this.#answer(end, run.branches);
  }

  /** Tells how it ended, by returning or throwing. */
  #answer(end: CommitState, branches: readonly Branch[]): void {
    const { gtrid } = end.plan;
    switch (end.kind) {
      case 'committed':
        this.#leave(gtrid, participantsOf(end));
        return;
      case 'aborted':
        this.counters.rolledBack += 1;
        this.#leave(gtrid, participantsOf(end));
        throw clientError(end.cause);
      case 'unknown':
        this.counters.unknown += 1;
        for (const branch of branches) branch.destroy();
        this.#leave(gtrid, end.plan.participants);
        throw unknownOutcome(end.plan.decisionShard, gtrid, end.cause);
      default:
        assert(false, `a commit ended as ${end.kind}`);
    }
  }

  #leave(gtrid: Gtrid, shards: readonly ShardId[]): void {
    if (shards.length === 0) return;
    this.counters.leftToRecovery += shards.length;
    this.#parts.logger.warn('branches are left to recovery', { gtrid, shards });
    this.#parts.onLeft({ gtrid, shards });
  }

  /** One shard alone keeps no record of a COMMIT that was not answered, as one server alone does not. */
  #unknownAlone(writer: Branch, cause: unknown): ProxyError {
    this.counters.unknown += 1;
    return new ProxyError(
      'ER_ERROR_DURING_COMMIT',
      `The connection to shard ${writer.shard} was lost during COMMIT: whether it committed is ` +
        'unknown, look at the data before trying again',
      { cause },
    );
  }
}

/** The plain transaction of the decision shard is never prepared: nothing of it can be left. */
function participantsOf(
  end: CommitState & { readonly left: ReadonlySet<ShardId> },
): readonly ShardId[] {
  return [...end.left].filter((shard) => shard !== end.plan.decisionShard);
}

async function rollBackBranch(branch: Branch): Promise<void> {
  if (!branch.isHeld) return;
  try {
    await branch.rollBack();
    branch.release();
  } catch {
    // Closing the connection rolls back what is not prepared, and this branch was not.
    branch.destroy();
  }
}

function unknownOutcome(decisionShard: ShardId, gtrid: Gtrid, cause: unknown): ProxyError {
  return new ProxyError(
    'ER_ERROR_DURING_COMMIT',
    `Shard ${decisionShard} was lost during COMMIT and does not answer: the outcome of transaction ` +
      `'${gtrid}' is unknown until it is back; all its shards will then agree`,
    { cause, details: { gtrid } },
  );
}

const ER_DUP_ENTRY = 1062;
const ER_XA_RBTIMEOUT = 1613;
const ER_XA_RBDEADLOCK = 1614;
const ER_XAER_RMFAIL = 1399;
const XAER_ERRNOS: readonly number[] = [1397, 1398, ER_XAER_RMFAIL, 1400, 1401, 1402, 1440];

/** XA is our business, not the client's: its errors become those of an ordinary COMMIT. */
function clientError(cause: unknown): unknown {
  if (!isRefusal(cause)) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const code = cause instanceof ProxyError ? cause.code : 'ER_UNKNOWN_ERROR';
    return new ProxyError(code, `${why}; the transaction was rolled back on every shard`, {
      cause,
    });
  }
  if (cause.errno === ER_DUP_ENTRY) {
    return deadlock('COMMIT took so long that recovery rolled the transaction back', cause);
  }
  if (cause.errno === ER_XA_RBDEADLOCK || cause.errno === ER_XA_RBTIMEOUT) {
    return deadlock(`Shard ${cause.shard} had rolled its part back`, cause);
  }
  if (XAER_ERRNOS.includes(cause.errno)) {
    return new ProxyError(
      'ER_XA_RBROLLBACK',
      `Shard ${cause.shard} could not prepare (${cause.message}); the transaction was rolled back on every shard`,
      { cause },
    );
  }
  return cause;
}

function deadlock(what: string, cause: unknown): ProxyError {
  return new ProxyError('ER_LOCK_DEADLOCK', `${what}; try restarting transaction`, { cause });
}
