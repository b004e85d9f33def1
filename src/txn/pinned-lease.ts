import type { Lease, ReplyEnd, ReplySink, SessionState } from '../backend/lease.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Branch, lostConnection } from './branch.ts';
import { statementUse } from './statement-use.ts';

/** What the transaction wants to hear of its statements; told before the statement's own sink. */
export interface BranchWatch {
  onEnd(end: ReplyEnd): void;
  onLost(cause: Error): void;
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

  send(command: Buffer, sink: ReplySink): void {
    if (!this.branch.isHeld) {
      sink.onReplyLost(lostConnection(this.shard));
      return;
    }
    this.branch.markUse(statementUse(command));
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
    if (!this.branch.isHeld) return;
    this.branch.destroy();
    this.#watch.onLost(lostConnection(this.shard));
  }
}

class WatchedSink implements ReplySink {
  readonly #sink: ReplySink;
  readonly #branch: Branch;
  readonly #watch: BranchWatch;

  constructor(sink: ReplySink, branch: Branch, watch: BranchWatch) {
    this.#sink = sink;
    this.#branch = branch;
    this.#watch = watch;
  }

  onReplyBytes(bytes: Buffer): void {
    this.#sink.onReplyBytes(bytes);
  }

  onReplyEnd(end: ReplyEnd): void {
    this.#watch.onEnd(end);
    this.#sink.onReplyEnd(end);
  }

  onReplyLost(cause: Error): void {
    this.#branch.destroy();
    this.#watch.onLost(lostConnection(this.#branch.shard, cause));
    this.#sink.onReplyLost(cause);
  }
}
