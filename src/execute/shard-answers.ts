import type { Lease, ReplyEnd } from '../backend/lease.ts';
import { queryRows, type ShardResult } from '../backend/row-reply.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ExecutionContext } from './execution.ts';
import type { ShardText } from './render-text.ts';
import type { RowBatches } from './row-batches.ts';
import { abortError, sendCommand } from './shard-command.ts';

/** How long a shard whose rows are no longer wanted may take to come to their end by itself. */
const DRAIN_MS = 50;

type AnswerContext = Pick<ExecutionContext, 'leases' | 'signal' | 'collectWarnings' | 'facts'>;

/** The answer of one shard: result, or rows on their way. */
export interface ShardAnswer {
  readonly lease: Lease;
  readonly result: ShardResult;
  /** The batches of rows. Ending the loop early ends all answers: none of their rows are wanted any more. */
  readonly rows: RowBatches;
}

/**
 * The statement on several shards at once. `open` leases and sends; whoever opened must `close`,
 * which leaves every lease clean or closed, whatever happened in between.
 */
export class ShardAnswers {
  readonly #context: AnswerContext;
  readonly #clock: string | undefined;
  readonly #calls: ShardCall[] = [];
  readonly #stop = new AbortController();
  #drainTimer: NodeJS.Timeout | undefined;

  /** `clock` is what `statementClock` gave for the statement, where shards must agree on NOW(). */
  constructor(context: AnswerContext, clock: string | undefined) {
    this.#context = context;
    this.#clock = clock;
    // Not AbortSignal.any: the session's signal outlives many statements and would remember them all.
    if (context.signal.aborted) this.#endWithStatement();
    else context.signal.addEventListener('abort', this.#endWithStatement, { once: true });
  }

  /**
   * Sends every shard its text and waits for the beginning of all answers. The first error in the
   * order of the texts is thrown, but only when every shard has answered: what was sent is
   * carried out, and a transaction must not be ended under it.
   */
  async open(texts: readonly ShardText[]): Promise<readonly ShardAnswer[]> {
    const settled = await this.openAll(texts);
    const { signal } = this.#context;
    if (signal.aborted) throw abortError(signal);
    return settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  /** As `open`, with the errors of single shards among the answers. */
  async openAll(
    texts: readonly ShardText[],
  ): Promise<readonly PromiseSettledResult<ShardAnswer>[]> {
    const leases = await this.#leaseAll(texts);
    const answers = leases.map(async (lease, at) => {
      const call = new ShardCall(lease, this.#clock);
      this.#calls.push(call);
      const result = await call.send((texts[at] as ShardText).sql, this.#stop.signal);
      return { lease, result, rows: this.#wantedRows(result) };
    });
    return Promise.allSettled(answers);
  }

  /** Ends what is still under way and gives the leases back. Never throws. */
  async close(): Promise<void> {
    this.#unwanted();
    await Promise.all(this.#calls.map((call) => call.close(this.#context)));
    clearTimeout(this.#drainTimer);
    this.#context.signal.removeEventListener('abort', this.#endWithStatement);
  }

  readonly #endWithStatement = (): void => this.#stop.abort(this.#context.signal.reason);

  /**
   * The rest of a small answer is quickly read and the connection kept; a shard that takes longer has
   * it closed. A transaction lives on its connections: there everything is read to the end.
   */
  #unwanted(): void {
    if (this.#context.leases.inTransaction) return;
    this.#drainTimer ??= setTimeout(() => this.#stop.abort(), DRAIN_MS);
  }

  #wantedRows(result: ShardResult): RowBatches {
    if (result.kind === 'ok') return noRows;
    const batches = result.batches[Symbol.asyncIterator]();
    const iterator: AsyncIterator<readonly Buffer[]> = {
      next: () => batches.next(),
      return: async () => {
        if (replyEnd(result) === undefined) this.#unwanted();
        await batches.return?.();
        return { done: true, value: undefined };
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  /**
   * In the order of the texts, which is the same for all statements: two of them that need several
   * pools never wait for each other's last connection.
   */
  async #leaseAll(texts: readonly ShardText[]): Promise<readonly Lease[]> {
    const { leases, signal } = this.#context;
    const taken: Lease[] = [];
    try {
      for (const { shard } of texts) {
        taken.push(leases.tryLease(shard) ?? (await leases.lease(shard, signal)));
      }
      if (signal.aborted) throw abortError(signal);
      return taken;
    } catch (error) {
      for (const lease of taken) lease.release();
      throw error;
    }
  }
}

/**
 * One instant for all shards of a statement: NOW() and column defaults must not differ between
 * them. Undefined when the session has set its clock itself.
 */
export function statementClock(context: Pick<ExecutionContext, 'facts'>): string | undefined {
  if (context.facts.timestamp !== undefined) return undefined;
  return (Date.now() / 1000).toFixed(6);
}

/** One statement on one lease, with the clock set before and let go behind it. */
class ShardCall {
  readonly #lease: Lease;
  readonly #clock: string | undefined;
  #result: ShardResult | undefined;
  #clockReset: Promise<ReplyEnd> | undefined;
  /** Something went wrong that is no ERR of the shard: nobody knows what the connection will send. */
  #broken = false;

  constructor(lease: Lease, clock: string | undefined) {
    this.#lease = lease;
    this.#clock = clock;
  }

  async send(sql: Buffer, signal: AbortSignal): Promise<ShardResult> {
    // All three go out together; their replies come in order.
    const set =
      this.#clock === undefined ? undefined : this.#command(`SET timestamp=${this.#clock}`);
    const asked = queryRows(this.#lease, sql, signal);
    if (this.#clock !== undefined) {
      this.#clockReset = this.#command('SET timestamp=DEFAULT');
    }
    try {
      // Both are awaited, so that none is left to fail alone.
      const [clockSet, result] = await Promise.allSettled([set, asked]);
      if (result.status === 'fulfilled') this.#result = result.value;
      if (result.status === 'rejected') throw result.reason;
      if (clockSet.status === 'rejected') throw clockSet.reason;
      if (clockSet.value?.error !== undefined) throw clockSet.value.error;
      return result.value;
    } catch (error) {
      if (!(error instanceof ShardError)) this.#broken = true;
      throw error;
    }
  }

  async close(context: Pick<AnswerContext, 'collectWarnings'>): Promise<void> {
    if (this.#result?.kind === 'rows') {
      try {
        await this.#result.batches[Symbol.asyncIterator]().return?.();
      } catch {
        this.#broken = true; // it was not possible to read on to the end
      }
    }
    const reset = await this.#clockReset?.catch(() => undefined);
    if (this.#broken || (this.#clockReset !== undefined && reset?.kind !== 'ok')) {
      this.#lease.destroy();
      return;
    }
    if (this.#warningCount() > 0) await context.collectWarnings?.(this.#lease);
    this.#lease.release();
  }

  #warningCount(): number {
    if (this.#result === undefined) return 0;
    return replyEnd(this.#result)?.warningCount ?? 0;
  }

  #command(sql: string): Promise<ReplyEnd> {
    const sent = sendCommand(this.#lease, sql);
    sent.catch(() => undefined); // looked at later, or never when the statement fails first
    return sent;
  }
}

const noRows: RowBatches = { async *[Symbol.asyncIterator]() {} };

/** Undefined for rows that were not read to their end. */
export function replyEnd(result: ShardResult): ReplyEnd | undefined {
  if (result.kind === 'ok') return result.end;
  try {
    return result.end();
  } catch {
    return undefined; // `end` throws when there is none, which is no mistake here
  }
}
