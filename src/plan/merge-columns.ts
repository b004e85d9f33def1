import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { Expression, Span } from '../sql/statement.ts';
import { queryIn, someExpression } from './expression-walk.ts';
import { isAggregate, NON_DETERMINISTIC } from './function-names.ts';
import { padWeightOf } from './pad-weight.ts';
import { HIDDEN_BASE, type MergeKey, type TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { isNoColumn, type Scope } from './scope.ts';
import { sessionValueOf } from './statement-facts.ts';
import { isRounded, type ValueType, valueType } from './value-type.ts';

/** How to compare one value across shards: a merge key, or MIN and MAX. */
export interface Comparison {
  readonly column: number;
  readonly weightColumn?: number;
  readonly padWeight?: string;
}

type Part = string | Span;

/** The columns that a merge needs beside those the client asked for: the end of the select list. */
export class MergeColumns {
  readonly #context: PlanContext;
  /** The statement has a GROUP BY. */
  readonly #grouped: boolean;
  readonly #columns: (readonly Part[])[] = [];

  constructor(context: PlanContext, options: { readonly grouped: boolean }) {
    this.#context = context;
    this.#grouped = options.grouped;
  }

  get count(): number {
    return this.#columns.length;
  }

  /** Appends a column, once; strings are SQL, spans places of the template. */
  add(...parts: readonly Part[]): number {
    const text = JSON.stringify(parts);
    const known = this.#columns.findIndex((column) => JSON.stringify(column) === text);
    if (known >= 0) return HIDDEN_BASE + known;
    this.#columns.push(parts);
    return HIDDEN_BASE + this.#columns.length - 1;
  }

  /** The place of an expression that is to be computed once more. */
  copyOf(expression: Expression): Span {
    const isUncopyable = (part: Expression): boolean =>
      queryIn(part) !== undefined ||
      part.kind === 'parameter' ||
      sessionValueOf(part) !== undefined ||
      (part.kind === 'call' && (part.over !== undefined || NON_DETERMINISTIC.has(part.name)));
    if (someExpression(expression, isUncopyable)) {
      throw notSupported(
        'sorting or grouping rows of several shards by a subquery, a parameter or a function that differs each time',
      );
    }
    return this.#context.place(expression.span);
  }

  /**
   * What to compare `expression` by, whose value is in column `visible` of the client's columns
   * (undefined: it is not among them).
   */
  comparison(
    expression: Expression,
    visible: number | undefined,
    scope: Scope,
    use: 'order' | 'group' | 'distinct',
  ): Comparison {
    const type = this.#typeOf(expression, scope, use);
    const copy = this.copyOf(expression);
    if (type.kind === 'enum' && use === 'order') return { column: this.add('(', copy, ')+0') };
    if (type.kind === 'float') return { column: this.add('(', copy, ')+0E0') };
    const column = visible ?? this.add(copy);
    if (type.kind === 'number' || type.kind === 'plain' || type.kind === 'enum') return { column };
    return { column, ...this.#weight(expression, copy, type) };
  }

  /** MIN or MAX, whose own value is in `column`. */
  extreme(call: Expression, column: number, scope: Scope): Comparison {
    const type = this.#typeOf(call, scope, 'distinct');
    if (type.kind !== 'text') return { column };
    return { column, ...this.#weight(call, this.copyOf(call), type) };
  }

  #typeOf(expression: Expression, scope: Scope, use: 'order' | 'group' | 'distinct'): ValueType {
    const type = isRounded(expression, scope) ? undefined : valueType(expression, scope);
    if (type !== undefined) return type;
    refuseMissingTable(scope);
    if (expression.kind === 'column' && use !== 'distinct' && isNoColumn(expression, scope)) {
      throw this.#context.unknownColumn(this.#context.source(expression.span), use);
    }
    throw notSupported(
      'sorting, grouping or comparing rows of several shards by a value whose type is not known beforehand: use a column',
    );
  }

  #weight(
    expression: Expression,
    copy: Span,
    type: Extract<ValueType, { kind: 'text' }>,
  ): { readonly weightColumn: number; readonly padWeight?: string } {
    const pad = padWeightOf(type.collation);
    if (pad === undefined) {
      throw notSupported(`merging text of collation ${type.collation} from several shards`);
    }
    // MySQL does not see that a function of a grouped expression has one value in a group, except
    // for plain columns (ONLY_FULL_GROUP_BY).
    const isWrapped =
      this.#grouped && expression.kind !== 'column' && !someExpression(expression, isAggregate);
    const weightColumn = isWrapped
      ? this.add('MIN(WEIGHT_STRING(', copy, '))')
      : this.add('WEIGHT_STRING(', copy, ')');
    return pad === '' ? { weightColumn } : { weightColumn, padWeight: pad };
  }

  /** The edit that appends the columns behind the select list. */
  edit(itemsEnd: number): readonly TextEdit[] {
    if (this.#columns.length === 0) return [];
    const parts = this.#columns.flatMap((column): readonly Part[] => [', ', ...column]);
    return [{ kind: 'compose', span: this.#context.point(itemsEnd), parts: joined(parts) }];
  }
}

export function keyBy(comparison: Comparison, descending: boolean): MergeKey {
  return { ...comparison, descending };
}

/** A table that no shard has makes every type unknown: the client is told of the table then. */
function refuseMissingTable(scope: Scope): void {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    for (const { table } of at.instances) {
      if (table === undefined || table.schema !== undefined) continue;
      throw new ProxyError(
        'ER_NO_SUCH_TABLE',
        `Table '${table.database}.${table.name}' doesn't exist`,
      );
    }
  }
}

function joined(parts: readonly Part[]): readonly Part[] {
  const out: Part[] = [];
  for (const part of parts) {
    const last = out.at(-1);
    if (typeof part === 'string' && typeof last === 'string') out[out.length - 1] = last + part;
    else out.push(part);
  }
  return out;
}
