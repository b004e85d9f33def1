import type {
  Expression,
  QueryBody,
  QueryExpression,
  SelectBlock,
  TableReference,
} from '../sql/statement.ts';

const NONE: readonly Expression[] = [];

/** The expressions directly below; queries of subqueries are not entered. */
export function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
    case 'column':
    case 'star':
    case 'variable':
    case 'default':
    case 'opaque':
    case 'subquery':
      return NONE;
    case 'unary':
    case 'is':
    case 'cast':
    case 'collate':
      return [expression.operand];
    case 'binary':
      return expression.escape === undefined
        ? [expression.left, expression.right]
        : [expression.left, expression.right, expression.escape];
    case 'in':
      return isQuery(expression.list)
        ? [expression.operand]
        : [expression.operand, ...expression.list];
    case 'between':
      return [expression.operand, expression.low, expression.high];
    case 'call':
      return [
        ...expression.arguments,
        ...(expression.orderBy ?? []).map((item) => item.expression),
        ...(expression.over?.partitionBy ?? []),
        ...(expression.over?.orderBy ?? []).map((item) => item.expression),
      ];
    case 'case':
      return [
        ...(expression.operand === undefined ? [] : [expression.operand]),
        ...expression.whens.flatMap((branch) => [branch.when, branch.then]),
        ...(expression.otherwise === undefined ? [] : [expression.otherwise]),
      ];
    case 'interval':
      return [expression.amount];
    case 'row':
      return expression.items;
    case 'assign':
      return [expression.value];
    case 'match':
      return [...expression.columns, expression.against];
  }
}

/** The query below, of a subquery or of `x IN (SELECT …)`. */
export function queryIn(expression: Expression): QueryExpression | undefined {
  if (expression.kind === 'subquery') return expression.query;
  if (expression.kind === 'in' && isQuery(expression.list)) return expression.list;
  return undefined;
}

/** Visits the expression and all below it in its own query block. */
export function walk(expression: Expression, visit: (expression: Expression) => void): void {
  visit(expression);
  for (const child of childrenOf(expression)) walk(child, visit);
}

export function someExpression(
  expression: Expression,
  test: (expression: Expression) => boolean,
): boolean {
  return test(expression) || childrenOf(expression).some((child) => someExpression(child, test));
}

/** Every expression of one block, the ON conditions of its joins included. */
export function expressionsOfBlock(block: SelectBlock): readonly Expression[] {
  const expressions = block.items.map((item) => item.expression);
  for (const reference of block.from) collectFromReference(reference, expressions);
  if (block.where !== undefined) expressions.push(block.where);
  for (const item of block.groupBy?.items ?? []) expressions.push(item.expression);
  if (block.having !== undefined) expressions.push(block.having);
  for (const { window } of block.windows) {
    expressions.push(...window.partitionBy, ...window.orderBy.map((item) => item.expression));
  }
  return expressions;
}

/** ON conditions and arguments of table functions. */
export function collectFromReference(reference: TableReference, into: Expression[]): void {
  if (reference.kind === 'join') {
    collectFromReference(reference.left, into);
    collectFromReference(reference.right, into);
    if (reference.on !== undefined) into.push(reference.on);
  } else if (reference.kind === 'function') {
    into.push(...reference.arguments);
  }
}

/** ORDER BY and LIMIT of a whole query. */
export function tailExpressions(query: QueryExpression): readonly Expression[] {
  return [
    ...(query.orderBy ?? []).map((item) => item.expression),
    ...(query.limit === undefined ? [] : [query.limit.count]),
    ...(query.limit?.offset === undefined ? [] : [query.limit.offset]),
  ];
}

/** The terms of a conjunction, nested ANDs flattened. */
export function conjunctsOf(expression: Expression | undefined): readonly Expression[] {
  if (expression === undefined) return NONE;
  if (expression.kind === 'binary' && expression.operator === 'and') {
    return [...conjunctsOf(expression.left), ...conjunctsOf(expression.right)];
  }
  return [expression];
}

/** Parenthesised queries without a tail of their own are their content. */
export function plainBody(query: QueryExpression): { body: QueryBody; query: QueryExpression } {
  let inner = query;
  while (inner.body.kind === 'nested' && hasNoTail(inner)) inner = inner.body.query;
  return { body: inner.body, query: inner };
}

function hasNoTail(query: QueryExpression): boolean {
  return (
    query.with === undefined &&
    query.orderBy === undefined &&
    query.limit === undefined &&
    query.locking.length === 0 &&
    query.into === undefined &&
    query.opaqueTail === undefined
  );
}

function isQuery(list: readonly Expression[] | QueryExpression): list is QueryExpression {
  return !Array.isArray(list);
}
