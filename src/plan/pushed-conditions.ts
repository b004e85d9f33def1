import type { Expression } from '../sql/statement.ts';
import { someExpression } from './expression-walk.ts';
import type { GatherCondition } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import type { QueryBlock } from './query-blocks.ts';
import { columnSchemaOf, resolveColumn, type Scope, type TableInstance } from './scope.ts';

const COMPARISONS = new Set(['=', '<>', '<', '<=', '>', '>=', '<=>', 'like', 'not like']);
const TEMPORAL_TYPES = new Set(['date', 'datetime', 'timestamp', 'time', 'year']);
const TEMPORAL_LITERALS = new Set(['date', 'time', 'timestamp']);

/**
 * The terms of a block that a table's rows can be tested with where they are stored: they hold for
 * every row that matters, look at nothing else, and can neither fail nor tell another value there.
 */
export function pushedConditions(
  instance: TableInstance,
  block: QueryBlock,
  context: PlanContext,
): readonly GatherCondition[] {
  const nullable = block.links.nullable.has(instance);
  return block.links.terms.flatMap(({ expression, domain }): readonly GatherCondition[] => {
    const restricts = domain === undefined || domain.has(instance);
    if (!restricts || !isSafe(expression, instance, block.scope)) return [];
    // A row that is left out may come back as one of NULLs, which the term must not let pass.
    if (nullable && !rejectsNulls(expression)) return [];
    return [
      { span: context.place(expression.span), isTemporal: isTemporal(expression, block.scope) },
    ];
  });
}

function isSafe(expression: Expression, instance: TableInstance, scope: Scope): boolean {
  const isValue = (part: Expression): boolean => isPlainValue(part, instance, scope);
  switch (expression.kind) {
    case 'binary': {
      const { operator, left, right } = expression;
      if (operator === 'and' || operator === 'or') {
        return isSafe(left, instance, scope) && isSafe(right, instance, scope);
      }
      const comparable = COMPARISONS.has(operator) && isValue(left) && isValue(right);
      return comparable && (expression.escape === undefined || isValue(expression.escape));
    }
    case 'unary':
      return expression.operator === 'not' && isSafe(expression.operand, instance, scope);
    case 'is':
      return expression.test === 'null' && isValue(expression.operand);
    case 'between':
      return [expression.operand, expression.low, expression.high].every(isValue);
    case 'in': {
      const { operand, list } = expression;
      return isValue(operand) && !('kind' in list) && list.every(isValue);
    }
    default:
      return false;
  }
}

function isPlainValue(expression: Expression, instance: TableInstance, scope: Scope): boolean {
  switch (expression.kind) {
    case 'literal':
      return true;
    case 'unary':
      return expression.operator === '-' && expression.operand.kind === 'literal';
    case 'column': {
      const isMerged =
        expression.table === undefined && scope.merged.has(expression.name.toLowerCase());
      const resolved = isMerged ? undefined : resolveColumn(expression, scope);
      return resolved?.instance === instance && resolved.scope === scope;
    }
    default:
      return false;
  }
}

/** Never true where all columns are NULL. For expressions that `isSafe`. */
function rejectsNulls(expression: Expression): boolean {
  switch (expression.kind) {
    case 'binary':
      if (expression.operator === 'and') {
        return rejectsNulls(expression.left) || rejectsNulls(expression.right);
      }
      if (expression.operator === 'or') {
        return rejectsNulls(expression.left) && rejectsNulls(expression.right);
      }
      return expression.operator !== '<=>' && hasColumn(expression);
    case 'between':
    case 'in':
      return hasColumn(expression);
    default:
      return false;
  }
}

function hasColumn(expression: Expression): boolean {
  if (expression.kind === 'in' || expression.kind === 'between') {
    return expression.operand.kind === 'column';
  }
  return someExpression(expression, (part) => part.kind === 'column');
}

function isTemporal(expression: Expression, scope: Scope): boolean {
  return someExpression(expression, (part) => {
    if (part.kind === 'literal') return TEMPORAL_LITERALS.has(part.type);
    const column = columnSchemaOf(part, scope);
    return part.kind === 'column' && (column === undefined || TEMPORAL_TYPES.has(column.dataType));
  });
}
