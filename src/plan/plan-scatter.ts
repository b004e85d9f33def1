import { notSupported } from '../errors/proxy-error.ts';
import type {
  Expression,
  LimitClause,
  QueryExpression,
  SelectBlock,
  Span,
} from '../sql/statement.ts';
import { expressionsOfBlock, someExpression } from './expression-walk.ts';
import { isAggregate } from './function-names.ts';
import type { KeyGroup } from './key-links.ts';
import { keyBy, MergeColumns } from './merge-columns.ts';
import type { MergeKey, MergePlan, NumberSource, ScatterPlan, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import type { QueryBlock } from './query-blocks.ts';
import type { MergeParts, ScatterInput } from './scatter-input.ts';
import { resolveColumn } from './scope.ts';
import { isOwnKey, SelectOutput } from './select-output.ts';
import { mergeAggregates } from './split-aggregates.ts';

/** Throws 1235 for what the shards cannot answer for their own rows. */
export function planScatter(input: ScatterInput): ScatterPlan {
  refuseOneShardParts(input);
  const { select, query, block, group, context, facts } = input;
  const parts =
    isAggregated(select, query) && !isGroupedByKey(select, block, group)
      ? mergeAggregates(input)
      : mergeRows(input);
  const limit = query.limit === undefined ? undefined : limitOf(query.limit);
  const edits = [
    ...facts.edits,
    ...parts.columns.edit(select.itemsSpan.end),
    ...tailEdits(query, limit, parts, context),
  ];
  return {
    kind: 'scatter',
    target: input.target,
    singleEdits: facts.edits,
    edits: inOrder(edits),
    merge: {
      ...parts.merge,
      ...(limit === undefined ? {} : { limit }),
      hiddenColumns: parts.columns.count,
    },
    locks: input.locks,
    readsClock: facts.readsClock,
  };
}

/** Edits by place; an insertion stays behind what ends where it goes in. */
export function inOrder(edits: readonly TextEdit[]): readonly TextEdit[] {
  return [...edits].sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
}

function isAggregated(select: SelectBlock, query: QueryExpression): boolean {
  if (select.groupBy !== undefined || select.having !== undefined) return true;
  const orderBy = (query.orderBy ?? []).map((item) => item.expression);
  return [...select.items.map((item) => item.expression), ...orderBy].some((expression) =>
    someExpression(expression, isAggregate),
  );
}

function isGroupedByKey(select: SelectBlock, block: QueryBlock, group: KeyGroup): boolean {
  return select.groupBy?.items.some((item) => isOwnKey(item.expression, block, group)) === true;
}

function refuseOneShardParts({ query, select, block, group, facts }: ScatterInput): void {
  const refuse = (what: string): never => {
    throw notSupported(`${what} over rows of several shards: give the shard key a value`);
  };
  if (facts.oneShardOnly !== undefined) refuse(facts.oneShardOnly);
  if (query.opaqueTail !== undefined) refuse('this clause');
  if (query.into !== undefined) refuse('SELECT … INTO');
  if (select.options.includes('SQL_CALC_FOUND_ROWS')) refuse('SQL_CALC_FOUND_ROWS');
  if (select.groupBy?.rollup === true) refuse('WITH ROLLUP');
  if (select.windows.length > 0) refuse('WINDOW');
  const isForeignWindow = (part: Expression): boolean =>
    part.kind === 'call' &&
    part.over !== undefined &&
    !part.over.partitionBy.some((partition) => isOwnKey(partition, block, group));
  const expressions = [
    ...expressionsOfBlock(select),
    ...(query.orderBy ?? []).map((item) => item.expression),
  ];
  if (expressions.some((expression) => someExpression(expression, isForeignWindow))) {
    refuse('window functions without PARTITION BY the shard key');
  }
}

/** Rows stay as the shards send them: in any order, or merged by ORDER BY. */
function mergeRows(input: ScatterInput): MergeParts {
  const { query, select, block, context } = input;
  const output = new SelectOutput(select, block.scope, context);
  const columns = new MergeColumns(context, { grouped: select.groupBy !== undefined });
  const distinctKeys = select.distinct ? distinctBy(input, output, columns) : undefined;
  const keys: MergeKey[] = [];
  for (const item of query.orderBy ?? []) {
    const term = output.resolve(item.expression, 'order');
    if (term === undefined) continue;
    if (select.distinct && term.visible === undefined && !isSelected(term.expression, output)) {
      throw notSupported('SELECT DISTINCT ordered by a value that is not selected');
    }
    const by = columns.comparison(term.expression, term.visible, block.scope, 'order');
    keys.push(keyBy(by, item.descending));
  }
  return {
    merge: {
      kind: keys.length === 0 ? 'concat' : 'sort',
      keys,
      aggregates: [],
      ...(distinctKeys === undefined ? {} : { distinctKeys }),
    },
    columns,
    limitsShards: true,
    dropsOrder: false,
  };
}

/** Undefined when rows of different shards can never be equal: they hold the shard key. */
function distinctBy(
  { select, block, group }: ScatterInput,
  output: SelectOutput,
  columns: MergeColumns,
): readonly MergeKey[] | undefined {
  const holdsKey = select.items.some(({ expression }) =>
    expression.kind === 'star'
      ? group.members.some(
          (member) =>
            !block.links.nullable.has(member) &&
            (expression.table === undefined || expression.table === member.alias),
        )
      : isOwnKey(expression, block, group),
  );
  if (holdsKey) return undefined;
  return select.items.map(({ expression }, index) => {
    if (expression.kind === 'star') {
      throw notSupported('SELECT DISTINCT * without the shard key: name the columns');
    }
    return keyBy(columns.comparison(expression, index, output.scope, 'distinct'), false);
  });
}

function isSelected(expression: Expression, output: SelectOutput): boolean {
  return output.select.items.some(({ expression: selected }) => {
    if (output.same(selected, expression)) return true;
    if (selected.kind !== 'star' || expression.kind !== 'column') return false;
    const owner = resolveColumn(expression, output.scope);
    return owner !== undefined && (selected.table ?? owner.instance.alias) === owner.instance.alias;
  });
}

function tailEdits(
  query: QueryExpression,
  limit: MergePlan['limit'],
  parts: MergeParts,
  context: PlanContext,
): readonly TextEdit[] {
  const edits: TextEdit[] = [];
  const drop = (span: Span | undefined): void => {
    if (span !== undefined) edits.push({ kind: 'replace', span: context.place(span), text: '' });
  };
  if (parts.dropsOrder) drop(query.orderBySpan);
  if (query.limit === undefined || limit === undefined) return edits;
  if (!parts.limitsShards) drop(query.limit.span);
  else edits.push({ kind: 'limit', span: context.place(query.limit.span), ...limit });
  return edits;
}

function limitOf(limit: LimitClause): NonNullable<MergePlan['limit']> {
  const count = numberSource(limit.count);
  return limit.offset === undefined ? { count } : { count, offset: numberSource(limit.offset) };
}

function numberSource(expression: Expression): NumberSource {
  if (expression.kind === 'literal' && expression.type === 'integer') {
    return { kind: 'literal', slot: expression.slot };
  }
  if (expression.kind === 'parameter') return { kind: 'parameter', index: expression.index };
  throw notSupported('LIMIT by anything but numbers');
}
