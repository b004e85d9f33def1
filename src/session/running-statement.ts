import type { Lease, ReplySink, ShardLeases } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { ShardId } from '../topology/strategy.ts';

export interface KillSwitch {
  /** Ends the statement that the server's connection runs (KILL QUERY). */
  readonly killQuery: (shard: ShardId, threadId: number) => Promise<void>;
}

/**
 * The statement in hand of one session: which backend connections work for it, and how to stop them.
 * One object serves all statements of a session in turn.
 */
export class RunningStatement {
  readonly #kill: KillSwitch;
  readonly #leases = new Set<Lease>();
  #abort: AbortController | undefined;
  #startedMs = 0;
  #text: Buffer | undefined;
  #killing: Promise<void> | undefined;
  #isTimedOut = false;
  #onAbort: ((reason: Error) => void) | undefined;

  constructor(kill: KillSwitch) {
    this.#kill = kill;
  }

  get isRunning(): boolean {
    return this.#text !== undefined;
  }

  get startedMs(): number {
    return this.#startedMs;
  }

  /** As the client sent it; a view that lives as long as the statement. */
  get text(): Buffer | undefined {
    return this.#text;
  }

  /** Aborted when there is nobody left to answer. Made only when asked for: the hot path never does. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** A KILL QUERY is on its way: connections must not be given to somebody else before it arrived. */
  get killing(): Promise<void> | undefined {
    return this.#killing;
  }

  /** It was stopped for taking longer than `statement_timeout_ms`. */
  get isTimedOut(): boolean {
    return this.#isTimedOut;
  }

  begin(text: Buffer, nowMs: number): void {
    this.#text = text;
    this.#startedMs = nowMs;
    if (this.#abort?.signal.aborted === true) this.#abort = undefined;
    this.#killing = undefined;
    this.#isTimedOut = false;
  }

  end(): void {
    this.#text = undefined;
    this.#onAbort = undefined;
    this.#leases.clear();
  }

  /** For the hot path, which has no signal: what to do when the statement is aborted. */
  onAbort(action: (reason: Error) => void): void {
    // A relay may have ended before it is here.
    if (this.isRunning) this.#onAbort = action;
  }

  works(lease: Lease): void {
    this.#leases.add(lease);
  }

  rests(lease: Lease): void {
    this.#leases.delete(lease);
  }

  timeOut(): void {
    this.#isTimedOut = true;
    this.kill();
  }

  /**
   * Ends the statement on its shards, which answer with ERR 1317: connections stay usable. One that
   * waits for a connection has no shard yet and is aborted.
   */
  kill(): void {
    if (!this.isRunning || this.#killing !== undefined) return;
    if (this.#leases.size === 0) {
      this.abort(this.#isTimedOut ? statementTimeout() : interrupted());
      return;
    }
    this.#killing = this.#killOn([...this.#leases]).then(() => undefined);
  }

  async #killOn(leases: readonly Lease[]): Promise<unknown> {
    return Promise.allSettled(
      leases.map(async (lease) => {
        if (lease.opening !== undefined) {
          await lease.opening;
          // It may have ended meanwhile.
          if (!this.#leases.has(lease)) return;
        }
        await this.#kill.killQuery(lease.shard, lease.serverThreadId);
      }),
    );
  }

  /** Nobody waits for the answer: work is stopped on the shards and connections may be closed. */
  abort(reason: Error): void {
    if (!this.isRunning) return;
    if (this.#onAbort !== undefined) {
      this.#onAbort(reason);
      return;
    }
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }
}

/** What a server says to a statement that was killed. */
export const ER_QUERY_INTERRUPTED = 1317;

function interrupted(): ProxyError {
  return new ProxyError('ER_QUERY_INTERRUPTED', 'Query execution was interrupted');
}

export function statementTimeout(cause?: Error): ProxyError {
  return new ProxyError(
    'ER_QUERY_TIMEOUT',
    'Query execution was interrupted, maximum statement execution time exceeded ' +
      '(limits.statement_timeout_ms)',
    { cause },
  );
}

/** The leases of a statement with their names taken, for KILL and for the statement's time-out. */
export function watchedLeases(inner: ShardLeases, running: RunningStatement): ShardLeases {
  return {
    tryLease: (shard) => {
      const lease = inner.tryLease(shard);
      return lease === undefined ? undefined : new WatchedLease(lease, running);
    },
    lease: async (shard, signal) => new WatchedLease(await inner.lease(shard, signal), running),
    inTransaction: inner.inTransaction,
  };
}

class WatchedLease implements Lease {
  readonly #inner: Lease;
  readonly #running: RunningStatement;

  constructor(inner: Lease, running: RunningStatement) {
    this.#inner = inner;
    this.#running = running;
    running.works(inner);
  }

  get shard(): ShardId {
    return this.#inner.shard;
  }

  get serverThreadId(): number {
    return this.#inner.serverThreadId;
  }

  get statements(): Lease['statements'] {
    return this.#inner.statements;
  }

  send(command: Buffer, sink: ReplySink): void {
    this.#inner.send(command, sink);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  release(): void {
    const { killing } = this.#running;
    this.#running.rests(this.#inner);
    // A KILL QUERY that arrives late would hit the statement of the connection's next user.
    if (killing === undefined) this.#inner.release();
    else void killing.then(() => this.#inner.release());
  }

  destroy(): void {
    this.#running.rests(this.#inner);
    this.#inner.destroy();
  }
}
