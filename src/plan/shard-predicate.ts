import type { Expression, InExpression, Literal } from '../sql/statement.ts';
import type { KeyType } from '../topology/strategy.ts';
import type { KeyCondition, KeySource } from './plan.ts';
import { keyOf, type Scope, type TableInstance } from './scope.ts';

/** Which of the keys matter is told by the instances: those of one group have equal keys. */
export interface PredicateInput {
  readonly scope: Scope;
  readonly isMember: (instance: TableInstance) => boolean;
}

const ALL: KeyCondition = { kind: 'all' };
const NO_ROW: KeyCondition = { kind: 'none' };

/** What a condition says about the shard key, generic in its literals. Never too narrow. */
export function keyCondition(expression: Expression, input: PredicateInput): KeyCondition {
  switch (expression.kind) {
    case 'binary':
      return ofBinary(expression, input);
    case 'in':
      return ofIn(expression, input);
    case 'between': {
      const key = memberKey(expression.operand, input);
      if (key === undefined || expression.negated) return ALL;
      if (isNull(expression.low) || isNull(expression.high)) return NO_ROW;
      const low = bound(expression.low, key, true);
      const high = bound(expression.high, key, true);
      // The types of all three operands decide how they are compared.
      if (low === undefined || high === undefined) return ALL;
      return { kind: 'between', low, high, together: true };
    }
    default:
      return ALL;
  }
}

/** All of the conditions hold. An equality is enough by itself, the surest one first. */
export function conjunction(conditions: readonly KeyCondition[]): KeyCondition {
  const useful = conditions.flatMap((condition) =>
    condition.kind === 'and' ? condition.conditions : condition.kind === 'all' ? [] : [condition],
  );
  const [first] = useful;
  if (first === undefined) return ALL;
  const none = useful.find((condition) => condition.kind === 'none');
  if (none !== undefined) return none;
  const equalities = useful.filter((condition) => condition.kind === 'equal');
  const equality = equalities.find((one) => isCertain(one.value)) ?? equalities[0];
  if (equality !== undefined) return equality;
  return useful.length === 1 ? first : { kind: 'and', conditions: useful };
}

/** At least one of the conditions holds. */
export function disjunction(conditions: readonly KeyCondition[]): KeyCondition {
  const sources: KeySource[] = [];
  const others: KeyCondition[] = [];
  for (const condition of conditions) {
    if (condition.kind === 'all') return ALL;
    if (condition.kind === 'equal') sources.push(condition.value);
    else if (condition.kind === 'in') for (const value of condition.values) sources.push(value);
    else if (condition.kind === 'or') others.push(...condition.conditions);
    else if (condition.kind !== 'none') others.push(condition);
  }
  const all = sources.length === 0 ? others : [oneOf(sources), ...others];
  const [first] = all;
  if (first === undefined) return NO_ROW;
  return all.length === 1 ? first : { kind: 'or', conditions: all };
}

/** True when the literal is plainly a value of the key's type, whatever it is: one shard for sure. */
export function isCertain(source: KeySource): boolean {
  if (source.kind === 'constant' || source.kind === 'generated') return true;
  if (source.kind === 'parameter') return false;
  return source.certain === true;
}

/**
 * The key that an expression gives, when it is a literal, a negated number or a parameter.
 * Undefined when the value is only known to a shard, or is compared by other rules than the key's.
 */
export function keySource(expression: Expression, instance: TableInstance): KeySource | undefined {
  const { table, placement } = instance;
  if (table === undefined || placement.kind !== 'sharded') return undefined;
  const type = placement.keyType;
  if (type === undefined) return undefined;
  switch (expression.kind) {
    case 'parameter':
      return { kind: 'parameter', index: expression.index, table, keyIndex: 0 };
    case 'unary': {
      const { operand, operator } = expression;
      if (operand.kind !== 'literal' || (operator !== '-' && operator !== '+')) return undefined;
      if (!isNumber(operand)) return undefined;
      return literalSource(operand, instance, { type, negated: operator === '-' });
    }
    case 'literal':
      if (expression.type === 'true' || expression.type === 'false') {
        if (type.kind !== 'integer') return undefined;
        return { kind: 'constant', key: expression.type === 'true' ? 1 : 0 };
      }
      return literalSource(expression, instance, { type, negated: false });
    default:
      return undefined;
  }
}

function literalSource(
  literal: Literal,
  instance: TableInstance,
  { type, negated }: { readonly type: KeyType; readonly negated: boolean },
): KeySource | undefined {
  // Neighbouring strings and introducers ('a' 'b', _latin1'a') are rare; shards can judge them.
  if (literal.slotCount !== 1 || literal.charset !== undefined) return undefined;
  const isDate = literal.type === 'date' || literal.type === 'timestamp';
  if (isDate && type.kind !== 'date' && type.kind !== 'datetime') return undefined;
  if (literal.type === 'time' || literal.type === 'bit' || literal.type === 'hex') return undefined;
  if (instance.table === undefined) return undefined;
  const certain = type.kind === 'integer' && literal.type === 'integer';
  return {
    kind: 'literal',
    slot: literal.slot,
    negated,
    table: instance.table,
    keyIndex: 0,
    ...(certain ? { certain } : {}),
  };
}

function isNumber(literal: Literal): boolean {
  return literal.type === 'integer' || literal.type === 'decimal' || literal.type === 'float';
}

function ofBinary(
  expression: Extract<Expression, { kind: 'binary' }>,
  input: PredicateInput,
): KeyCondition {
  const { operator, left, right } = expression;
  switch (operator) {
    case 'and':
      return conjunction([keyCondition(left, input), keyCondition(right, input)]);
    case 'or':
      return disjunction([keyCondition(left, input), keyCondition(right, input)]);
    case '=':
    case '<=>':
      return equal(left, right, { input, nullSafe: operator === '<=>' });
    case '<':
    case '<=':
      return comparison(left, right, { input, inclusive: operator === '<=' });
    case '>':
    case '>=':
      return comparison(right, left, { input, inclusive: operator === '>=' });
    default:
      return ALL;
  }
}

interface EqualityInput {
  readonly input: PredicateInput;
  readonly nullSafe: boolean;
}

function equal(left: Expression, right: Expression, input: EqualityInput): KeyCondition {
  return left.kind === 'row' && right.kind === 'row'
    ? ofRows(left, right, input)
    : equality(left, right, input);
}

function equality(
  left: Expression,
  right: Expression,
  { input, nullSafe }: EqualityInput,
): KeyCondition {
  const key = memberKey(left, input);
  const value = key === undefined ? left : right;
  const instance = key ?? memberKey(right, input);
  if (instance === undefined) return ALL;
  if (isNull(value)) return nullSafe ? ALL : NO_ROW;
  // A parameter may be NULL, which `<=>` finds also in rows that an outer join filled up.
  if (nullSafe && value.kind === 'parameter') return ALL;
  const source = keySource(value, instance);
  return source === undefined ? ALL : { kind: 'equal', value: source };
}

function ofRows(
  left: Extract<Expression, { kind: 'row' }>,
  right: Extract<Expression, { kind: 'row' }>,
  { input, nullSafe }: EqualityInput,
): KeyCondition {
  if (left.items.length !== right.items.length) return ALL;
  return conjunction(
    left.items.map((item, index) =>
      equality(item, right.items[index] as Expression, { input, nullSafe }),
    ),
  );
}

function comparison(
  low: Expression,
  high: Expression,
  { input, inclusive }: { readonly input: PredicateInput; readonly inclusive: boolean },
): KeyCondition {
  const above = memberKey(low, input);
  if (above !== undefined) return between(undefined, bound(high, above, inclusive), isNull(high));
  const below = memberKey(high, input);
  if (below !== undefined) return between(bound(low, below, inclusive), undefined, isNull(low));
  return ALL;
}

type Bound = { readonly value: KeySource; readonly inclusive: boolean } | undefined;

function bound(expression: Expression, instance: TableInstance, inclusive: boolean): Bound {
  const value = keySource(expression, instance);
  return value === undefined ? undefined : { value, inclusive };
}

function between(low: Bound, high: Bound, hasNull: boolean): KeyCondition {
  if (hasNull) return NO_ROW;
  if (low === undefined && high === undefined) return ALL;
  return {
    kind: 'between',
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
  };
}

function ofIn(expression: InExpression, input: PredicateInput): KeyCondition {
  if (expression.negated || !isList(expression.list)) return ALL;
  const { operand, list } = expression;
  if (operand.kind === 'row') {
    const at = operand.items.findIndex((item) => memberKey(item, input) !== undefined);
    const column = operand.items[at];
    if (column === undefined) return ALL;
    const parts = list.map((row) => (row.kind === 'row' ? row.items[at] : undefined));
    if (parts.some((part) => part === undefined)) return ALL;
    return listed(column, parts as readonly Expression[], input);
  }
  return listed(operand, list, input);
}

function listed(
  operand: Expression,
  values: readonly Expression[],
  input: PredicateInput,
): KeyCondition {
  const instance = memberKey(operand, input);
  if (instance === undefined) return ALL;
  const sources: KeySource[] = [];
  for (const value of values) {
    if (isNull(value)) continue;
    const source = keySource(value, instance);
    if (source === undefined) return ALL;
    sources.push(source);
  }
  return sources.length === 0 ? NO_ROW : oneOf(sources);
}

function oneOf(values: readonly KeySource[]): KeyCondition {
  const [first] = values;
  return values.length === 1 && first !== undefined
    ? { kind: 'equal', value: first }
    : { kind: 'in', values };
}

function memberKey(expression: Expression, input: PredicateInput): TableInstance | undefined {
  const key = keyOf(expression, input.scope);
  return key !== undefined && input.isMember(key.instance) ? key.instance : undefined;
}

function isNull(expression: Expression): boolean {
  return expression.kind === 'literal' && expression.type === 'null';
}

function isList(list: InExpression['list']): list is readonly Expression[] {
  return Array.isArray(list);
}
