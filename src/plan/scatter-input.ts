import type { QueryExpression, SelectBlock } from '../sql/statement.ts';
import type { KeyGroup } from './key-links.ts';
import type { MergeColumns } from './merge-columns.ts';
import type { MergePlan, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import type { QueryBlock } from './query-blocks.ts';
import type { StatementFacts } from './statement-facts.ts';

/** A SELECT that each shard can answer for its own rows, as far as its tables go. */
export interface ScatterInput {
  readonly query: QueryExpression;
  readonly select: SelectBlock;
  readonly block: QueryBlock;
  readonly group: KeyGroup;
  readonly target: ShardTarget;
  readonly facts: StatementFacts;
  readonly locks: boolean;
  readonly context: PlanContext;
}

/** What a kind of merge wants of the shards. */
export interface MergeParts {
  readonly merge: Omit<MergePlan, 'hiddenColumns' | 'limit'>;
  readonly columns: MergeColumns;
  /** False when rows are made only by the merge: the shards must send all they have. */
  readonly limitsShards: boolean;
  /** ORDER BY means nothing before the merge. */
  readonly dropsOrder: boolean;
}
