import { notSupported } from '../errors/proxy-error.ts';
import type { ColumnReference, Expression, SelectBlock } from '../sql/statement.ts';
import { someExpression } from './expression-walk.ts';
import type { KeyGroup } from './key-links.ts';
import type { PlanContext } from './plan-context.ts';
import type { QueryBlock } from './query-blocks.ts';
import { keyOf, resolveColumn, type Scope } from './scope.ts';

/** What ORDER BY or GROUP BY means by one of its terms. */
export interface ResolvedTerm {
  readonly expression: Expression;
  /** Its column among those the client gets, when it is one of them and can be counted to. */
  readonly visible: number | undefined;
}

/** The select list of a statement whose rows come from several shards. */
export class SelectOutput {
  readonly select: SelectBlock;
  readonly scope: Scope;
  readonly #context: PlanContext;

  constructor(select: SelectBlock, scope: Scope, context: PlanContext) {
    this.select = select;
    this.scope = scope;
    this.#context = context;
  }

  /**
   * Resolves a term as MySQL does: a number is a column of the result, a bare name in ORDER BY an
   * alias before it is a column, in GROUP BY the other way round. Undefined: it orders nothing.
   */
  resolve(expression: Expression, clause: 'order' | 'group'): ResolvedTerm | undefined {
    if (expression.kind === 'literal') {
      return expression.type === 'integer' ? this.#position(expression.slot, clause) : undefined;
    }
    if (expression.kind === 'parameter') return undefined;
    const alias = expression.kind === 'column' ? this.#alias(expression, clause) : undefined;
    if (alias !== undefined) return alias;
    if (expression.kind !== 'column') this.#refuseAliasInside(expression);
    const index = this.select.items.findIndex((item) => this.#same(item.expression, expression));
    return { expression, visible: this.#visible(index) };
  }

  /** The place of an item among the result's columns; stars before it cannot be counted. */
  #visible(index: number): number | undefined {
    if (index < 0) return undefined;
    const before = this.select.items.slice(0, index + 1);
    return before.some((item) => item.expression.kind === 'star') ? undefined : index;
  }

  #position(slot: number, clause: 'order' | 'group'): ResolvedTerm {
    const number = Number(this.#context.pin(slot));
    const { items } = this.select;
    const item = items[number - 1];
    const stars = items.some(({ expression }) => expression.kind === 'star');
    if (stars)
      throw notSupported(`positions in ${clause.toUpperCase()} BY of SELECT *: name the column`);
    if (item === undefined) {
      throw this.#context.unknownColumn(String(number), clause);
    }
    return { expression: item.expression, visible: number - 1 };
  }

  #alias(column: ColumnReference, clause: 'order' | 'group'): ResolvedTerm | undefined {
    if (column.table !== undefined) return undefined;
    const name = column.name.toLowerCase();
    const { items } = this.select;
    const found = items.filter((item) => item.alias?.toLowerCase() === name);
    const [item] = found;
    if (item === undefined || this.#same(item.expression, column)) return undefined;
    if (found.length > 1) throw notSupported(`the alias ${column.name} given twice`);
    if (clause === 'group' && resolveColumn(column, this.scope) !== undefined) {
      throw notSupported(
        `GROUP BY ${column.name}, which is both a column and an alias: qualify the column or rename the alias`,
      );
    }
    return { expression: item.expression, visible: this.#visible(items.indexOf(item)) };
  }

  /** Inside of an expression a name may mean the column or the alias; copied, it is the column. */
  #refuseAliasInside(expression: Expression): void {
    const isAlias = (part: Expression): boolean =>
      part.kind === 'column' &&
      part.table === undefined &&
      this.select.items.some(
        (item) =>
          item.alias?.toLowerCase() === part.name.toLowerCase() &&
          !this.#same(item.expression, part),
      );
    if (someExpression(expression, isAlias)) {
      throw notSupported('sorting or grouping rows of several shards by an expression of an alias');
    }
  }

  #same(a: Expression, b: Expression): boolean {
    if (a.kind === 'column' && b.kind === 'column') {
      const left = resolveColumn(a, this.scope);
      const right = resolveColumn(b, this.scope);
      return left !== undefined && left.instance === right?.instance && left.name === right.name;
    }
    // Literals inside are equal only by chance: such copies are computed anew.
    if (someExpression(a, (part) => part.kind === 'literal' && part.slot >= 0)) return false;
    return a.kind === b.kind && this.#context.source(a.span) === this.#context.source(b.span);
  }

  same(a: Expression, b: Expression): boolean {
    return a === b || this.#same(a, b);
  }
}

/** The key of a table whose rows are never filled up with NULL: equal values are on one shard. */
export function isOwnKey(expression: Expression, block: QueryBlock, group: KeyGroup): boolean {
  const key = keyOf(expression, block.scope);
  return (
    key !== undefined &&
    group.members.includes(key.instance) &&
    !block.links.nullable.has(key.instance)
  );
}
