import type { Lease, ReplyEnd } from '../backend/lease.ts';
import { queryRows, type ShardResult } from '../backend/row-reply.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ExecutionContext } from './execution.ts';
import type { ShardText } from './render-text.ts';
import { abortError, sendCommand } from './shard-command.ts';

type AnswerContext = Pick<ExecutionContext, 'leases' | 'signal' | 'collectWarnings' | 'facts'>;

/** The answer of one shard: result, or rows on their way. */
export interface ShardAnswer {
  readonly lease: Lease;
  readonly result: ShardResult;
}

/**
 * The statement on several shards at once. `open` leases and sends; whoever opened must `close`,
 * which leaves every lease clean or closed, whatever happened in between.
 */
export class ShardAnswers {
  readonly #context: AnswerContext;
  readonly #clock: string | undefined;
  readonly #calls: ShardCall[] = [];

  /** `clock` is what `statementClock` gave for the statement, where shards must agree on NOW(). */
  constructor(context: AnswerContext, clock: string | undefined) {
    this.#context = context;
    this.#clock = clock;
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
    const answers = leases.map((lease, at) => {
      const call = new ShardCall(lease, this.#clock);
      this.#calls.push(call);
      return call.send((texts[at] as ShardText).sql, this.#context);
    });
    return Promise.allSettled(answers);
  }

  /** Ends what is still under way and gives the leases back. Never throws. */
  async close(): Promise<void> {
    await Promise.all(this.#calls.map((call) => call.close(this.#context)));
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

  async send(sql: Buffer, context: Pick<AnswerContext, 'signal' | 'leases'>): Promise<ShardAnswer> {
    // All three go out together; their replies come in order.
    const set =
      this.#clock === undefined ? undefined : this.#command(`SET timestamp=${this.#clock}`);
    // A transaction lives on its connections: there, rows that nobody wants are read to their end.
    const drainAll = context.leases.inTransaction;
    const asked = queryRows(this.#lease, sql, context.signal, { drainAll });
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
      return { lease: this.#lease, result: result.value };
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

/** Undefined for rows that were not read to their end. */
export function replyEnd(result: ShardResult): ReplyEnd | undefined {
  if (result.kind === 'ok') return result.end;
  try {
    return result.end();
  } catch {
    return undefined; // `end` throws when there is none, which is no mistake here
  }
}
