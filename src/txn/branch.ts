import type { Lease, ReplyEnd, ReplySink } from '../backend/lease.ts';
import { queryCommand } from '../backend/shard-connection.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { CommitLimits } from './commit-limits.ts';
import { type Gtrid, shardToken, xidSql } from './xid.ts';

/** What a transaction has done on a shard so far; each step includes those before it. */
export type BranchUse = 'untouched' | 'read' | 'locked' | 'wrote';

const USES: readonly BranchUse[] = ['untouched', 'read', 'locked', 'wrote'];

export interface BranchOptions {
  readonly lease: Lease;
  /** The decision shard runs a plain transaction, all others XA branches. */
  readonly kind: 'plain' | 'xa';
  readonly gtrid: Gtrid;
  readonly clock: Clock;
  readonly limits: CommitLimits;
}

/** The part of a transaction on one shard, with the connection that it holds until its end. */
export class Branch {
  readonly shard: ShardId;
  readonly kind: 'plain' | 'xa';
  readonly lease: Lease;
  readonly #xid: string;
  readonly #clock: Clock;
  readonly #limits: CommitLimits;
  #use: BranchUse = 'untouched';
  #isReadOnly = false;
  /** `ending`: only our own commands are sent. `left`: released or destroyed, nothing is sent any more. */
  #hold: 'held' | 'ending' | 'left' = 'held';
  #statementsUnderWay = 0;
  #statementSinceMs = 0;
  #opening: Promise<void> | undefined;

  constructor(options: BranchOptions) {
    this.shard = options.lease.shard;
    this.kind = options.kind;
    this.lease = options.lease;
    this.#xid = xidSql(options.gtrid, shardToken(this.shard));
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  get use(): BranchUse {
    return this.#use;
  }

  get isHeld(): boolean {
    return this.#hold !== 'left';
  }

  /** A statement sent behind ROLLBACK would be carried out outside of the transaction. */
  get takesStatements(): boolean {
    return this.#hold === 'held';
  }

  refuseStatements(): void {
    if (this.#hold === 'held') this.#hold = 'ending';
  }

  /** Settles when what was sent quietly has been answered. */
  get opening(): Promise<void> | undefined {
    return this.#opening;
  }

  /** Since when the client's statement has been running here; undefined while there is none. */
  get statementSinceMs(): number | undefined {
    return this.#statementsUnderWay === 0 ? undefined : this.#statementSinceMs;
  }

  statementSent(): void {
    if (this.#statementsUnderWay === 0) this.#statementSinceMs = this.#clock.monotonicMs();
    this.#statementsUnderWay += 1;
  }

  statementEnded(): void {
    this.#statementsUnderWay -= 1;
  }

  markUse(use: BranchUse): void {
    if (use === 'wrote' && this.#isReadOnly) return;
    if (USES.indexOf(use) > USES.indexOf(this.#use)) this.#use = use;
  }

  /** The shard has refused a write for the transaction being READ ONLY: no other can have succeeded. */
  markReadOnly(): void {
    this.#isReadOnly = true;
    if (this.#use === 'wrote') this.#use = 'locked';
  }

  /**
   * Sends what opens the branch; the statement follows without waiting. `onFailed` hears of any
   * command that was not OK.
   */
  open(characteristics: string | undefined, onFailed: (cause: Error) => void): void {
    if (characteristics !== undefined) this.sendQuietly(characteristics, onFailed);
    const start = this.kind === 'plain' ? 'BEGIN' : `XA START ${this.#xid}`;
    this.sendQuietly(start, onFailed);
  }

  /**
   * Opens the branch and its read view: any consistent read does, also in an XA branch, which has no
   * WITH CONSISTENT SNAPSHOT. Throws what the shard says.
   */
  async openSnapshot(characteristics: string): Promise<void> {
    const start = this.kind === 'plain' ? 'BEGIN' : `XA START ${this.#xid}`;
    const read = 'SELECT only_row FROM shardgate.commit_gate WHERE only_row = 1';
    const asked = [characteristics, start, read].map((sql) => this.run(sql));
    const failed = (await Promise.allSettled(asked)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /**
   * Sends a command of ours whose answer matters only when it is not OK. `onFailed` is called before the
   * reply of whatever was sent behind it is looked at: without its BEGIN a statement was carried out
   * by itself, and the client must not be told OK.
   */
  sendQuietly(sql: string, onFailed: (cause: Error) => void): void {
    const answered = this.run(sql, this.#limits.commandTimeoutMs, onFailed).catch(() => undefined);
    const opening = Promise.all([this.#opening, answered]).then(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
  }

  /** Runs a command of ours. Throws the shard's error, or ER_QUERY_ON_FOREIGN_DATA_SOURCE when its answer did not come. */
  run(
    sql: string,
    timeoutMs = this.#limits.commandTimeoutMs,
    onFailed: (cause: Error) => void = () => {},
  ): Promise<ReplyEnd> {
    return new Promise((resolve, rejectLater) => {
      const reject = (cause: Error): void => {
        onFailed(cause);
        rejectLater(cause);
      };
      if (!this.isHeld) {
        reject(notSent(this.shard));
        return;
      }
      let sending = true;
      const cancelTimeout = this.#clock.after(timeoutMs, () => {
        this.destroy();
        reject(lostConnection(this.shard, new Error(`no answer within ${timeoutMs} ms`)));
      });
      const settle = (finish: () => void): void => {
        cancelTimeout();
        finish();
      };
      const sink: ReplySink = {
        onReplyBytes: () => {},
        onReplyEnd: (end) => settle(() => (end.error ? reject(end.error) : resolve(end))),
        onReplyLost: (cause) => {
          // Told while it is sent: the connection was closed before.
          const lost = sending ? notSent(this.shard, cause) : lostConnection(this.shard, cause);
          settle(() => reject(lost));
        },
      };
      this.lease.send(queryCommand(sql), sink);
      sending = false;
    });
  }

  /** Both commands in one write; XA PREPARE is refused by the shard when XA END was. */
  prepare(): Promise<void> {
    return this.#runBoth(`XA END ${this.#xid}`, `XA PREPARE ${this.#xid}`);
  }

  /** Only after `prepare` has succeeded and the decision is durable. */
  async commitPrepared(): Promise<void> {
    await this.run(`XA COMMIT ${this.#xid}`);
  }

  /** Commits without asking anybody else: nothing else wrote. */
  async commitAlone(): Promise<void> {
    if (this.kind === 'plain') await this.run('COMMIT');
    else await this.#runBoth(`XA END ${this.#xid}`, `XA COMMIT ${this.#xid} ONE PHASE`);
  }

  /** Works in every state of the branch that has not been committed: active, failed, prepared. */
  async rollBack(): Promise<void> {
    this.refuseStatements();
    const { rollBackTimeoutMs } = this.#limits;
    if (this.kind === 'plain') {
      await this.run('ROLLBACK', rollBackTimeoutMs);
      return;
    }
    // XA END fails for a branch that is prepared or was rolled back by its server; XA ROLLBACK
    // answers for both.
    const end = this.run(`XA END ${this.#xid}`, rollBackTimeoutMs).catch(() => undefined);
    await this.run(`XA ROLLBACK ${this.#xid}`, rollBackTimeoutMs);
    await end;
  }

  /** Gives the connection back: its transaction is over and it is as clean as it came. */
  release(): void {
    if (!this.isHeld) return;
    this.#hold = 'left';
    this.lease.release();
  }

  /** Closes the connection. The server rolls back what is not prepared. */
  destroy(): void {
    if (!this.isHeld) return;
    this.#hold = 'left';
    this.lease.destroy();
  }

  async #runBoth(first: string, second: string): Promise<void> {
    const [one, two] = await Promise.allSettled([this.run(first), this.run(second)]);
    // The first failure explains the second.
    if (one.status === 'rejected') throw one.reason;
    if (two.status === 'rejected') throw two.reason;
  }
}

/** What a connection that broke is reported as. */
export function lostConnection(shard: ShardId, cause?: Error): ProxyError {
  if (cause instanceof ProxyError) return cause; // It names the shard and the reason already.
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new ProxyError(
    'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
    `The connection to shard ${shard} was lost${why}`,
    cause === undefined ? {} : { cause },
  );
}

/** A command that was never sent, since its connection was known to be closed. */
class NotSent extends Error {}

function notSent(shard: ShardId, cause?: Error): ProxyError {
  const lost = lostConnection(shard, cause);
  return new ProxyError(lost.code, lost.message, { cause: new NotSent() });
}

/** True when the shard was never asked, so it cannot have done anything. */
export function wasNotSent(error: unknown): boolean {
  return error instanceof ProxyError && error.cause instanceof NotSent;
}

/** The shard itself said no, so what it was asked to do is known not to be done. */
export function isRefusal(error: unknown): error is ShardError {
  return error instanceof ShardError;
}
