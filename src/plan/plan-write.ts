import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { DeleteStatement, Expression, UpdateStatement } from '../sql/statement.ts';
import type { Plan, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { refuseKeyChange } from './plan-insert.ts';
import { inOrder } from './plan-scatter.ts';
import { blocksOfWrite, type WriteBlocks } from './query-blocks.ts';
import { resolveColumn, type TableInstance } from './scope.ts';
import { factsOf, type StatementFacts } from './statement-facts.ts';
import { reachOf, unreachableBy } from './statement-target.ts';

interface Write {
  readonly statement: UpdateStatement | DeleteStatement;
  readonly found: WriteBlocks;
  readonly facts: StatementFacts;
  /** The tables whose rows change. */
  readonly changed: readonly TableInstance[];
  readonly context: PlanContext;
}

export function planUpdate(statement: UpdateStatement, context: PlanContext): Plan {
  const values = statement.assignments.map((assignment) => assignment.value);
  const found = blocksOf(statement, values, context);
  const changed = new Set<TableInstance>();
  for (const assignment of statement.assignments) {
    const instance = ownerOf(assignment.column, found);
    if (instance.table !== undefined) refuseKeyChange(instance.table, [assignment]);
    changed.add(instance);
  }
  const facts = factsOf(found.expressions, [], context);
  return planWrite({ statement, found, facts, changed: [...changed], context });
}

export function planDelete(statement: DeleteStatement, context: PlanContext): Plan {
  const returned = (statement.returning ?? []).map((item) => item.expression);
  const found = blocksOf(statement, returned, context);
  const { instances } = found.main.scope;
  const changed =
    statement.targets.length === 0
      ? instances
      : statement.targets.map((target) => deleted(target.name, instances));
  const facts = factsOf(found.expressions, statement.returning ?? [], context);
  return planWrite({ statement, found, facts, changed, context });
}

function deleted(name: string, instances: readonly TableInstance[]): TableInstance {
  const instance =
    instances.find(({ alias }) => alias === name) ??
    instances.find(({ table }) => table?.name === name);
  if (instance !== undefined) return instance;
  throw new ProxyError('ER_NO_SUCH_TABLE', `Unknown table '${name}' in MULTI DELETE`);
}

function blocksOf(
  statement: UpdateStatement | DeleteStatement,
  values: readonly Expression[],
  context: PlanContext,
): WriteBlocks {
  const { orderBy, limit, where } = statement;
  return blocksOfWrite(
    {
      ...(statement.with === undefined ? {} : { with: statement.with }),
      tables: statement.tables,
      ...(where === undefined ? {} : { where }),
      expressions: [
        ...values,
        ...(orderBy ?? []).map((item) => item.expression),
        ...(limit === undefined ? [] : [limit.count]),
      ],
    },
    context,
  );
}

function ownerOf(
  column: UpdateStatement['assignments'][number]['column'],
  found: WriteBlocks,
): TableInstance {
  const { scope } = found.main;
  const [only] = scope.instances;
  if (scope.instances.length === 1 && only !== undefined) return only;
  const owner = resolveColumn(column, scope);
  if (owner !== undefined) return owner.instance;
  throw notSupported(`UPDATE of the column '${column.name}', whose table is not clear: qualify it`);
}

function planWrite(write: Write): Plan {
  const { found, facts, changed, context } = write;
  if (changed.some(({ table }) => table !== undefined && context.isSystemSchema(table.database))) {
    throw notSupported('changing system tables: connect to the shard itself');
  }
  const reach = reachOf(found.blocks, found.main, context);
  if (changed.some((instance) => instance.placement.kind === 'reference')) {
    return everywhere(write, reach.single);
  }
  if (reach.single !== undefined && reach.certain) return onOne(reach.single, facts);
  const problem = rowWiseProblem(write);
  if (reach.scatter !== undefined && problem === undefined) {
    return {
      kind: 'write',
      target: reach.scatter,
      edits: inOrder(facts.edits),
      reference: false,
      readsClock: true,
    };
  }
  if (reach.single !== undefined) {
    return onOne({ kind: 'agreeing', targets: [reach.single] }, facts);
  }
  throw problem === undefined || reach.scatter === undefined ? unreachableBy(reach) : problem;
}

function onOne(target: ShardTarget, facts: StatementFacts): Plan {
  return { kind: 'single', target, edits: inOrder(facts.edits), writes: true, locks: false };
}

/** Why it would be wrong to run the statement on each shard for its own rows. */
function rowWiseProblem({ statement, facts, changed, found }: Write): Error | undefined {
  const verb = statement.kind.toUpperCase();
  const refused = (what: string): Error =>
    notSupported(`${verb} ${what} over rows of several shards: give the shard key a value`);
  if (statement.limit !== undefined) return refused('with LIMIT');
  if (statement.kind === 'delete' && statement.returning !== undefined) {
    return refused('with RETURNING');
  }
  if (facts.oneShardOnly !== undefined) return refused(`with ${facts.oneShardOnly}`);
  const [group] = found.main.links.groups;
  const isShardLocal = changed.every((instance) => group?.members.includes(instance) === true);
  return isShardLocal ? undefined : refused('of these tables');
}

/** A reference table is written on each of its shards, from nothing that differs between them. */
function everywhere(write: Write, single: ShardTarget | undefined): Plan {
  const { statement, facts, changed } = write;
  const refused = (what: string): Error => notSupported(`changing a reference table ${what}`);
  if (changed.some((instance) => instance.placement.kind !== 'reference')) {
    throw refused('together with other tables: use two statements');
  }
  if (single?.kind !== 'any') {
    throw refused('by rows of tables that are not reference tables: read the rows first');
  }
  const differs = facts.nonDeterministic ?? facts.oneShardOnly;
  if (differs !== undefined) {
    throw refused(`with ${differs}: each shard would store another value`);
  }
  if (statement.limit !== undefined) {
    throw refused('with LIMIT: each shard might choose other rows');
  }
  if (statement.kind === 'delete' && statement.returning !== undefined) {
    throw refused('with RETURNING');
  }
  return {
    kind: 'write',
    target: { kind: 'every', shards: single.shards },
    edits: inOrder(facts.edits),
    reference: true,
    readsClock: true,
  };
}
