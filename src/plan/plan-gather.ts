import { notSupported } from '../errors/proxy-error.ts';
import type { Expression, QueryExpression } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import { AGGREGATES, isRowWise, NON_DETERMINISTIC, ONE_SERVER_ONLY } from './function-names.ts';
import { usedColumns } from './gather-columns.ts';
import { gatherInput, type InputFacts } from './gather-input.ts';
import { gatheredNames } from './gather-names.ts';
import type { GatherInput, GatherPlan, ShardTarget } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { inOrder } from './plan-scatter.ts';
import type { QueryBlock, StatementBlocks } from './query-blocks.ts';
import type { TableInstance } from './scope.ts';
import { type StatementFacts, sessionValueOf } from './statement-facts.ts';
import type { Reach } from './statement-target.ts';

/** Beside the functions of a row: one server computes them all. */
const BUILT_IN = [AGGREGATES, ONE_SERVER_ONLY, NON_DETERMINISTIC];

export interface GatherRequest {
  readonly query: QueryExpression;
  readonly found: StatementBlocks;
  readonly facts: StatementFacts;
  readonly locks: boolean;
  readonly reach: Reach;
  readonly context: PlanContext;
}

/** Plans a SELECT that no shard can answer for its own rows. Throws 1235 for the few that cannot be moved. */
export function planGather(request: GatherRequest): GatherPlan {
  const { found, facts, context } = request;
  refuseUnmovable(request);
  const finish = finishShard(found.blocks, context);
  const columnsOf = usedColumns(found);
  const inputs: GatherInput[] = [];
  for (const block of found.blocks) {
    for (const [reference, instance] of block.references) {
      const wanted: InputFacts = { reference, instance, block, finish, context };
      const input = gatherInput(wanted, columnsOf);
      if (input !== undefined) inputs.push(input);
    }
  }
  const single = singleTarget(request.reach);
  return {
    kind: 'gather',
    ...(single === undefined ? {} : { single }),
    singleEdits: inOrder(facts.edits),
    finish,
    inputs,
    edits: inOrder([...facts.edits, ...gatheredNames(found, inputs, facts, context)]),
  };
}

/** The keys may come out on one shard when the literals are known. */
function singleTarget({ single, scatter }: Reach): ShardTarget | undefined {
  if (single === undefined) return scatter;
  const targets = single.kind === 'agreeing' ? single.targets : [single];
  return { kind: 'agreeing', targets, mayDiffer: true };
}

function refuseUnmovable({ query, found, locks }: GatherRequest): void {
  if (query.opaqueTail !== undefined) throw notSupported('this clause over rows of several shards');
  if (query.into !== undefined) throw notSupported('SELECT … INTO over rows of several shards');
  if (locks) {
    throw notSupported(
      'FOR UPDATE and FOR SHARE in a SELECT whose rows are gathered from several shards: lock the rows by ' +
        'statements over one table each, then read them',
    );
  }
  if (found.blocks.some(({ select }) => select?.options.includes('SQL_CALC_FOUND_ROWS'))) {
    throw notSupported('SQL_CALC_FOUND_ROWS: run the query once more with COUNT(*)');
  }
  for (const expression of found.expressions) refuseExpression(expression);
}

function refuseExpression(expression: Expression): void {
  if (expression.kind === 'match') {
    throw notSupported(
      'MATCH … AGAINST in a SELECT whose rows are gathered from several shards: search one table in a ' +
        'statement of its own',
    );
  }
  if (expression.kind !== 'call') return;
  if (sessionValueOf(expression) !== undefined) return;
  const { name, schema, over } = expression;
  if (name === 'DEFAULT') {
    throw notSupported('DEFAULT(column) over rows of several shards: write the value');
  }
  if (over !== undefined) return;
  if (schema === undefined && (BUILT_IN.some((names) => names.has(name)) || isRowWise(name)))
    return;
  throw notSupported(
    `the function ${name}, which may be a stored one that reads tables, over rows of several shards`,
  );
}

/**
 * The server that runs the statement: where tables are that only it has, else where the first table's
 * database has its default. It has to know the current database.
 */
function finishShard(blocks: readonly QueryBlock[], context: PlanContext): ShardId {
  const reachable = context.currentShards();
  const stored = blocks
    .flatMap((block) => [...block.references.values()])
    .filter((instance) => instance.table !== undefined);
  const homes = [...stored]
    // What is not in the snapshot cannot be moved: the server will say that it does not exist.
    .sort((a, b) => Number(hasSchema(a)) - Number(hasSchema(b)))
    .flatMap(({ placement }) => (placement.kind === 'unsharded' ? [placement.shard] : []));
  const databases = stored.flatMap(({ table }) =>
    table === undefined || context.isSystemSchema(table.database)
      ? []
      : [context.database(table.database)],
  );
  const defaults = databases.map((database) => database.defaultShard);
  const holdsAll = (shard: ShardId): boolean =>
    databases.every((database) => database.shards.includes(shard));
  const wanted = [...homes, ...defaults, ...reachable].filter((shard) => reachable.includes(shard));
  const finish = wanted.find(holdsAll) ?? wanted[0];
  if (finish === undefined) throw new Error('a database without shards');
  return finish;
}

function hasSchema(instance: TableInstance): boolean {
  return instance.table?.schema !== undefined;
}
