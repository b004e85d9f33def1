import type { Lease, ReplyEnd, ReplySink, SessionState } from '../backend/lease.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Branch, lostConnection } from './branch.ts';
import { statementUse } from './statement-use.ts';

/** What the transaction wants to hear of its statements; told before the statement's own sink. */
export interface BranchWatch {
  onEnd(end: ReplyEnd): void;
  onLost(cause: Error): void;
  /** Why nothing may be sent any more; undefined while the transaction is open. */
  refusal(): Error | undefined;
  /** Chosen to end a deadlock; its client has not been told yet. */
  isCondemned(): boolean;
}

/** A lease that stays with its transaction: releasing it keeps it, destroying it fails the transaction. */
export class PinnedLease implements Lease {
  readonly shard: ShardId;
  readonly branch: Branch;
  readonly #watch: BranchWatch;

  constructor(branch: Branch, watch: BranchWatch) {
    this.shard = branch.shard;
    this.branch = branch;
    this.#watch = watch;
  }

  get serverThreadId(): number {
    return this.branch.lease.serverThreadId;
  }

  get opening(): Promise<void> | undefined {
    return this.branch.opening;
  }

  get statements(): Lease['statements'] {
    return this.branch.lease.statements;
  }

  send(command: Buffer, sink: ReplySink): void {
    if (!this.branch.takesStatements) {
      sink.onReplyLost(this.#watch.refusal() ?? lostConnection(this.shard));
      return;
    }
    this.branch.markUse(statementUse(command, this.statements));
    this.branch.statementSent();
    this.branch.lease.send(command, new WatchedSink(sink, this.branch, this.#watch));
  }

  pause(): void {
    this.branch.lease.pause();
  }

  resume(): void {
    this.branch.lease.resume();
  }

  /** USE and SET within the transaction. */
  async bringTo(state: SessionState): Promise<void> {
    await this.branch.lease.bringTo?.(state);
  }

  release(): void {}

  destroy(): void {
    // While it is being rolled back there is nothing to give up.
    if (!this.branch.takesStatements) return;
    this.branch.destroy();
    this.#watch.onLost(lostConnection(this.shard));
  }
}

class WatchedSink implements ReplySink {
  readonly #sink: ReplySink;
  readonly #branch: Branch;
  readonly #watch: BranchWatch;
  #anyBytes = false;

  constructor(sink: ReplySink, branch: Branch, watch: BranchWatch) {
    this.#sink = sink;
    this.#branch = branch;
    this.#watch = watch;
  }

  onReplyBytes(bytes: Buffer): void {
    if (this.#isCondemned) return;
    this.#anyBytes = true;
    this.#sink.onReplyBytes(bytes);
  }

  /** What a condemned statement answers is that it was killed; the client is told why. */
  onReplyEnd(end: ReplyEnd): void {
    this.#branch.statementEnded();
    const refusal = this.#isCondemned ? this.#watch.refusal() : undefined;
    this.#watch.onEnd(end);
    if (refusal === undefined) this.#sink.onReplyEnd(end);
    else this.#sink.onReplyLost(refusal);
  }

  onReplyLost(cause: Error): void {
    this.#branch.statementEnded();
    const refusal = this.#isCondemned ? this.#watch.refusal() : undefined;
    this.#branch.destroy();
    this.#watch.onLost(lostConnection(this.#branch.shard, cause));
    this.#sink.onReplyLost(refusal ?? cause);
  }

  /** The transaction was ended from outside and the client has seen nothing of this reply. */
  get #isCondemned(): boolean {
    return !this.#anyBytes && this.#watch.isCondemned();
  }
}
