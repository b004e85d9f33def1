import { notSupported } from '../errors/proxy-error.ts';
import type { CallExpression, Expression } from '../sql/statement.ts';
import { someExpression } from './expression-walk.ts';
import { isAggregate } from './function-names.ts';
import { keyBy, MergeColumns } from './merge-columns.ts';
import type { MergeAggregate, MergeKey } from './plan.ts';
import type { MergeParts, ScatterInput } from './scatter-input.ts';
import { isOwnKey, type ResolvedTerm, SelectOutput } from './select-output.ts';
import { isRounded } from './value-type.ts';

const WHAT_TO_DO = 'give the shard key a value, or group by it';

/**
 * COUNT, SUM, MIN, MAX and AVG as whole select items, with or without GROUP BY: every shard sends
 * its groups, equal ones become one.
 */
export function mergeAggregates(input: ScatterInput): MergeParts {
  return new AggregateMerge(input).run();
}

class AggregateMerge {
  readonly #input: ScatterInput;
  readonly #output: SelectOutput;
  readonly #columns: MergeColumns;
  readonly #aggregates: MergeAggregate[] = [];
  readonly #groups: { readonly term: ResolvedTerm; readonly key: MergeKey }[] = [];

  constructor(input: ScatterInput) {
    this.#input = input;
    this.#output = new SelectOutput(input.select, input.block.scope, input.context);
    this.#columns = new MergeColumns(input.context, {
      grouped: input.select.groupBy !== undefined,
    });
  }

  run(): MergeParts {
    const { select } = this.#input;
    if (select.having !== undefined)
      throw notSupported(`HAVING over groups of several shards: ${WHAT_TO_DO}`);
    if (select.distinct && select.groupBy !== undefined) {
      throw notSupported(
        `SELECT DISTINCT with GROUP BY over rows of several shards: ${WHAT_TO_DO}`,
      );
    }
    for (const item of select.groupBy?.items ?? []) {
      if (item.descending) throw notSupported('GROUP BY … DESC: use ORDER BY');
      this.#addGroup(item.expression);
    }
    select.items.forEach((item, index) => {
      this.#addItem(item.expression, index);
    });
    const orderAfterGroup = this.#order();
    return {
      merge: {
        kind: 'group',
        keys: this.#groups.map((group) => group.key),
        aggregates: this.#aggregates,
        ...(orderAfterGroup.length === 0 ? {} : { orderAfterGroup }),
      },
      columns: this.#columns,
      limitsShards: false,
      dropsOrder: true,
    };
  }

  #addGroup(expression: Expression): void {
    const term = this.#output.resolve(expression, 'group');
    if (term === undefined) return;
    if (someExpression(term.expression, isAggregate)) {
      throw notSupported('GROUP BY an aggregate');
    }
    const { scope } = this.#input.block;
    const by = this.#columns.comparison(term.expression, term.visible, scope, 'group');
    this.#groups.push({ term, key: keyBy(by, false) });
  }

  #addItem(expression: Expression, index: number): void {
    if (this.#groupOf(expression) !== undefined || isConstant(expression)) return;
    if (expression.kind === 'call' && isAggregate(expression)) {
      this.#aggregates.push(this.#aggregate(expression, index));
      return;
    }
    const what = someExpression(expression, isAggregate)
      ? 'expressions of aggregates'
      : 'columns that are neither grouped nor aggregated';
    throw notSupported(`${what} over rows of several shards: ${WHAT_TO_DO}`);
  }

  #groupOf(expression: Expression) {
    return this.#groups.find(({ term }) => this.#output.same(term.expression, expression));
  }

  #aggregate(call: CallExpression, column: number): MergeAggregate {
    const [argument] = call.arguments;
    if (argument !== undefined && call.arguments.length === 1) {
      switch (call.name) {
        case 'COUNT':
          // Equal keys are on one shard, so that no value is counted twice.
          if (call.distinct && !isOwnKey(argument, this.#input.block, this.#input.group)) break;
          return { kind: 'count', column };
        case 'SUM':
          if (call.distinct || isRounded(argument, this.#input.block.scope)) break;
          return { kind: 'sum', column };
        case 'AVG': {
          if (call.distinct || isRounded(argument, this.#input.block.scope)) break;
          const copy = this.#columns.copyOf(argument);
          const sumColumn = this.#columns.add('SUM(', copy, ')');
          const countColumn = this.#columns.add('COUNT(', copy, ')');
          return { kind: 'avg', column, sumColumn, countColumn };
        }
        case 'MIN':
        case 'MAX': {
          const kind = call.name === 'MIN' ? 'min' : 'max';
          return { kind, ...this.#columns.extreme(call, column, this.#input.block.scope) };
        }
      }
    }
    const distinct = call.distinct ? '(DISTINCT …)' : '';
    throw notSupported(`${call.name}${distinct} over rows of several shards: ${WHAT_TO_DO}`);
  }

  #order(): readonly MergeKey[] {
    const keys: MergeKey[] = [];
    for (const item of this.#input.query.orderBy ?? []) {
      const term = this.#output.resolve(item.expression, 'order');
      if (term === undefined || isConstant(term.expression)) continue;
      keys.push(keyBy(this.#orderedBy(term), item.descending));
    }
    return keys;
  }

  #orderedBy(term: ResolvedTerm): Omit<MergeKey, 'descending'> {
    const { expression } = term;
    const { scope } = this.#input.block;
    if (this.#groupOf(expression) !== undefined) {
      return this.#columns.comparison(expression, term.visible, scope, 'order');
    }
    if (expression.kind !== 'call' || !isAggregate(expression)) {
      throw notSupported(`ORDER BY a value that is neither grouped nor aggregated: ${WHAT_TO_DO}`);
    }
    const known = this.#aggregates.find(({ column }) => column === term.visible);
    const aggregate = known ?? this.#hidden(expression);
    if (aggregate.kind !== 'min' && aggregate.kind !== 'max') return { column: aggregate.column };
    const { kind: _kind, ...by } = aggregate;
    return by;
  }

  /** An aggregate that is only sorted by. */
  #hidden(call: CallExpression): MergeAggregate {
    const column = this.#columns.add(this.#columns.copyOf(call));
    const aggregate = this.#aggregate(call, column);
    this.#aggregates.push(aggregate);
    return aggregate;
  }
}

/** The same on every shard: literals and what is made of them. */
function isConstant(expression: Expression): boolean {
  return !someExpression(
    expression,
    (part) => !['literal', 'parameter', 'unary', 'binary', 'interval'].includes(part.kind),
  );
}
