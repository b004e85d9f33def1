import type {
  Expression,
  QueryBody,
  QueryExpression,
  SelectBlock,
  SelectItem,
  Span,
  TableName,
  TableReference,
} from '../sql/statement.ts';
import {
  childrenOf,
  collectFromReference,
  expressionsOfBlock,
  queryIn,
  tailExpressions,
} from './expression-walk.ts';
import { type BlockLinks, type KeyGroup, linkKeys } from './key-links.ts';
import type { PlanContext } from './plan-context.ts';
import {
  columnNames,
  mergedColumns,
  placementOf,
  type Scope,
  type TableInstance,
} from './scope.ts';

/** One FROM and WHERE of a statement: a SELECT, or the tables of an UPDATE or DELETE. */
export interface QueryBlock {
  readonly scope: Scope;
  readonly links: BlockLinks;
  readonly references: ReadonlyMap<TableReference, TableInstance>;
  /** Of TABLE t. */
  readonly tableBody: Span | undefined;
  readonly hasNaturalJoin: boolean;
  /** Undefined for UPDATE, DELETE and TABLE t. */
  readonly select: SelectBlock | undefined;
}

/** The blocks of a statement, and every expression in it. */
export interface StatementBlocks {
  readonly blocks: readonly QueryBlock[];
  readonly expressions: readonly Expression[];
  /** Names of columns the whole query yields; undefined when not known. */
  readonly columns: ReadonlySet<string> | undefined;
}

/** Of UPDATE and DELETE: `main` is the block of the statement itself. */
export interface WriteBlocks extends StatementBlocks {
  readonly main: QueryBlock;
}

type KnownColumns = ReadonlySet<string> | undefined;
type CommonTables = ReadonlyMap<string, KnownColumns>;

interface Surroundings {
  readonly scope: Scope | undefined;
  readonly groups: readonly KeyGroup[];
  readonly common: CommonTables;
}

const NOWHERE: Surroundings = { scope: undefined, groups: [], common: new Map() };

export function blocksOfQuery(query: QueryExpression, context: PlanContext): StatementBlocks {
  const builder = new BlockBuilder(context);
  const columns = builder.query(query, NOWHERE);
  return { blocks: builder.blocks, expressions: builder.expressions, columns };
}

/** The tables of an UPDATE or DELETE as one block, and the blocks of its subqueries. */
export function blocksOfWrite(
  write: {
    readonly with?: QueryExpression['with'];
    readonly tables: readonly TableReference[];
    readonly where?: Expression;
    readonly expressions: readonly Expression[];
  },
  context: PlanContext,
): WriteBlocks {
  const builder = new BlockBuilder(context);
  const around = builder.commonTables(write.with, NOWHERE);
  const expressions = [...write.expressions];
  for (const reference of write.tables) collectFromReference(reference, expressions);
  if (write.where !== undefined) expressions.push(write.where);
  const main = builder.block(
    { from: write.tables, where: write.where, select: undefined, expressions },
    around,
  );
  return { blocks: builder.blocks, expressions: builder.expressions, columns: undefined, main };
}

/** Expressions outside of any FROM: VALUES rows, SET. Their subqueries are blocks. */
export function blocksOfExpressions(
  expressions: readonly Expression[],
  context: PlanContext,
): StatementBlocks {
  const builder = new BlockBuilder(context);
  for (const expression of expressions) builder.expression(expression, NOWHERE);
  return { blocks: builder.blocks, expressions: builder.expressions, columns: undefined };
}

class BlockBuilder {
  readonly blocks: QueryBlock[] = [];
  readonly expressions: Expression[] = [];
  readonly #context: PlanContext;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  query(query: QueryExpression, outer: Surroundings): KnownColumns {
    const around = this.commonTables(query.with, outer);
    return this.#body(query.body, tailExpressions(query), around);
  }

  commonTables(tables: QueryExpression['with'], outer: Surroundings): Surroundings {
    if (tables === undefined) return outer;
    const common = new Map(outer.common);
    for (const table of tables.tables) {
      const named = table.columns.length === 0 ? undefined : lowerCase(table.columns);
      if (tables.recursive) common.set(table.name, named);
      const columns = this.query(table.query, { ...outer, common: new Map(common) });
      common.set(table.name, named ?? columns);
    }
    return { ...outer, common };
  }

  #body(body: QueryBody, tail: readonly Expression[], around: Surroundings): KnownColumns {
    switch (body.kind) {
      case 'select':
        return this.#select(body, tail, around);
      case 'set-operation': {
        const columns = this.#body(body.left, [], around);
        this.#body(body.right, tail, around);
        return columns;
      }
      case 'nested':
        for (const expression of tail) this.expression(expression, around);
        return this.query(body.query, around);
      case 'values':
        for (const expression of [...body.rows.flat(), ...tail])
          this.expression(expression, around);
        return undefined;
      case 'table-body': {
        const from = [body.table];
        const main = this.block(
          { from, where: undefined, select: undefined, expressions: tail, tableBody: body.span },
          around,
        );
        return main.scope.instances[0]?.columns;
      }
    }
  }

  #select(select: SelectBlock, tail: readonly Expression[], around: Surroundings): KnownColumns {
    const { from, where } = select;
    const expressions = [...expressionsOfBlock(select), ...tail];
    const main = this.block({ from, where, select, expressions }, around);
    return outputColumns(select.items, main.scope);
  }

  block(
    block: {
      readonly from: readonly TableReference[];
      readonly where: Expression | undefined;
      readonly select: SelectBlock | undefined;
      readonly expressions: readonly Expression[];
      readonly tableBody?: Span;
    },
    around: Surroundings,
  ): QueryBlock {
    const instances = new Map<TableReference, TableInstance>();
    for (const reference of block.from) this.#instances(reference, around, instances);
    const scope: Scope = {
      instances: [...instances.values()],
      merged: mergedColumns(block.from, (reference) => columnsOf(reference, instances)),
      parent: around.scope,
    };
    const links = linkKeys({
      from: block.from,
      where: block.where,
      scope,
      instanceOf: (reference) => instances.get(reference) as TableInstance,
      outerGroups: around.groups,
    });
    const built: QueryBlock = {
      scope,
      links,
      references: instances,
      tableBody: block.tableBody,
      hasNaturalJoin: block.from.some(isNatural),
      select: block.select,
    };
    this.blocks.push(built);
    const inside = { ...around, scope, groups: [...around.groups, ...links.groups] };
    for (const expression of block.expressions) this.expression(expression, inside);
    return built;
  }

  expression(expression: Expression, around: Surroundings): void {
    this.expressions.push(expression);
    const query = queryIn(expression);
    if (query !== undefined) this.query(query, around);
    for (const child of childrenOf(expression)) this.expression(child, around);
  }

  #instances(
    reference: TableReference,
    around: Surroundings,
    into: Map<TableReference, TableInstance>,
  ): void {
    switch (reference.kind) {
      case 'join':
        this.#instances(reference.left, around, into);
        this.#instances(reference.right, around, into);
        return;
      case 'table':
        into.set(reference, this.#named(reference, around));
        return;
      case 'derived': {
        const columns = this.query(reference.query, around);
        const named = reference.columns.length === 0 ? columns : lowerCase(reference.columns);
        into.set(reference, computed(reference.alias, named));
        return;
      }
      case 'function':
        into.set(reference, computed(reference.alias, undefined));
    }
  }

  #named(reference: TableName, around: Surroundings): TableInstance {
    const alias = reference.alias ?? reference.name;
    if (reference.database === undefined && around.common.has(reference.name)) {
      return computed(alias, around.common.get(reference.name));
    }
    const table = this.#context.rowsOf(reference);
    return { table, alias, placement: placementOf(table), columns: columnNames(table) };
  }
}

function isNatural(reference: TableReference): boolean {
  if (reference.kind !== 'join') return false;
  return reference.natural || isNatural(reference.left) || isNatural(reference.right);
}

function computed(alias: string, columns: KnownColumns): TableInstance {
  return { table: undefined, alias, placement: { kind: 'computed' }, columns };
}

function columnsOf(
  reference: TableReference,
  instances: ReadonlyMap<TableReference, TableInstance>,
): KnownColumns {
  if (reference.kind !== 'join') return instances.get(reference)?.columns;
  const left = columnsOf(reference.left, instances);
  const right = columnsOf(reference.right, instances);
  return left === undefined || right === undefined ? undefined : new Set([...left, ...right]);
}

function outputColumns(items: readonly SelectItem[], scope: Scope): KnownColumns {
  const names = new Set<string>();
  for (const { alias, expression } of items) {
    if (alias !== undefined) names.add(alias.toLowerCase());
    else if (expression.kind === 'column') names.add(expression.name.toLowerCase());
    else if (expression.kind === 'star') {
      for (const instance of scope.instances) {
        if (expression.table !== undefined && instance.alias !== expression.table) continue;
        if (instance.columns === undefined) return undefined;
        for (const name of instance.columns) names.add(name);
      }
    }
  }
  return names;
}

function lowerCase(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map((name) => name.toLowerCase()));
}
