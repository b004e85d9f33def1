import type { SelectItem, Span } from '../sql/statement.ts';
import type { GatherInput, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import type { StatementBlocks } from './query-blocks.ts';
import type { StatementFacts } from './statement-facts.ts';

/**
 * A server names a column without an alias by its text: where the text of an item changes since a
 * table reference in it does, the column keeps the name of the client's own text.
 */
export function gatheredNames(
  found: StatementBlocks,
  inputs: readonly GatherInput[],
  facts: StatementFacts,
  context: PlanContext,
): readonly TextEdit[] {
  const named = new Set(facts.edits.map(({ span }) => span.end));
  return found.blocks
    .flatMap(({ select }) => select?.items ?? [])
    .filter((item) => isUnnamed(item))
    .flatMap((item): readonly TextEdit[] => {
      const of = context.place(item.span);
      const changes = inputs.some(({ span }) => isWithin(span, of));
      if (!changes || named.has(of.end)) return [];
      return [{ kind: 'name', span: { start: of.end, end: of.end }, of }];
    });
}

function isUnnamed({ alias, expression }: SelectItem): boolean {
  return alias === undefined && expression.kind !== 'star' && expression.kind !== 'column';
}

function isWithin(inner: Span, outer: Span): boolean {
  return inner.start >= outer.start && inner.end <= outer.end;
}
