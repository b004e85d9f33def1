import { notSupported } from '../errors/proxy-error.ts';
import type { InsertStatement, QueryExpression, SelectItem } from '../sql/statement.ts';
import { holdsKeysOf } from '../topology/key-type.ts';
import { listedColumns } from '../topology/table-schema.ts';
import type { Table } from '../topology/topology.ts';
import { plainBody } from './expression-walk.ts';
import { columnListEdits } from './insert-rows.ts';
import type { Plan, ShardTarget, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { inOrder } from './plan-scatter.ts';
import { blocksOfQuery, type QueryBlock } from './query-blocks.ts';
import { keyOf, placementOf } from './scope.ts';
import { factsOf, type StatementFacts } from './statement-facts.ts';
import { conditionOf, type Reach, reachOf, unreachableBy } from './statement-target.ts';

const WHAT_TO_DO = 'read the rows first and insert them with VALUES';

/** INSERT … SELECT, where the rows are read on the very shards that they are written to. */
export function planInsertSelect(
  statement: InsertStatement,
  table: Table,
  context: PlanContext,
): Plan {
  if (statement.source.kind !== 'query') throw new Error('not INSERT … SELECT');
  const { query } = statement.source;
  const found = blocksOfQuery(query, context);
  const assigned = (statement.onDuplicate ?? []).map((assignment) => assignment.value);
  const facts = factsOf([...found.expressions, ...assigned], [], context);
  const reach = reachOf(found.blocks, undefined, context);
  if (reach.single === undefined) throw unreachableBy(reach);
  const listed = columnListEdits(statement, table, context);
  const placement = placementOf(table);
  if (table.generated.size > 0 && placement.kind !== 'reference')
    refuseUnnumbered(statement, table);
  switch (placement.kind) {
    case 'unsharded': {
      const home: ShardTarget = { kind: 'fixed', shard: placement.shard };
      return write(together(home, reach), facts);
    }
    case 'reference':
      return intoReference(statement, table, { query, reach, facts, listed });
    case 'sharded':
      refuseUnnumbered(statement, table);
      return write(
        intoKey(statement, table, { query, reach, blocks: found.blocks }),
        facts,
        listed,
      );
    case 'computed':
      throw new Error('a stored table is not computed');
  }
}

function write(target: ShardTarget, facts: StatementFacts, listed: readonly TextEdit[] = []): Plan {
  const edits = inOrder([...facts.edits, ...listed]);
  return { kind: 'single', target, edits, writes: true, locks: false };
}

function together(home: ShardTarget, { single }: Reach): ShardTarget {
  if (single === undefined || single.kind === 'any') return home;
  if (home.kind === 'fixed' && single.kind === 'fixed') {
    if (home.shard === single.shard) return home;
    throw notSupported(`INSERT … SELECT from tables of another shard: ${WHAT_TO_DO}`);
  }
  return { kind: 'agreeing', targets: [home, single] };
}

function intoReference(
  statement: InsertStatement,
  table: Table,
  source: {
    readonly query: QueryExpression;
    readonly reach: Reach;
    readonly facts: StatementFacts;
    readonly listed: readonly TextEdit[];
  },
): Plan {
  const { query, reach, facts, listed } = source;
  const name = `INSERT … SELECT into the reference table '${table.name}'`;
  if (reach.single?.kind !== 'any') {
    throw notSupported(`${name} from tables that are not reference tables: ${WHAT_TO_DO}`);
  }
  const differs = facts.nonDeterministic ?? facts.oneShardOnly;
  if (differs !== undefined) throw notSupported(`${name} with ${differs}: ${WHAT_TO_DO}`);
  if (query.limit !== undefined) throw notSupported(`${name} with LIMIT: ${WHAT_TO_DO}`);
  if (table.schema?.autoIncrementColumn !== undefined || table.generated.size > 0) {
    throw notSupported(`${name} with AUTO_INCREMENT: ${WHAT_TO_DO}`);
  }
  if (statement.returning !== undefined) throw notSupported(`${name} with RETURNING`);
  const { placement } = table;
  if (placement.kind !== 'reference') throw new Error('not a reference table');
  return {
    kind: 'write',
    target: { kind: 'every', shards: placement.shards },
    edits: inOrder([...facts.edits, ...listed]),
    reference: true,
    readsClock: true,
  };
}

/** The key column must take the key of the rows that are read, which all have one value of it. */
function intoKey(
  statement: InsertStatement,
  table: Table,
  source: {
    readonly query: QueryExpression;
    readonly reach: Reach;
    readonly blocks: readonly QueryBlock[];
  },
): ShardTarget {
  const { query, reach, blocks } = source;
  const { body } = plainBody(query);
  const block = blocks.find((candidate) => body.kind === 'select' && candidate.select === body);
  const refused = notSupported(
    `INSERT … SELECT into the sharded table '${table.name}' unless the rows come from one shard key value of the same strategy and keep it: ${WHAT_TO_DO}`,
  );
  if (block?.select === undefined || reach.single === undefined) throw refused;
  const item = keyItem(statement, table, block.select.items);
  const key = item === undefined ? undefined : keyOf(item.expression, block.scope);
  const group = block.links.groups.find(
    (candidate) => key !== undefined && candidate.members.includes(key.instance),
  );
  const { placement } = table;
  const from = key?.instance.placement;
  if (group === undefined || placement.kind !== 'sharded' || from?.kind !== 'sharded')
    throw refused;
  if (key === undefined || block.links.nullable.has(key.instance)) throw refused;
  const [to] = placement.keyTypes;
  if (placement.strategy !== group.strategy || to === undefined || from.keyType === undefined) {
    throw refused;
  }
  const isPinned = ['equal', 'none'].includes(conditionOf(group).kind);
  if (!isPinned || !holdsKeysOf(to, from.keyType)) throw refused;
  return reach.certain ? reach.single : { kind: 'agreeing', targets: [reach.single] };
}

function keyItem(
  statement: InsertStatement,
  table: Table,
  items: readonly SelectItem[],
): SelectItem | undefined {
  const { placement } = table;
  if (placement.kind !== 'sharded' || items.some((item) => item.expression.kind === 'star')) {
    return undefined;
  }
  const key = placement.keyColumns[0]?.toLowerCase();
  const columns =
    statement.columns?.map((column) => column.name.toLowerCase()) ??
    (table.schema === undefined ? [] : listedColumns(table.schema)).map((name) =>
      name.toLowerCase(),
    );
  return items[columns.indexOf(key ?? '')];
}

/** Rows that a SELECT makes cannot be numbered from a sequence, nor by shards that count apart. */
function refuseUnnumbered(statement: InsertStatement, table: Table): void {
  const numbered = [...table.generated, table.schema?.autoIncrementColumn];
  const listed = statement.columns?.map((column) => column.name.toLowerCase());
  const missing = numbered.find(
    (column) => column !== undefined && listed?.includes(column.toLowerCase()) !== true,
  );
  if (missing === undefined) return;
  throw notSupported(
    `INSERT … SELECT that leaves '${missing}' of table '${table.name}' to be numbered: ${WHAT_TO_DO}`,
  );
}
