import { ProxyError } from '../errors/proxy-error.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane, ControlRows } from './decisions.ts';
import { type Gtrid, parseGtrid, parsePreparedBranch, shardOfToken } from './xid.ts';

export interface SnapshotLimits {
  /** For how long commits over several shards are held up at a time. */
  readonly heldMaxMs: number;
  /** Until another try, which lets them through. */
  readonly pauseMs: number;
  /** All tries together; then the snapshot is refused. */
  readonly timeoutMs: number;
}

export const SNAPSHOT_LIMITS: SnapshotLimits = {
  heldMaxMs: 1_000,
  pauseMs: 300,
  timeoutMs: 10_000,
};

export interface SnapshotParts {
  readonly control: ControlPlane;
  readonly shards: () => readonly ShardId[];
  readonly metadataShard: () => ShardId;
  readonly deployment: string;
  readonly clock: Clock;
  readonly limits?: SnapshotLimits;
}

interface Opener {
  readonly open: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface GateSession {
  query(sql: string, params?: readonly unknown[]): Promise<ControlRows>;
}

const LOOK_PAUSE_MS = 1;

/**
 * Opens snapshots while no commit over several shards is between its first and its last shard. A
 * decision is written under a shared lock of the row in its shard's `commit_gate`, see
 * `insertDecisionSql`; whoever has these rows of all shards for itself knows that nothing is being
 * decided anywhere. What was decided before and is still prepared is waited for. Nothing is asked of
 * other proxies, and one that dies loses its locks with its connections.
 */
export class SnapshotGate {
  readonly #parts: SnapshotParts;
  readonly #limits: SnapshotLimits;
  #waiting: Opener[] = [];
  #isRunning = false;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? SNAPSHOT_LIMITS;
  }

  get shards(): readonly ShardId[] {
    return this.#parts.shards();
  }

  /**
   * Runs `open`, which must not wait for anything but answers of shards. Throws ER_LOCK_WAIT_TIMEOUT
   * when a decided commit is not finished in time. Those who come at once share one closed gate.
   */
  whileNothingCommits(open: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ open, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const openers: Opener[] = [];
      try {
        await this.#whenClosed(async () => {
          openers.push(...this.#waiting.splice(0));
          await Promise.all(openers.map(openOne));
        });
      } catch (error) {
        // Those that had their turn have their own answer; a second one is not heard.
        for (const { reject } of [...openers, ...this.#waiting.splice(0)]) reject(error);
      }
    }
    this.#isRunning = false;
  }

  async #whenClosed(open: () => Promise<void>): Promise<void> {
    const { clock } = this.#parts;
    const deadline = clock.monotonicMs() + this.#limits.timeoutMs;
    for (;;) {
      const unfinished = await this.#closeOnce(open);
      if (unfinished === undefined) return;
      if (clock.monotonicMs() > deadline) throw tooLate(unfinished);
      await pause(clock, this.#limits.pauseMs);
    }
  }

  /** A transaction that was decided and is not finished, when there still is one at the end of the time. */
  async #closeOnce(open: () => Promise<void>): Promise<Gtrid | undefined> {
    const metadataShard = this.#parts.metadataShard();
    const others = this.shards.filter((shard) => shard !== metadataShard);
    // Who has the first has the way free to the others: two never wait for each other.
    return this.#withGate(metadataShard, async (first) => {
      const sessions = new Map<ShardId, GateSession>([[metadataShard, first]]);
      const opened = Promise.withResolvers<void>();
      const closing = others.map((shard) => {
        const closed = Promise.withResolvers<void>();
        const ended = this.#withGate(shard, async (session) => {
          sessions.set(shard, session);
          closed.resolve();
          await opened.promise;
        });
        ended.catch(closed.reject);
        return { closed: closed.promise, ended };
      });
      try {
        await Promise.all(closing.map(({ closed }) => closed));
        const unfinished = await this.#waitForDecided(sessions);
        if (unfinished === undefined) await open();
        return unfinished;
      } finally {
        opened.resolve();
        await Promise.allSettled(closing.map(({ ended }) => ended));
      }
    });
  }

  #withGate<Result>(
    shard: ShardId,
    work: (session: GateSession) => Promise<Result>,
  ): Promise<Result> {
    const waitSeconds = Math.ceil(this.#limits.timeoutMs / 1000);
    return this.#parts.control.session(shard, async (session) => {
      // Should this proxy vanish without a word, the server ends the connection soon.
      await session.query(
        `SET SESSION wait_timeout = ${waitSeconds}, innodb_lock_wait_timeout = ${waitSeconds}`,
      );
      await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await session.query('START TRANSACTION');
      const gate = 'SELECT only_row FROM shardgate.commit_gate WHERE only_row = 1 FOR UPDATE';
      const { rows } = await session.query(gate);
      if (rows.length === 0) throw new Error(`shardgate.commit_gate is empty on shard ${shard}`);
      const result = await work(session);
      await session.query('COMMIT');
      await session.query('SET SESSION wait_timeout = DEFAULT, innodb_lock_wait_timeout = DEFAULT');
      return result;
    });
  }

  /** Nothing new is decided meanwhile, so what is prepared and decided only gets less. */
  async #waitForDecided(sessions: ReadonlyMap<ShardId, GateSession>): Promise<Gtrid | undefined> {
    const { clock } = this.#parts;
    const deadline = clock.monotonicMs() + this.#limits.heldMaxMs;
    for (;;) {
      const [unfinished] = await this.#decidedAndPrepared(sessions);
      if (unfinished === undefined || clock.monotonicMs() > deadline) return unfinished;
      await pause(clock, LOOK_PAUSE_MS);
    }
  }

  async #decidedAndPrepared(
    sessions: ReadonlyMap<ShardId, GateSession>,
  ): Promise<readonly Gtrid[]> {
    const found = await Promise.all(
      [...sessions.values()].map(async (session) => {
        const { rows } = await session.query('XA RECOVER');
        return rows.flatMap((row) => parsePreparedBranch(row, this.#parts.deployment) ?? []);
      }),
    );
    const gtrids = [...new Set(found.flat().map(({ gtrid }) => gtrid))];
    const byShard = Map.groupBy(gtrids, (gtrid) => decisionShardOf(gtrid, sessions.keys()));
    const decided = await Promise.all(
      [...byShard].map(async ([shard, asked]) => {
        const session = shard === undefined ? undefined : sessions.get(shard);
        // Decided on a shard that is no more: nobody can say whether it is under way.
        if (session === undefined) return asked;
        const marks = asked.map(() => '?').join(', ');
        const { rows } = await session.query(
          `SELECT gtrid FROM shardgate.decisions WHERE decision = 'commit' AND gtrid IN (${marks})`,
          asked,
        );
        const committed = new Set(rows.map((row) => String(row.gtrid)));
        return asked.filter((gtrid) => committed.has(gtrid));
      }),
    );
    return decided.flat();
  }
}

async function openOne({ open, resolve, reject }: Opener): Promise<void> {
  try {
    await open();
    resolve();
  } catch (error) {
    reject(error); // Its own failure, nobody else's.
  }
}

function decisionShardOf(gtrid: Gtrid, shards: Iterable<ShardId>): ShardId | undefined {
  const token = parseGtrid(gtrid)?.decisionShard;
  return token === undefined ? undefined : shardOfToken(token, shards);
}

function pause(clock: Clock, forMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(forMs, resolve));
}

function tooLate(gtrid: Gtrid): ProxyError {
  return new ProxyError(
    'ER_LOCK_WAIT_TIMEOUT',
    `No snapshot over all shards: transaction '${gtrid}' is committed and not yet finished on every ` +
      'shard (SHOW TRANSACTIONS IN DOUBT); try again',
  );
}
