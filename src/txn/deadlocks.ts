import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane } from './decisions.ts';
import { LockWaitReader } from './lock-waits.ts';
import { type PublishedBranch, PublishedWaits } from './published-waits.ts';
import { type Deadlock, findDeadlocks, type WaitEdge } from './wait-graph.ts';

/** A branch of an open transaction: the server's connection and what runs there. */
export interface HeldBranch {
  readonly shard: ShardId;
  readonly threadId: number;
  /** Since when a statement has been running; undefined while none is. */
  readonly waitsSinceMs: number | undefined;
}

/** A transaction as the search for deadlocks sees it. */
export interface LockHolder {
  readonly id: string | undefined;
  readonly begunAtMs: number;
  holds(): readonly HeldBranch[];
  /**
   * Gives the transaction up with 1213; `endStatements` is to end what runs on its branches. False
   * when it does not wait any more.
   */
  condemn(endStatements: (waiting: readonly HeldBranch[]) => Promise<void>): boolean;
}

export interface DeadlockLimits {
  /** A statement that takes longer may be waiting for a lock. */
  readonly suspectedAfterMs: number;
  readonly intervalMs: number;
  /** A shard that takes longer to show its lock waits is left out of this look. */
  readonly answerTimeoutMs: number;
}

export const DEADLOCK_LIMITS: DeadlockLimits = {
  suspectedAfterMs: 100,
  intervalMs: 150,
  answerTimeoutMs: 2_000,
};

export interface DeadlockParts {
  readonly control: ControlPlane;
  readonly metadataShard: () => ShardId;
  readonly deployment: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: DeadlockLimits;
}

/** Plain numbers for the metrics page. */
export interface DeadlockCounters {
  looks: number;
  victims: number;
  failures: number;
}

/**
 * Finds cycles of lock waits over several shards, which no server sees: the servers' lock waits,
 * with the connections of one transaction taken for one. Nothing is asked while no transaction on
 * several shards has a statement that takes long.
 */
export class DeadlockDetector {
  readonly counters: DeadlockCounters = { looks: 0, victims: 0, failures: 0 };
  readonly #parts: DeadlockParts;
  readonly #limits: DeadlockLimits;
  readonly #lockWaits: LockWaitReader;
  readonly #published: PublishedWaits;
  readonly #watched = new Set<LockHolder>();
  /** Cycles with members of other proxies seen by the last look. */
  #seenBefore: ReadonlySet<string> = new Set();
  #anyPublished = false;
  #looking: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #lastProblem = '';
  #stopped = false;

  constructor(parts: DeadlockParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? DEADLOCK_LIMITS;
    this.#lockWaits = new LockWaitReader(parts.control);
    this.#published = new PublishedWaits(parts.control, parts.deployment);
  }

  watch(transaction: LockHolder): void {
    this.#watched.add(transaction);
    this.#schedule();
  }

  forget(transaction: LockHolder): void {
    this.#watched.delete(transaction);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#looking;
  }

  #schedule(): void {
    if (this.#stopped || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#parts.clock.after(this.#limits.intervalMs, () => {
      this.#looking = this.#look()
        .catch((error: unknown) => this.#failed(error))
        .finally(() => {
          this.#looking = undefined;
          this.#cancelTimer = undefined;
          if (this.#watched.size > 0 || this.#anyPublished) this.#schedule();
        });
    });
  }

  async #look(): Promise<void> {
    const own = this.#suspects();
    if (own.length === 0 && !this.#anyPublished) return;
    this.counters.looks += 1;
    const ids = new Set(own.map(({ id }) => id));
    const published = await this.#published.exchange(
      this.#parts.metadataShard(),
      own.flatMap((holder) => this.#branchesToShow(holder)),
    );
    this.#anyPublished = own.length > 0;
    if (own.length === 0) return;
    const edges = await this.#edges(published);
    const ages = new Map(published.map(({ gtrid, begunAtMs }) => [gtrid, begunAtMs]));
    const deadlocks = findDeadlocks(edges, ages);
    const seen = new Set<string>();
    for (const deadlock of deadlocks) {
      const isOwn = deadlock.members.every((member) => !ages.has(member) || ids.has(member));
      seen.add(cycleName(deadlock));
      // What other proxies show may be a moment old: their cycles are believed when seen twice.
      if (isOwn || this.#seenBefore.has(cycleName(deadlock))) this.#breakUp(deadlock, own);
    }
    this.#seenBefore = seen;
    await this.#sweep();
  }

  /** Transactions with a statement that has been running for long. */
  #suspects(): readonly LockHolder[] {
    const since = this.#parts.clock.monotonicMs() - this.#limits.suspectedAfterMs;
    return [...this.#watched].filter((holder) =>
      holder.holds().some(({ waitsSinceMs }) => waitsSinceMs !== undefined && waitsSinceMs < since),
    );
  }

  #branchesToShow(holder: LockHolder): readonly PublishedBranch[] {
    const { id: gtrid, begunAtMs } = holder;
    if (gtrid === undefined) return [];
    return holder.holds().map(({ shard, threadId, waitsSinceMs }) => {
      return { gtrid, shard, threadId, begunAtMs, waits: waitsSinceMs !== undefined };
    });
  }

  /** Of each shard where a shown transaction waits, and of all other connections there. */
  async #edges(published: readonly PublishedBranch[]): Promise<readonly WaitEdge[]> {
    const names = new Map(published.map((one) => [nameOf(one.shard, one.threadId), one.gtrid]));
    const nodeOf = (shard: ShardId, threadId: number): string => {
      const name = nameOf(shard, threadId);
      return names.get(name) ?? name;
    };
    const shards = new Set(published.flatMap(({ shard, waits }) => (waits ? [shard] : [])));
    const answers = await Promise.all(
      [...shards].map(async (shard) => {
        const waits = await this.#waitsOn(shard);
        return waits.map(({ waiter, blocker }) => {
          return { waiter: nodeOf(shard, waiter), blocker: nodeOf(shard, blocker) };
        });
      }),
    );
    return answers.flat();
  }

  async #waitsOn(shard: ShardId): ReturnType<LockWaitReader['read']> {
    const { clock } = this.#parts;
    const { answerTimeoutMs } = this.#limits;
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(answerTimeoutMs, () =>
        reject(new Error(`shard ${shard} does not show its lock waits in ${answerTimeoutMs} ms`)),
      );
    });
    try {
      return await Promise.race([this.#lockWaits.read(shard), late]);
    } catch (error) {
      // The other shards' waits may hold a cycle all the same.
      this.#failed(error);
      return [];
    } finally {
      cancel();
    }
  }

  #breakUp({ victim, members }: Deadlock, own: readonly LockHolder[]): void {
    // Whoever owns it sees the same cycle and chooses the same victim.
    const holder = own.find(({ id }) => id === victim);
    if (holder === undefined) return;
    const condemned = holder.condemn(async (waiting) => {
      await Promise.allSettled(
        waiting.map(({ shard, threadId }) =>
          this.#parts.control.query(shard, `KILL QUERY ${threadId}`),
        ),
      );
    });
    if (!condemned) return;
    this.counters.victims += 1;
    this.#parts.logger.info('a deadlock over several shards was ended', { victim, members });
  }

  async #sweep(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#sweptAtMs < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = nowMs;
    await this.#published.sweep(this.#parts.metadataShard());
  }

  /** Lock waits end by their own time-outs as well; it is said once what stands in the way. */
  #failed(error: unknown): void {
    this.counters.failures += 1;
    const problem = error instanceof Error ? error.message : String(error);
    if (problem === this.#lastProblem) return;
    this.#lastProblem = problem;
    this.#parts.logger.warn('deadlocks over several shards may go unnoticed', { error });
  }
}

const SWEEP_INTERVAL_MS = 60_000;

function nameOf(shard: ShardId, threadId: number): string {
  return `${shard}/${threadId}`;
}

function cycleName({ members }: Deadlock): string {
  return [...members].sort().join(' ');
}
