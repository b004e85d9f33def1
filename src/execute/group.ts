import type { MergeAggregate } from '../plan/plan.ts';
import type { ColumnDefinition } from '../wire/result-set-packets.ts';
import { type Accumulator, aggregateFactory } from './aggregates.ts';
import { mergeSorted } from './merge-sort.ts';
import { BATCH_ROWS, FairTurns, type MergeMemory, type RowBatches } from './row-batches.ts';
import { RowFields } from './row-fields.ts';
import {
  compareSortKeys,
  equalityText,
  fieldsNeeded,
  readSortKey,
  type SortColumn,
  type SortKey,
} from './sort-values.ts';

/** Rows sorted in one go; a larger lot is sorted in parts, with breaks, and merged. */
const SORT_RUN_ROWS = 8_192;

interface Group {
  /** The first row of the group: gives what is neither key nor aggregate. */
  readonly row: Buffer;
  /** Made when a second row comes: a group that one shard had alone is passed on as it is. */
  accumulators: Accumulator[] | undefined;
}

/**
 * Makes one row of all rows with equal keys. The shards have grouped their own rows already, so
 * what is held is one row a group. Inputs are read in their order, which makes the representative
 * row of a group ('a' or 'A') the same every time.
 */
export async function* groupRows(
  inputs: readonly RowBatches[],
  options: {
    readonly keys: readonly SortColumn[];
    readonly aggregates: readonly MergeAggregate[];
    readonly columns: readonly ColumnDefinition[];
    readonly hiddenColumns: number;
    readonly memory: MergeMemory;
  },
): AsyncGenerator<readonly Buffer[]> {
  const fields = new RowFields(options.columns.length);
  const accumulators = aggregateFactory(options.aggregates, options.columns, options.hiddenColumns);
  const groups = new Map<string, Group>();
  const turns = new FairTurns();
  for (const input of inputs) {
    for await (const batch of input) {
      for (const row of batch) {
        const key = equalityText(readSortKey(fields.read(row), options.keys));
        const group = groups.get(key);
        if (group === undefined) {
          options.memory.hold(row.length + key.length);
          groups.set(key, { row, accumulators: undefined });
        } else {
          addRow(group, { fields, row, accumulators });
        }
      }
      await turns.breathe();
    }
  }
  yield* inBatches(mergedRows(groups, fields), turns);
}

/** Rows with equal keys once: the first one. */
export async function* distinctRows(
  input: RowBatches,
  options: {
    readonly keys: readonly SortColumn[];
    readonly memory: MergeMemory;
  },
): AsyncGenerator<readonly Buffer[]> {
  const fields = new RowFields(fieldsNeeded(options.keys));
  const seen = new Set<string>();
  const turns = new FairTurns();
  for await (const batch of input) {
    const fresh = batch.filter((row) => {
      const key = equalityText(readSortKey(fields.read(row), options.keys));
      if (seen.has(key)) return false;
      options.memory.hold(key.length);
      seen.add(key);
      return true;
    });
    if (fresh.length > 0) yield fresh;
    await turns.breathe();
  }
}

/** Brings grouped rows into order. The rows are in memory already, so their keys may be too. */
export async function* sortRows(
  input: RowBatches,
  columns: readonly SortColumn[],
): AsyncGenerator<readonly Buffer[]> {
  const fields = new RowFields(fieldsNeeded(columns));
  const turns = new FairTurns();
  const runs: Buffer[][] = [];
  let run: { readonly row: Buffer; readonly key: SortKey }[] = [];
  const endRun = () => {
    run.sort((a, b) => compareSortKeys(a.key, b.key, columns));
    runs.push(run.map((entry) => entry.row));
    run = [];
  };
  for await (const batch of input) {
    for (const row of batch) {
      run.push({ row, key: readSortKey(fields.read(row), columns) });
    }
    if (run.length >= SORT_RUN_ROWS) endRun();
    await turns.breathe();
  }
  endRun();
  yield* mergeSorted(
    runs.map((rows) => oneBatch(rows)),
    columns,
  );
}

function addRow(
  group: Group,
  second: {
    readonly fields: RowFields;
    readonly row: Buffer;
    readonly accumulators: () => Accumulator[];
  },
): void {
  const { fields, row } = second;
  if (group.accumulators === undefined) {
    group.accumulators = second.accumulators();
    fields.read(group.row);
    for (const accumulator of group.accumulators) accumulator.add(fields);
    fields.read(row);
  }
  for (const accumulator of group.accumulators) accumulator.add(fields);
}

function* mergedRows(groups: ReadonlyMap<string, Group>, fields: RowFields): Generator<Buffer> {
  for (const group of groups.values()) {
    if (group.accumulators === undefined) {
      yield group.row;
      continue;
    }
    const merged = new Map<number, Buffer>();
    for (const accumulator of group.accumulators) accumulator.write(merged);
    fields.read(group.row);
    const parts: Buffer[] = [];
    for (let index = 0; index < fields.count; index++) {
      parts.push(merged.get(index) ?? fields.encoded(index, index + 1));
    }
    yield Buffer.concat(parts);
  }
}

async function* inBatches(
  rows: Iterable<Buffer>,
  turns: FairTurns,
): AsyncGenerator<readonly Buffer[]> {
  let batch: Buffer[] = [];
  for (const row of rows) {
    batch.push(row);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
    await turns.breathe();
  }
  if (batch.length > 0) yield batch;
}

async function* oneBatch(rows: readonly Buffer[]): AsyncGenerator<readonly Buffer[]> {
  yield rows;
}
