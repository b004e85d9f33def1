import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { LeftBranches } from './commit-coordinator.ts';
import { type ControlPlane, settleDecision } from './decisions.ts';
import { forgetOldDecisions } from './forget-decisions.ts';
import { type FoundBranch, findPrepared, type PreparedScan } from './prepared-scan.ts';
import { type Gtrid, parseGtrid, shardOfToken, xidSql } from './xid.ts';

export interface RecoveryLimits {
  /** Between two looks at all shards. */
  readonly intervalMs: number;
  /** Courtesy to commits under way: how long a branch is seen prepared before anything is done to it. */
  readonly courtesyMs: number;
  /** A coordinator that lost its answer reads the row within `resolveTimeoutMs`; this is far longer. */
  readonly commitsKeptMs: number;
  /** Longer than any transaction may be open: a late coordinator still has to run into the mark. */
  readonly abortsKeptMs: number;
  readonly forgetIntervalMs: number;
  readonly forgetBatchMax: number;
}

export const RECOVERY_LIMITS: RecoveryLimits = {
  intervalMs: 2_000,
  // Longer than a snapshot may hold commits back: nobody's commit is given up for waiting on one.
  courtesyMs: 4_000,
  commitsKeptMs: 3 * 3_600_000,
  abortsKeptMs: 7 * 86_400_000,
  forgetIntervalMs: 60_000,
  forgetBatchMax: 1_000,
};

export interface RecoveryParts {
  readonly control: ControlPlane;
  /** The shards of the current topology. */
  readonly shards: () => readonly ShardId[];
  readonly deployment: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: RecoveryLimits;
}

/** Plain numbers for the metrics page. */
export interface RecoveryCounters {
  scans: number;
  committed: number;
  rolledBack: number;
  /** Branches that somebody else had finished first. */
  foundFinished: number;
  failures: number;
}

/** A row of SHOW TRANSACTIONS IN DOUBT. */
export interface InDoubtTransaction {
  readonly gtrid: Gtrid;
  /** Undefined when the config has no such shard any more. */
  readonly decisionShard: ShardId | undefined;
  readonly preparedOn: readonly ShardId[];
  readonly seenForMs: number;
  /** Why it is not finished yet, in words for the operator. */
  readonly waitsFor: string;
}

const ER_XAER_NOTA = 1397;
/** Of each shard at a time, so that branches that wait are looked at in between. */
const FORGET_BATCHES_MAX = 100;

/**
 * Finishes what a proxy that died, or lost a shard, left prepared. Any number of proxies may do this
 * at once, and to transactions whose coordinator is only slow: the decision row settles who is right.
 */
export class Recovery {
  readonly counters: RecoveryCounters = {
    scans: 0,
    committed: 0,
    rolledBack: 0,
    foundFinished: 0,
    failures: 0,
  };
  readonly #parts: RecoveryParts;
  readonly #limits: RecoveryLimits;
  readonly #firstSeenMs = new Map<Gtrid, number>();
  /** Their coordinator is this proxy and has given them up: no courtesy. */
  readonly #abandoned = new Set<Gtrid>();
  #inDoubt: readonly InDoubtTransaction[] = [];
  #unreachable: ReadonlyMap<ShardId, string> = new Map();
  #forgotAtMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? RECOVERY_LIMITS;
  }

  /** Looks now and from then on periodically. */
  start(): void {
    this.#scheduleIn(0);
  }

  /** Ends after the scan under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#running;
  }

  /** Branches that this proxy's own coordinator could not finish. */
  takeOver(left: LeftBranches): void {
    this.#abandoned.add(left.gtrid);
    this.#scheduleIn(this.#limits.courtesyMs / 4);
  }

  /** A shard answers again: it may hold branches that nobody could look at. */
  shardIsBack(): void {
    this.#scheduleIn(0);
  }

  /** What the last scan left prepared, oldest first. */
  inDoubt(): readonly InDoubtTransaction[] {
    return this.#inDoubt;
  }

  /** Shards that the last scan could not look at, and why. */
  unreachable(): ReadonlyMap<ShardId, string> {
    return this.#unreachable;
  }

  /** Looks at all shards once and finishes what may be finished. Scans never overlap. */
  async scan(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#running = this.#scanOnce().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  #scheduleIn(delayMs: number): void {
    if (this.#stopped) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      // Failures are counted and logged where they happen; what remains is a bug and must be seen.
      void this.scan()
        .catch((error: unknown) => this.#parts.logger.error('recovery failed', { error }))
        .finally(() => this.#scheduleIn(this.#nextLookMs()));
    });
  }

  /** Branches that were too young are looked at as soon as they no longer are: their locks are in the way. */
  #nextLookMs(): number {
    const { intervalMs, courtesyMs } = this.#limits;
    return this.#inDoubt.length > 0 ? Math.min(intervalMs, courtesyMs) : intervalMs;
  }

  async #scanOnce(): Promise<void> {
    const { control, deployment } = this.#parts;
    this.counters.scans += 1;
    const shards = this.#parts.shards();
    const found = await findPrepared(control, shards, deployment);
    this.#noteUnreachable(found);
    const nowMs = this.#parts.clock.monotonicMs();
    this.#noteSeen(found, nowMs);

    const inDoubt: InDoubtTransaction[] = [];
    for (const [gtrid, branches] of found.transactions) {
      const seenForMs = nowMs - (this.#firstSeenMs.get(gtrid) ?? nowMs);
      const due = seenForMs >= this.#limits.courtesyMs || this.#abandoned.has(gtrid);
      const waitsFor = due ? await this.#finish(gtrid, branches, shards) : 'its coordinator';
      if (waitsFor === undefined) continue;
      const preparedOn = branches.map((branch) => branch.shard);
      const decisionShard = decisionShardOf(gtrid, shards);
      inDoubt.push({ gtrid, decisionShard, preparedOn, seenForMs, waitsFor });
    }
    this.#inDoubt = inDoubt.sort((one, other) => other.seenForMs - one.seenForMs);
    await this.#forget(found, nowMs);
  }

  /** Undefined when nothing of the transaction is left prepared; else what it waits for. */
  async #finish(
    gtrid: Gtrid,
    branches: readonly FoundBranch[],
    shards: readonly ShardId[],
  ): Promise<string | undefined> {
    const decisionShard = decisionShardOf(gtrid, shards);
    if (decisionShard === undefined) {
      return 'its decision shard, which the config does not name any more';
    }
    try {
      const decision = await settleDecision(this.#parts.control, decisionShard, gtrid);
      if (decision === 'undecided') return 'its coordinator, which holds the decision';
      const verb = decision === 'commit' ? 'XA COMMIT' : 'XA ROLLBACK';
      const problems = await Promise.all(branches.map((one) => this.#end(verb, gtrid, one)));
      this.#abandoned.delete(gtrid);
      return problems.find((problem) => problem !== undefined);
    } catch (error) {
      this.counters.failures += 1;
      return `shard ${decisionShard}: ${messageOf(error)}`;
    }
  }

  async #end(
    verb: 'XA COMMIT' | 'XA ROLLBACK',
    gtrid: Gtrid,
    { shard, branch }: FoundBranch,
  ): Promise<string | undefined> {
    const { control, logger } = this.#parts;
    try {
      await control.query(shard, `${verb} ${xidSql(gtrid, branch)}`);
    } catch (error) {
      if (errnoOf(error) === ER_XAER_NOTA) {
        // Finished by somebody else, who went by the same decision; or, on MariaDB, its connection
        // lives. Neither is taken for success: the next scan shows which.
        this.counters.foundFinished += 1;
        return `the connection on shard ${shard} that prepared it`;
      }
      this.counters.failures += 1;
      logger.warn('a prepared branch could not be finished', { gtrid, shard, error });
      return `shard ${shard}: ${messageOf(error)}`;
    }
    if (verb === 'XA COMMIT') this.counters.committed += 1;
    else this.counters.rolledBack += 1;
    logger.warn('finished a prepared branch', { gtrid, shard, verb });
    return undefined;
  }

  async #forget(found: PreparedScan, nowMs: number): Promise<void> {
    if (nowMs - this.#forgotAtMs < this.#limits.forgetIntervalMs) return;
    this.#forgotAtMs = nowMs;
    const { control, deployment, logger } = this.#parts;
    const answered = this.#parts.shards().filter((shard) => !found.failures.has(shard));
    await Promise.all(
      answered.map(async (shard) => {
        try {
          const options = {
            deployment,
            shards: this.#parts.shards(),
            commitsKeptMs: this.#limits.commitsKeptMs,
            abortsKeptMs: this.#limits.abortsKeptMs,
            batchMax: this.#limits.forgetBatchMax,
          };
          for (let batches = 0; batches < FORGET_BATCHES_MAX; batches++) {
            const forgotten = await forgetOldDecisions(control, shard, options);
            if (forgotten < options.batchMax) break;
          }
        } catch (error) {
          this.counters.failures += 1; // Housekeeping: the next turn tries again.
          logger.warn('old decisions could not be forgotten', { shard, error });
        }
      }),
    );
  }

  #noteSeen(found: PreparedScan, nowMs: number): void {
    for (const gtrid of found.transactions.keys()) {
      if (!this.#firstSeenMs.has(gtrid)) this.#firstSeenMs.set(gtrid, nowMs);
    }
    // What an unreachable shard holds is not known to be gone.
    if (found.failures.size > 0) return;
    for (const gtrid of this.#firstSeenMs.keys()) {
      if (!found.transactions.has(gtrid)) this.#firstSeenMs.delete(gtrid);
    }
    for (const gtrid of this.#abandoned) {
      if (!found.transactions.has(gtrid)) this.#abandoned.delete(gtrid);
    }
  }

  #noteUnreachable(found: PreparedScan): void {
    for (const [shard, problem] of found.failures) {
      this.counters.failures += 1;
      if (!this.#unreachable.has(shard)) {
        this.#parts.logger.warn('recovery cannot look at a shard', { shard, problem });
      }
    }
    this.#unreachable = found.failures;
  }
}

function decisionShardOf(gtrid: Gtrid, shards: readonly ShardId[]): ShardId | undefined {
  const token = parseGtrid(gtrid)?.decisionShard;
  return token === undefined ? undefined : shardOfToken(token, shards);
}

function errnoOf(error: unknown): number | undefined {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return typeof errno === 'number' ? errno : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
