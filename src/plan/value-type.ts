import type { CallExpression, Expression } from '../sql/statement.ts';
import type { ColumnSchema } from '../topology/table-schema.ts';
import { someExpression } from './expression-walk.ts';
import { ASCII_RESULT, NUMERIC_RESULT, TEXT_OF_ARGUMENT } from './function-names.ts';
import { columnSchemaOf, type Scope } from './scope.ts';

/** How the values of an expression compare with each other, as far as the planner knows. */
export type ValueType =
  | { readonly kind: 'number' }
  /** A FLOAT column: its text has fewer digits than its value. */
  | { readonly kind: 'float' }
  /** Temporal and binary values: the executor compares them by their column's type. */
  | { readonly kind: 'plain' }
  | { readonly kind: 'text'; readonly collation: string }
  /** ENUM and SET sort by number; `collation` is what MIN and MAX compare by. */
  | { readonly kind: 'enum'; readonly collation: string };

const NUMBER: ValueType = { kind: 'number' };
const PLAIN: ValueType = { kind: 'plain' };

const NUMBER_TYPES = new Set([
  'tinyint',
  'smallint',
  'mediumint',
  'int',
  'bigint',
  'decimal',
  'double',
  'year',
]);
const PLAIN_TYPES = new Set([
  'date',
  'datetime',
  'timestamp',
  'time',
  'bit',
  'binary',
  'varbinary',
  'tinyblob',
  'blob',
  'mediumblob',
  'longblob',
]);
const TEXT_TYPES = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext']);

/** Undefined when it is not known: such values cannot be merged. */
export function valueType(expression: Expression, scope: Scope): ValueType | undefined {
  switch (expression.kind) {
    case 'column':
      return ofColumn(columnSchemaOf(expression, scope));
    case 'literal':
      return ['integer', 'decimal', 'float', 'true', 'false'].includes(expression.type)
        ? NUMBER
        : undefined;
    case 'unary':
      return expression.operator === 'binary' ? PLAIN : NUMBER;
    case 'is':
    case 'in':
    case 'between':
    case 'match':
      return NUMBER;
    case 'binary':
      return ofOperator(expression, scope);
    case 'call':
      return ofCall(expression, scope);
    case 'case':
      return unified(
        [
          ...expression.whens.map((branch) => branch.then),
          ...(expression.otherwise === undefined ? [] : [expression.otherwise]),
        ],
        scope,
      );
    default:
      return undefined;
  }
}

function ofColumn(column: ColumnSchema | undefined): ValueType | undefined {
  if (column === undefined) return undefined;
  const { dataType, collation } = column;
  if (NUMBER_TYPES.has(dataType)) return NUMBER;
  if (dataType === 'float') return { kind: 'float' };
  if (PLAIN_TYPES.has(dataType)) return PLAIN;
  if (collation === undefined) return undefined;
  if (TEXT_TYPES.has(dataType)) return collation === 'binary' ? PLAIN : { kind: 'text', collation };
  return dataType === 'enum' || dataType === 'set' ? { kind: 'enum', collation } : undefined;
}

function ofOperator(
  expression: Extract<Expression, { kind: 'binary' }>,
  scope: Scope,
): ValueType | undefined {
  const { operator, left, right } = expression;
  if (operator === '->' || operator === '->>' || operator === 'concat') return undefined;
  if (left.kind === 'interval' || right.kind === 'interval') {
    const other = left.kind === 'interval' ? right : left;
    const type = valueType(other, scope);
    return type?.kind === 'plain' ? PLAIN : undefined;
  }
  if (operator === '/') return isDouble(left, scope) || isDouble(right, scope) ? NUMBER : undefined;
  return NUMBER;
}

function isBit(expression: Expression, scope: Scope): boolean {
  return someExpression(expression, (part) => columnSchemaOf(part, scope)?.dataType === 'bit');
}

function isDouble(expression: Expression, scope: Scope): boolean {
  if (expression.kind === 'literal') return expression.type === 'float';
  const type = columnSchemaOf(expression, scope)?.dataType;
  return type === 'double' || type === 'float';
}

/**
 * The shards round the result to the digits they show, so that a merge of it is not exact: a
 * quotient of decimals has more digits inside.
 */
export function isRounded(expression: Expression, scope: Scope): boolean {
  return someExpression(
    expression,
    (part) =>
      part.kind === 'binary' && part.operator === '/' && valueType(part, scope) === undefined,
  );
}

function ofCall(call: CallExpression, scope: Scope): ValueType | undefined {
  const { name } = call;
  if (call.schema !== undefined) return undefined;
  if (name === 'MIN' || name === 'MAX') {
    const [argument] = call.arguments;
    // Their text is a number's, though their type is BIT.
    if (argument !== undefined && isBit(argument, scope)) return undefined;
    const type = argument === undefined ? undefined : valueType(argument, scope);
    return type?.kind === 'enum' ? { kind: 'text', collation: type.collation } : type;
  }
  if (NUMERIC_RESULT.has(name)) return NUMBER;
  if (ASCII_RESULT.has(name)) return { kind: 'text', collation: 'binary' };
  if (name === 'DATE' || name === 'FROM_DAYS' || name === 'LAST_DAY' || name === 'MAKEDATE') {
    return PLAIN;
  }
  if (name === 'IF') return unified(call.arguments.slice(1), scope);
  if (TEXT_OF_ARGUMENT.has(name)) return unified(call.arguments, scope);
  return undefined;
}

/** One type for all; literals take the type of the others. */
function unified(expressions: readonly Expression[], scope: Scope): ValueType | undefined {
  let found: ValueType | undefined;
  let numbers = 0;
  for (const expression of expressions) {
    if (expression.kind === 'literal' && expression.type === 'string') {
      if (expression.charset !== undefined) return undefined;
      continue;
    }
    if (expression.kind === 'literal' && expression.type === 'null') continue;
    const type = valueType(expression, scope);
    if (type === undefined || type.kind === 'enum' || type.kind === 'float') return undefined;
    if (type.kind === 'number') {
      numbers++;
      continue;
    }
    if (found !== undefined && !sameType(found, type)) return undefined;
    found = type;
  }
  if (found === undefined) return numbers === expressions.length ? NUMBER : undefined;
  return found;
}

function sameType(a: ValueType, b: ValueType): boolean {
  if (a.kind === 'text' && b.kind === 'text') return a.collation === b.collation;
  return a.kind === b.kind;
}
