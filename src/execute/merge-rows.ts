import type { MergePlan } from '../plan/plan.ts';
import type { ColumnDefinition } from '../wire/result-set-packets.ts';
import { distinctRows, groupRows, sortRows } from './group.ts';
import { mergeSorted } from './merge-sort.ts';
import type { RowLimit } from './routed-statement.ts';
import { interleaveRows, limitRows, type MergeMemory, type RowBatches } from './row-batches.ts';
import { refuseInexactKeys, sortColumns } from './sort-values.ts';

export interface MergeOptions {
  readonly merge: MergePlan;
  readonly limit: RowLimit | undefined;
  /** Of the shards' rows, hidden ones included. */
  readonly columns: readonly ColumnDefinition[];
  readonly memory: MergeMemory;
}

/** One result of all inputs: merged, without doubles, cut to its limit; hidden columns are still there. */
export function mergeRows(inputs: readonly RowBatches[], options: MergeOptions): RowBatches {
  const merged = combined(inputs, options);
  const distinct = withoutDoubles(merged, options);
  if (options.limit === undefined) return distinct;
  return limitRows(distinct, options.limit);
}

function combined(inputs: readonly RowBatches[], options: MergeOptions): RowBatches {
  const { merge, columns, memory } = options;
  const { hiddenColumns } = merge;
  const keys = sortColumns(merge.keys, columns, hiddenColumns);
  switch (merge.kind) {
    case 'concat':
      return interleaveRows(inputs);
    case 'sort':
      refuseInexactKeys(keys, columns, 'sort');
      return mergeSorted(inputs, keys);
    case 'group': {
      refuseInexactKeys(keys, columns, 'equality');
      const { aggregates } = merge;
      const groups = groupRows(inputs, { keys, aggregates, columns, hiddenColumns, memory });
      if (merge.orderAfterGroup === undefined) return groups;
      const order = sortColumns(merge.orderAfterGroup, columns, hiddenColumns);
      return sortRows(groups, order);
    }
  }
}

function withoutDoubles(rows: RowBatches, options: MergeOptions): RowBatches {
  const { merge, columns, memory } = options;
  if (merge.distinctKeys === undefined) return rows;
  const keys = sortColumns(merge.distinctKeys, columns, merge.hiddenColumns);
  refuseInexactKeys(keys, columns, 'equality');
  return distinctRows(rows, { keys, memory });
}
