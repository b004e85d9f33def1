import { notSupported } from '../errors/proxy-error.ts';
import { ERR_MARKER, OK_MARKER } from '../wire/flags.ts';
import { Framer } from '../wire/framer.ts';
import { isEof } from '../wire/reply-packets.ts';
import { decodeColumnCount } from '../wire/result-set-packets.ts';
import type { Lease, ReplyEnd, ReplySink } from './lease.ts';
import { queryCommand } from './shard-connection.ts';

/** Rows that arrived and were not yet asked for; more than this pauses the shard. */
const BUFFERED_BYTES_MAX = 262_144;
/** MySQL's largest max_allowed_packet. */
const ROW_BYTES_MAX = 2 ** 30;

export type ShardResult =
  | { readonly kind: 'ok'; readonly end: ReplyEnd }
  | {
      readonly kind: 'rows';
      /** Raw definitions, one a column. */
      readonly columns: readonly Buffer[];
      /**
       * Raw payloads of text rows: views of bytes that nobody writes to again (a view keeps up to
       * 64 KiB alive). Once only. Ending the loop early waits for the end of the reply, which leaves the
       * lease usable; abort the signal to close it instead.
       */
      readonly batches: AsyncIterable<Buffer[]>;
      /** How the reply ended; only after the last batch. */
      readonly end: () => ReplyEnd;
    };

/**
 * Runs one statement and gives its rows in batches as they arrive; a slow reader pauses the shard. The
 * lease stays the caller's, who releases it when the rows are at their end (`release` closes one that
 * is not). Throws the shard's error, also from the middle of the rows. When `signal` is aborted
 * the lease is closed and the signal's reason is thrown.
 */
export function queryRows(
  lease: Lease,
  sql: Buffer | string,
  signal?: AbortSignal,
): Promise<ShardResult> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const reply = new RowReply(lease, signal);
  lease.send(queryCommand(sql), reply);
  return reply.result;
}

const COUNT = 0;
const COLUMNS = 1;
const ROWS = 2;
const OVER = 3;

class RowReply implements ReplySink, AsyncIterableIterator<Buffer[]> {
  readonly result: Promise<ShardResult>;
  readonly #lease: Lease;
  readonly #signal: AbortSignal | undefined;
  readonly #framer = new Framer({ packetBytesMax: ROW_BYTES_MAX });
  readonly #columns: Buffer[] = [];
  readonly #resolvers = Promise.withResolvers<ShardResult>();
  #phase = COUNT;
  #columnCount = 0;
  #rows: Buffer[] = [];
  #bufferedBytes = 0;
  #isPaused = false;
  /** The reader has lost interest: what still comes is thrown away. */
  #isDraining = false;
  #end: ReplyEnd | undefined;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(lease: Lease, signal: AbortSignal | undefined) {
    this.#lease = lease;
    this.#signal = signal;
    this.result = this.#resolvers.promise;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer[]>> {
    while (this.#rows.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#end !== undefined) return { done: true, value: undefined };
      await this.#change();
    }
    const rows = this.#rows;
    this.#rows = [];
    this.#bufferedBytes = 0;
    this.#resume();
    return { done: false, value: rows };
  }

  async return(): Promise<IteratorResult<Buffer[]>> {
    this.#rows = [];
    if (!this.#isOver()) {
      this.#isDraining = true;
      this.#resume();
      while (!this.#isOver()) await this.#change();
    }
    return { done: true, value: undefined };
  }

  onReplyBytes(bytes: Buffer): void {
    if (this.#isOver() || this.#isDraining) return;
    this.#framer.push(bytes);
    for (let next = this.#framer.next(); next !== undefined; next = this.#framer.next()) {
      this.#take(next);
    }
    this.#bufferedBytes += bytes.length;
    if (this.#bufferedBytes > BUFFERED_BYTES_MAX && this.#rows.length > 0 && !this.#isPaused) {
      this.#isPaused = true;
      this.#lease.pause();
    }
    this.#wake?.();
  }

  onReplyEnd(end: ReplyEnd): void {
    this.#end = end;
    if (end.error !== undefined) this.#fail(end.error);
    else if (end.kind === 'ok' && this.#phase !== COUNT) {
      this.#fail(notSupported('statements with several results here'));
    } else if (end.kind === 'ok') this.#resolvers.resolve({ kind: 'ok', end });
    this.#over();
  }

  onReplyLost(error: Error): void {
    this.#fail(this.#signal?.aborted ? this.#signal.reason : error);
    this.#over();
  }

  #take(payload: Buffer): void {
    switch (this.#phase) {
      case COUNT:
        // OK and ERR are told by onReplyEnd.
        if (payload[0] === OK_MARKER || payload[0] === ERR_MARKER || isEof(payload)) return;
        this.#columnCount = decodeColumnCount(payload);
        this.#phase = COLUMNS;
        return;
      case COLUMNS:
        if (payload[0] === ERR_MARKER) return;
        if (!isEof(payload)) this.#columns.push(payload);
        else this.#startRows();
        return;
      case ROWS:
        if (isEof(payload)) this.#phase = OVER;
        else if (payload[0] !== ERR_MARKER) this.#rows.push(payload);
        return;
      default:
        this.#rows = [];
        this.#fail(notSupported('statements with several results here'));
    }
  }

  #startRows(): void {
    this.#phase = ROWS;
    if (this.#columns.length !== this.#columnCount) {
      throw new Error(
        `${this.#columns.length} columns came and ${this.#columnCount} were announced`,
      );
    }
    const end = (): ReplyEnd => {
      if (this.#end === undefined) throw new Error('the reply has not ended yet');
      return this.#end;
    };
    this.#resolvers.resolve({ kind: 'rows', columns: this.#columns, batches: this, end });
  }

  #isOver(): boolean {
    return this.#end !== undefined || this.#failure !== undefined;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#resolvers.reject(error);
  }

  #over(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#resume();
    this.#wake?.();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#lease.resume();
  }

  readonly #onAbort = (): void => {
    this.#fail(this.#signal?.reason);
    this.#lease.destroy();
    this.#wake?.();
  };

  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }
}
