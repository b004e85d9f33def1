import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { Assignment, Expression, InsertStatement, Span } from '../sql/statement.ts';
import type { Table } from '../topology/topology.ts';
import { InsertRows } from './insert-rows.ts';
import type { InsertPlan, Plan, ShardTarget, SinglePlan, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { planInsertSelect } from './plan-insert-select.ts';
import { inOrder } from './plan-scatter.ts';
import { blocksOfExpressions } from './query-blocks.ts';
import { placementOf } from './scope.ts';
import { factsOf, type StatementFacts } from './statement-facts.ts';
import { type Reach, reachOf, unreachableBy } from './statement-target.ts';
import { refuseUnseenDuplicates } from './unique-keys.ts';

/** INSERT and REPLACE. */
export function planInsert(statement: InsertStatement, context: PlanContext): Plan {
  const table = context.rowsOf(statement.table);
  refuseKeyChange(table, statement.onDuplicate ?? []);
  refuseUnseenDuplicates(statement, table);
  if (statement.source.kind === 'query') return planInsertSelect(statement, table, context);
  const found = blocksOfExpressions(expressionsOf(statement), context);
  const facts = factsOf(found.expressions, statement.returning ?? [], context);
  const target = targetOf(table);
  if (found.blocks.length > 0) {
    refuseForeignSubqueries(reachOf(found.blocks, undefined, context), target);
  }
  return target.kind === 'fixed' && table.generated.size === 0
    ? intoOneShard(target, facts)
    : planRows({ statement, table, target, facts, context });
}

/** Subqueries may read what every target shard has. */
function refuseForeignSubqueries(reach: Reach, target: ShardTarget): void {
  const { single } = reach;
  if (single === undefined) throw unreachableBy(reach);
  if (single.kind === 'any') return;
  if (single.kind === 'fixed' && target.kind === 'fixed' && single.shard === target.shard) return;
  throw notSupported('INSERT with subqueries on tables of other shards: read the values first');
}

/** Throws 1235 when an assignment would move a row to another shard. */
export function refuseKeyChange(table: Table, assignments: readonly Assignment[]): void {
  const { placement } = table;
  // Where there is one shard, every row is at home on it.
  if (placement.kind !== 'sharded' || placement.strategy.shards.length === 1) return;
  const keys = placement.keyColumns.map((name) => name.toLowerCase());
  const changed = assignments.find(({ column }) => keys.includes(column.name.toLowerCase()));
  if (changed === undefined) return;
  throw notSupported(
    `changing the shard key '${changed.column.name}' of table '${table.name}': delete the row and insert it anew`,
  );
}

interface RowsInput {
  readonly statement: InsertStatement;
  readonly table: Table;
  readonly target: ShardTarget;
  readonly facts: StatementFacts;
  readonly context: PlanContext;
}

function planRows({ statement, table, target, facts, context }: RowsInput): Plan {
  const { source } = statement;
  if (source.kind === 'query') throw new Error('INSERT … SELECT has no rows');
  const rows = new InsertRows(statement, table, context);
  const isReference = target.kind === 'every';
  if (isReference) refuseDiverging(table, rows, facts);
  else refuseOwnNumbers(table, rows);
  const single = rows.count === 1 && !isReference;
  if (!single) refuseSeveralShards(statement, facts);
  const generate = rows.generate();
  // Its answer would be rows, which leave no place for the OK that tells the id.
  if (statement.returning !== undefined && (generate?.count ?? 0) > 0) {
    throw notSupported(
      `INSERT … RETURNING where Shardgate numbers the row: give '${generate?.column}' a value, or ask LAST_INSERT_ID()`,
    );
  }
  const ownIds = rows.ownIds();
  const edits: readonly TextEdit[] = inOrder([...facts.edits, ...rows.edits()]);
  if (isReference && generate === undefined) {
    return { kind: 'write', target, edits, reference: true, readsClock: true };
  }
  const plan: InsertPlan = {
    kind: 'insert',
    table,
    target,
    edits,
    rows: rows.plan(target.kind === 'by-key'),
    rowsSpan: context.place(rowsSpan(source)),
    ...(generate === undefined ? {} : { generate }),
    ...(ownIds === undefined ? {} : { ownIds }),
    readsClock: true,
  };
  return plan;
}

function intoOneShard(target: ShardTarget, facts: StatementFacts): SinglePlan {
  return { kind: 'single', target, edits: inOrder(facts.edits), writes: true, locks: false };
}

function targetOf(table: Table): ShardTarget {
  const { placement } = table;
  switch (placement.kind) {
    case 'unsharded':
      return { kind: 'fixed', shard: placement.shard };
    case 'reference':
      return { kind: 'every', shards: placement.shards };
    case 'sharded': {
      const whole = placementOf(table);
      // One shard, but the schema may be unknown: nothing depends on the key then.
      if (whole.kind === 'unsharded' && table.generated.size === 0) {
        return { kind: 'fixed', shard: whole.shard };
      }
      return {
        kind: 'by-key',
        strategy: placement.strategy,
        database: table.database,
        condition: { kind: 'all' },
      };
    }
  }
}

/** Every copy of a reference table must get the very same row. */
function refuseDiverging(table: Table, rows: InsertRows, facts: StatementFacts): void {
  if (facts.nonDeterministic !== undefined) {
    throw notSupported(
      `${facts.nonDeterministic}() in a write to the reference table '${table.name}': each shard would store another value`,
    );
  }
  if (facts.oneShardOnly !== undefined) {
    throw notSupported(`${facts.oneShardOnly} in a write to the reference table '${table.name}'`);
  }
  const counter = rows.unfilledAutoIncrement();
  if (counter === undefined) return;
  throw notSupported(
    `AUTO_INCREMENT of the reference table '${table.name}': give '${counter}' a value, since each shard would count by itself`,
  );
}

/** Shards that count by themselves give the same number to different rows. */
function refuseOwnNumbers(table: Table, rows: InsertRows): void {
  if (table.placement.kind !== 'sharded' || table.placement.strategy.shards.length === 1) return;
  const counter = rows.unfilledAutoIncrement();
  if (counter === undefined) return;
  throw notSupported(
    `AUTO_INCREMENT of the sharded table '${table.name}': give '${counter}' a value, or let Shardgate number the rows (generate: { ${counter}: sequence } in shards.yaml)`,
  );
}

function refuseSeveralShards(statement: InsertStatement, facts: StatementFacts): void {
  if (facts.oneShardOnly !== undefined) {
    throw notSupported(`${facts.oneShardOnly} in an INSERT of several rows into a sharded table`);
  }
  if (statement.returning !== undefined) {
    throw notSupported(
      'INSERT … RETURNING of several rows into a sharded table: insert them one by one',
    );
  }
}

function rowsSpan(source: Exclude<InsertStatement['source'], { kind: 'query' }>): Span {
  if (source.kind === 'set') return source.span;
  const [first] = source.rows;
  const last = source.rows.at(-1);
  if (first === undefined || last === undefined) {
    throw new ProxyError('ER_PARSE_ERROR', 'INSERT without rows');
  }
  return { start: first.span.start, end: last.span.end };
}

function expressionsOf(statement: InsertStatement): readonly Expression[] {
  const { source } = statement;
  const values =
    source.kind === 'values'
      ? source.rows.flatMap((row) => row.values)
      : source.kind === 'set'
        ? source.assignments.map((assignment) => assignment.value)
        : [];
  return [
    ...values,
    ...(statement.onDuplicate ?? []).map((assignment) => assignment.value),
    ...(statement.returning ?? []).map((item) => item.expression),
  ];
}
