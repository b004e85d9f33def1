import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import { quoteIdentifier } from '../sql/splice.ts';
import type { Expression, InsertStatement, Span } from '../sql/statement.ts';
import { columnNamed, listedColumns } from '../topology/table-schema.ts';
import type { Table } from '../topology/topology.ts';
import type { InsertPlan, InsertPlanRow, KeySource, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { columnNames, type TableInstance } from './scope.ts';
import { keySource } from './shard-predicate.ts';

interface Row {
  readonly values: readonly Expression[];
  readonly span: Span;
}

/** What a row says about a column. */
type Given =
  | { readonly kind: 'value'; readonly expression: Expression }
  /** The column is not named, or DEFAULT is written: `at` is where. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'default'; readonly at: Span };

type Generated = NonNullable<InsertPlanRow['generatedAt']>;

/** The rows of INSERT … VALUES and INSERT … SET: their keys, and where ids from the sequence go. */
export class InsertRows {
  readonly #statement: InsertStatement;
  readonly #table: Table;
  readonly #context: PlanContext;
  readonly #rows: readonly Row[];
  /** Lower case, in the order of the values. */
  readonly #columns: readonly string[];
  readonly #generatedColumn: string | undefined;
  readonly #generated: readonly (Generated | undefined)[];
  readonly #instance: TableInstance | undefined;
  readonly #ownIds: number[] = [];
  #idsTaken = 0;

  constructor(statement: InsertStatement, table: Table, context: PlanContext) {
    this.#statement = statement;
    this.#table = table;
    this.#context = context;
    this.#rows = rowsOf(statement);
    this.#columns = this.#columnList();
    this.#checkCounts();
    this.#instance = instanceOf(table);
    const names = [...table.generated];
    if (names.length > 1) throw notSupported(`several generated columns in table '${table.name}'`);
    this.#generatedColumn = names[0];
    this.#generated = this.#rows.map((row) => this.#generatedAt(row));
  }

  get count(): number {
    return this.#rows.length;
  }

  generate(): InsertPlan['generate'] {
    if (this.#generatedColumn === undefined || this.#idsTaken === 0) return undefined;
    return { column: this.#generatedColumn, count: this.#idsTaken };
  }

  ownIds(): InsertPlan['ownIds'] {
    if (this.#generatedColumn === undefined || this.#ownIds.length === 0) return undefined;
    return { column: this.#generatedColumn, slots: this.#ownIds };
  }

  /** The column list where the client left it out, and the generated column's name in it. */
  edits(): readonly TextEdit[] {
    const { source, columns, columnsSpan, table } = this.#statement;
    if (source.kind === 'set') return [];
    const added = this.#addedColumn();
    const more = added === undefined ? [] : [added];
    if (columns === undefined || columnsSpan === undefined) {
      const names = [...this.#columns, ...more];
      if (names.length === 0) return [];
      return [columnListEdit(names, this.#context.point(table.span.end))];
    }
    if (added === undefined) return [];
    const quoted = quoteIdentifier(added);
    const text = columns.length === 0 ? quoted : `, ${quoted}`;
    return [{ kind: 'replace', span: this.#context.point(columnsSpan.end - 1), text }];
  }

  #addedColumn(): string | undefined {
    const name = this.#generatedColumn;
    if (name === undefined || this.#idsTaken === 0) return undefined;
    return this.#columns.includes(name.toLowerCase()) ? undefined : name;
  }

  plan(sharded: boolean): readonly InsertPlanRow[] {
    return this.#rows.map((row, index) => {
      const generatedAt = this.#generated[index];
      return {
        span: this.#context.place(row.span),
        key: sharded ? this.#key(row, generatedAt) : undefined,
        ...(generatedAt === undefined ? {} : { generatedAt }),
      };
    });
  }

  /** The AUTO_INCREMENT column, when a row leaves it to the server. */
  unfilledAutoIncrement(): string | undefined {
    const column = this.#table.schema?.autoIncrementColumn;
    if (column === undefined || column.toLowerCase() === this.#generatedColumn?.toLowerCase()) {
      return undefined;
    }
    const unfilled = this.#rows.some((row) => this.#takesId(this.#given(row, column), column));
    return unfilled ? column : undefined;
  }

  #columnList(): readonly string[] {
    const { source, columns } = this.#statement;
    if (source.kind === 'set') {
      return source.assignments.map(({ column }) => column.name.toLowerCase());
    }
    if (columns !== undefined) return columns.map((column) => column.name.toLowerCase());
    const isEmpty = this.#rows.every((row) => row.values.length === 0);
    if (isEmpty) return [];
    const { schema, database, name } = this.#table;
    if (schema === undefined) {
      throw new ProxyError('ER_NO_SUCH_TABLE', `Table '${database}.${name}' doesn't exist`);
    }
    return listedColumns(schema).map((name) => name.toLowerCase());
  }

  #checkCounts(): void {
    this.#rows.forEach((row, index) => {
      if (row.values.length === this.#columns.length || row.values.length === 0) return;
      throw new ProxyError(
        'ER_WRONG_VALUE_COUNT_ON_ROW',
        `Column count doesn't match value count at row ${index + 1}`,
      );
    });
    const isMixed = this.#rows.some((row) => row.values.length === 0) && this.#columns.length > 0;
    // VALUES () stands for all defaults whatever the list says: no place for a value of ours.
    if (isMixed) throw notSupported('VALUES () with a column list into a sharded table');
  }

  #given(row: Row, column: string): Given {
    const index = this.#columns.indexOf(column.toLowerCase());
    const expression = row.values[index];
    if (expression === undefined) return { kind: 'missing' };
    const isDefault =
      expression.kind === 'default' ||
      (expression.kind === 'call' && expression.name === 'DEFAULT');
    return isDefault ? { kind: 'default', at: expression.span } : { kind: 'value', expression };
  }

  /** True when AUTO_INCREMENT or the sequence numbers the row. */
  #takesId(given: Given, column: string): boolean {
    if (given.kind !== 'value') return true;
    const { expression } = given;
    if (expression.kind === 'unary' && expression.operator === '-') return false;
    if (expression.kind !== 'literal') throw this.#unclearId(column);
    if (expression.type === 'null') return true;
    const { zeroIsValue } = this.#context.input.lexical;
    if (expression.type === 'integer' && zeroIsValue === true) return false;
    if (expression.type === 'integer') return !this.#context.assumeNonZero(expression.slot);
    if (expression.type !== 'string' || expression.slotCount !== 1) throw this.#unclearId(column);
    const digits = /^'0*([1-9]\d*)'$/.exec(this.#context.pin(expression.slot));
    if (digits === null) throw this.#unclearId(column);
    return false;
  }

  #unclearId(column: string): ProxyError {
    return notSupported(
      `this value for the numbered column '${column}' of table '${this.#table.name}': write an integer, or leave it out`,
    );
  }

  #generatedAt(row: Row): Generated | undefined {
    const column = this.#generatedColumn;
    if (column === undefined) return undefined;
    const given = this.#given(row, column);
    if (!this.#takesId(given, column)) {
      const isLiteral = given.kind === 'value' && given.expression.kind === 'literal';
      if (isLiteral) this.#ownIds.push(given.expression.slot);
      return undefined;
    }
    const index = this.#idsTaken++;
    if (given.kind === 'value') {
      return { span: this.#context.place(given.expression.span), separator: '', index };
    }
    if (given.kind === 'default') {
      return { span: this.#context.place(given.at), separator: '', index };
    }
    if (this.#statement.source.kind === 'set') {
      const separator = `, ${quoteIdentifier(column)} = `;
      return { span: this.#context.point(row.span.end), separator, index };
    }
    const separator = row.values.length === 0 ? '' : ', ';
    return { span: this.#context.point(row.span.end - 1), separator, index };
  }

  #key(row: Row, generatedAt: Generated | undefined): KeySource {
    const { placement, name, database, schema } = this.#table;
    if (placement.kind !== 'sharded') throw new Error('only sharded tables have keys');
    const column = placement.keyColumns[0] as string;
    if (
      generatedAt !== undefined &&
      column.toLowerCase() === this.#generatedColumn?.toLowerCase()
    ) {
      return { kind: 'generated', row: generatedAt.index };
    }
    if (placement.keyTypes[0] === undefined) {
      if (schema === undefined) {
        throw new ProxyError('ER_NO_SUCH_TABLE', `Table '${database}.${name}' doesn't exist`);
      }
      throw notSupported(`the type of the shard key '${column}' of table '${name}'`);
    }
    const given = this.#given(row, column);
    if (given.kind !== 'value') {
      if (schema !== undefined && columnNamed(schema, column)?.hasDefault === true) {
        throw notSupported(
          `leaving the shard key '${column}' of table '${name}' to its default: write the value`,
        );
      }
      throw new ProxyError(
        'ER_NO_DEFAULT_FOR_FIELD',
        `Field '${column}' doesn't have a default value: it is the shard key of table '${name}', so every row needs one`,
      );
    }
    const source = this.#literalKey(given.expression);
    if (source !== undefined) return source;
    throw notSupported(
      `an expression as shard key '${column}' of table '${name}': write the value as a literal`,
    );
  }

  #literalKey(expression: Expression): KeySource | undefined {
    const { placement, schema } = this.#table;
    if (placement.kind !== 'sharded') return undefined;
    const [column] = placement.keyColumns;
    if (expression.kind === 'literal' && expression.type === 'null') {
      // Outside of strict mode the server would store 0 or '' instead, whose home may be elsewhere.
      if (schema !== undefined && columnNamed(schema, column ?? '')?.nullable !== true) {
        throw new ProxyError('ER_BAD_NULL_ERROR', `Column '${column}' cannot be null`);
      }
      return { kind: 'constant', key: null };
    }
    return this.#instance === undefined ? undefined : keySource(expression, this.#instance);
  }
}

/**
 * The columns that the plan goes by, where INSERT has no list: on a shard whose columns have another
 * order by now, values still go to the columns that they were planned for.
 */
export function columnListEdits(
  { columns, table: name }: InsertStatement,
  table: Table,
  context: PlanContext,
): readonly TextEdit[] {
  if (columns !== undefined || table.schema === undefined) return [];
  return [columnListEdit(listedColumns(table.schema), context.point(name.span.end))];
}

function columnListEdit(names: readonly string[], span: Span): TextEdit {
  return { kind: 'replace', span, text: ` (${names.map(quoteIdentifier).join(', ')})` };
}

/** The table as its key sees it: the key counts here even if the strategy has a single shard. */
function instanceOf(table: Table): TableInstance | undefined {
  const { placement } = table;
  if (placement.kind !== 'sharded') return undefined;
  return {
    table,
    alias: table.name,
    placement: {
      kind: 'sharded',
      strategy: placement.strategy,
      keyColumn: placement.keyColumns[0] as string,
      keyType: placement.keyTypes[0],
    },
    columns: columnNames(table),
  };
}

function rowsOf(statement: InsertStatement): readonly Row[] {
  const { source } = statement;
  if (source.kind === 'values') return source.rows;
  if (source.kind === 'query') return [];
  return [{ values: source.assignments.map((assignment) => assignment.value), span: source.span }];
}
