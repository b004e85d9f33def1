import { setImmediate as nextTurn } from 'node:timers/promises';
import { ProxyError } from '../errors/proxy-error.ts';
import type { LimitsConfig } from '../topology/config-schema.ts';

/** Raw text rows of one result, some at a time: an async step for each row would cost too much. */
export type RowBatches = AsyncIterable<readonly Buffer[]>;

/** Rows collected before they are handed on. */
export const BATCH_ROWS = 256;
/** Merging for longer than this without a break would hold up every other session. */
const TURN_MS = 8;

/** Gives the event loop to others when a merge has kept it for long. */
export class FairTurns {
  #turnStart = performance.now();

  async breathe(): Promise<void> {
    if (performance.now() - this.#turnStart < TURN_MS) return;
    await nextTurn();
    this.#turnStart = performance.now();
  }
}

/** Counts what one statement keeps in memory to be merged, and ends the statement when it is too much. */
export class MergeMemory {
  readonly #limits: Pick<LimitsConfig, 'scatter_rows_max' | 'scatter_bytes_max'>;
  #rows = 0;
  #bytes = 0;

  constructor(limits: Pick<LimitsConfig, 'scatter_rows_max' | 'scatter_bytes_max'>) {
    this.#limits = limits;
  }

  hold(bytes: number): void {
    this.#rows += 1;
    this.#bytes += bytes;
    const { scatter_rows_max, scatter_bytes_max } = this.#limits;
    if (this.#rows > scatter_rows_max)
      throw tooMuch('rows or groups', 'scatter_rows_max', scatter_rows_max);
    if (this.#bytes > scatter_bytes_max)
      throw tooMuch('bytes', 'scatter_bytes_max', scatter_bytes_max);
  }
}

/** Leaves out the first `offset` rows and ends after `count`. */
export async function* limitRows(
  input: RowBatches,
  limit: { readonly offset: number; readonly count: number },
): AsyncGenerator<readonly Buffer[]> {
  let toSkip = limit.offset;
  let toSend = limit.count;
  for await (const batch of input) {
    const wanted = batch.slice(toSkip, toSkip + toSend);
    toSkip = Math.max(0, toSkip - batch.length);
    toSend -= wanted.length;
    if (wanted.length > 0) yield wanted;
    if (toSend === 0) return; // leaving the loop also ends the shards still sending
  }
}

/** The inputs' batches as they arrive: no shard waits for another one. */
export async function* interleaveRows(
  inputs: readonly RowBatches[],
): AsyncGenerator<readonly Buffer[]> {
  const turns = new FairTurns();
  const race = new BatchRace(inputs);
  try {
    for (;;) {
      const batch = await race.next();
      if (batch === undefined) return;
      yield batch;
      await turns.breathe();
    }
  } finally {
    await race.close();
  }
}

type Arrival =
  | { readonly input: number; readonly result: IteratorResult<readonly Buffer[]> }
  | { readonly input: number; readonly error: unknown };

/**
 * Takes from whichever input has a batch. Promise.race would leave a reaction behind on the slow
 * inputs' promises for every batch of a fast one.
 */
class BatchRace {
  readonly #iterators: readonly AsyncIterator<readonly Buffer[]>[];
  readonly #arrived: Arrival[] = [];
  #running: number;
  #wake: (() => void) | undefined;

  constructor(inputs: readonly RowBatches[]) {
    this.#iterators = inputs.map((input) => input[Symbol.asyncIterator]());
    this.#running = inputs.length;
    this.#iterators.forEach((_, input) => {
      this.#ask(input);
    });
  }

  async next(): Promise<readonly Buffer[] | undefined> {
    while (this.#running > 0) {
      const arrival = this.#arrived.shift();
      if (arrival === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if ('error' in arrival) {
        throw arrival.error;
      } else if (arrival.result.done === true) {
        this.#running -= 1;
      } else {
        this.#ask(arrival.input);
        return arrival.result.value;
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    await closeAll(this.#iterators);
  }

  #ask(input: number): void {
    const arrive = (arrival: Arrival) => {
      this.#arrived.push(arrival);
      this.#wake?.();
      this.#wake = undefined;
    };
    this.#iterators[input]?.next().then(
      (result) => arrive({ input, result }),
      (error: unknown) => arrive({ input, error }),
    );
  }
}

/** Ends inputs that may still be sending. What goes wrong in that changes nothing for the statement. */
export async function closeAll(
  iterators: readonly AsyncIterator<readonly Buffer[]>[],
): Promise<void> {
  await Promise.allSettled(iterators.map(async (iterator) => iterator.return?.()));
}

function tooMuch(what: string, setting: string, limit: number): ProxyError {
  return new ProxyError(
    'ER_OPTION_PREVENTS_STATEMENT',
    `Merging the shards' answers takes more than ${limit} ${what} (limits.${setting}); ` +
      'narrow the statement or raise the limit',
  );
}
