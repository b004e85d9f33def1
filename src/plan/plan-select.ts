import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { Expression, QueryExpression, SelectItem, SelectStatement } from '../sql/statement.ts';
import { plainBody } from './expression-walk.ts';
import type { Plan, ShardTarget, SinglePlan } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { type GatherRequest, planGather } from './plan-gather.ts';
import { inOrder, planScatter } from './plan-scatter.ts';
import { blocksOfQuery, type StatementBlocks } from './query-blocks.ts';
import { factsOf, type StatementFacts } from './statement-facts.ts';
import { reachOf, unreachableBy } from './statement-target.ts';

export function planSelect(statement: SelectStatement, context: PlanContext): Plan {
  const { query, body } = plainBody(statement.query);
  refuseInto(intoOf(statement.query));
  const found = blocksOfQuery(statement.query, context);
  const facts = factsOf(found.expressions, namedItems(statement.query), context);
  if (facts.setsInsertId) {
    throw notSupported('SELECT LAST_INSERT_ID(expr): use it in UPDATE or INSERT');
  }
  const select = body.kind === 'select' ? body : undefined;
  const block = found.blocks.find(
    (candidate) => select !== undefined && candidate.select === select,
  );
  const reach = reachOf(found.blocks, block, context);
  const locks = isLocking(statement.query, found);
  // Keys that may lie apart are no matter as long as the rows can be gathered.
  if (reach.single !== undefined && reach.single.kind !== 'agreeing' && reach.certain) {
    return single({ target: lockable(reach.single, locks), facts, locks });
  }
  try {
    const { scatter: target, group } = reach;
    if (
      target === undefined ||
      group === undefined ||
      block === undefined ||
      select === undefined
    ) {
      throw unreachableBy(reach);
    }
    return planScatter({ query, select, block, group, target, facts, locks, context });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return gatherOrSingle({ query, found, facts, locks, reach, context });
  }
}

function intoOf(query: QueryExpression): QueryExpression['into'] {
  return query.into ?? (query.body.kind === 'nested' ? intoOf(query.body.query) : undefined);
}

/** A file would be on some shard, written with the rights of Shardgate's own account there. */
function refuseInto(into: QueryExpression['into']): void {
  if (into?.kind === 'variables') {
    throw notSupported('SELECT … INTO @variable: read the row and SET the variable');
  }
  if (into !== undefined) throw notSupported('SELECT … INTO a file: read the rows and write it');
}

export function single({
  target,
  facts,
  locks,
}: {
  readonly target: ShardTarget;
  readonly facts: StatementFacts;
  readonly locks: boolean;
}): SinglePlan {
  return { kind: 'single', target, edits: inOrder(facts.edits), writes: false, locks };
}

/**
 * What cannot be gathered either can still run where its one key is, if the literal turns out to be a
 * plain value of the key; routing refuses it otherwise.
 */
function gatherOrSingle(request: GatherRequest): Plan {
  const { reach, facts, locks } = request;
  try {
    return planGather(request);
  } catch (error) {
    if (!isRefusal(error) || reach.single === undefined) throw error;
    return single({ target: { kind: 'agreeing', targets: [reach.single] }, facts, locks });
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof ProxyError && error.code === 'ER_NOT_SUPPORTED_YET';
}

/** Locks on a reference table are taken where every session takes them: on its first shard. */
function lockable(target: ShardTarget, locks: boolean): ShardTarget {
  const [first] = target.kind === 'any' ? target.shards : [];
  return locks && first !== undefined ? { kind: 'fixed', shard: first } : target;
}

function isLocking(query: QueryExpression, found: StatementBlocks): boolean {
  if (query.into !== undefined || hasLocks(query)) return true;
  return found.expressions.some(
    (expression: Expression) => expression.kind === 'subquery' && hasLocks(expression.query),
  );
}

function hasLocks(query: QueryExpression): boolean {
  if (query.locking.length > 0) return true;
  return query.body.kind === 'nested' && hasLocks(query.body.query);
}

/** The select list that names the result's columns: that of the first SELECT. */
export function namedItems(query: QueryExpression): readonly SelectItem[] {
  let body = query.body;
  for (;;) {
    if (body.kind === 'set-operation') body = body.left;
    else if (body.kind === 'nested') body = body.query.body;
    else return body.kind === 'select' ? body.items : [];
  }
}
