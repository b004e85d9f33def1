import { BATCH_ROWS, closeAll, FairTurns, type RowBatches } from './row-batches.ts';
import { RowFields } from './row-fields.ts';
import {
  compareSortKeys,
  fieldsNeeded,
  readSortKey,
  type SortColumn,
  type SortKey,
} from './sort-values.ts';

/**
 * Merges inputs that are each in order of `columns` into one such order. Rows with equal keys keep
 * the order of the inputs. Keys are read once a row; rows are passed on as they are.
 */
export async function* mergeSorted(
  inputs: readonly RowBatches[],
  columns: readonly SortColumn[],
): AsyncGenerator<readonly Buffer[]> {
  const fields = new RowFields(fieldsNeeded(columns));
  const sources = inputs.map((input, order) => new SortedSource(input, { order, fields, columns }));
  const turns = new FairTurns();
  try {
    const started = await Promise.all(sources.map((source) => source.load()));
    const heap = new SourceHeap(
      sources.filter((_, order) => started[order]),
      columns,
    );
    let batch: Buffer[] = [];
    for (let source = heap.first; source !== undefined; source = heap.first) {
      batch.push(source.row);
      if (source.advance() || (await source.load())) heap.firstChanged();
      else heap.removeFirst();
      if (batch.length === BATCH_ROWS) {
        yield batch;
        batch = [];
        await turns.breathe();
      }
    }
    if (batch.length > 0) yield batch;
  } finally {
    await closeAll(sources.map((source) => source.iterator));
  }
}

/** One input with its foremost row and that row's key. */
class SortedSource {
  readonly iterator: AsyncIterator<readonly Buffer[]>;
  readonly order: number;
  readonly #fields: RowFields;
  readonly #columns: readonly SortColumn[];
  #batch: readonly Buffer[] = [];
  #at = 0;
  key: SortKey = [];

  constructor(
    input: RowBatches,
    options: {
      readonly order: number;
      readonly fields: RowFields;
      readonly columns: readonly SortColumn[];
    },
  ) {
    this.iterator = input[Symbol.asyncIterator]();
    this.order = options.order;
    this.#fields = options.fields;
    this.#columns = options.columns;
  }

  get row(): Buffer {
    return this.#batch[this.#at] as Buffer;
  }

  /** Moves to the next row at hand; false when it has to be waited for. */
  advance(): boolean {
    this.#at += 1;
    return this.#readKey();
  }

  /** Waits for the next batch; false at the end. */
  async load(): Promise<boolean> {
    do {
      const next = await this.iterator.next();
      if (next.done === true) return false;
      this.#batch = next.value;
      this.#at = 0;
    } while (!this.#readKey());
    return true;
  }

  #readKey(): boolean {
    const row = this.#batch[this.#at];
    if (row === undefined) return false;
    this.key = readSortKey(this.#fields.read(row), this.#columns);
    return true;
  }
}

/** A binary heap: the source with the smallest key is first. */
class SourceHeap {
  readonly #sources: SortedSource[];
  readonly #columns: readonly SortColumn[];

  constructor(sources: SortedSource[], columns: readonly SortColumn[]) {
    this.#sources = sources;
    this.#columns = columns;
    for (let at = (sources.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  get first(): SortedSource | undefined {
    return this.#sources[0];
  }

  firstChanged(): void {
    this.#sink(0);
  }

  removeFirst(): void {
    const last = this.#sources.pop();
    if (last === undefined || this.#sources.length === 0) return;
    this.#sources[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const sources = this.#sources;
    const sinking = sources[from] as SortedSource;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= sources.length) break;
      const right = child + 1;
      if (right < sources.length && this.#before(sources[right], sources[child])) child = right;
      if (!this.#before(sources[child], sinking)) break;
      sources[at] = sources[child] as SortedSource;
      at = child;
    }
    sources[at] = sinking;
  }

  #before(a: SortedSource | undefined, b: SortedSource | undefined): boolean {
    if (a === undefined || b === undefined) return false;
    const order = compareSortKeys(a.key, b.key, this.#columns);
    return order < 0 || (order === 0 && a.order < b.order);
  }
}
