import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { ExplainStatement, OtherStatement, Statement } from '../sql/statement.ts';
import { shardsOfTable, type Table } from '../topology/topology.ts';
import type { Plan } from './plan.ts';
import type { PlanContext } from './plan-context.ts';
import { inOrder } from './plan-scatter.ts';
import { blocksOfExpressions } from './query-blocks.ts';
import { factsOf } from './statement-facts.ts';
import { reachOf, unreachableBy } from './statement-target.ts';

type PlanOf = (statement: Statement, context: PlanContext) => Plan;

/** EXPLAIN and ANALYZE of a statement are a shard's business; EXPLAIN ROUTE is ours. */
export function planExplain(
  statement: ExplainStatement,
  context: PlanContext,
  planOf: PlanOf,
): Plan {
  const plan = planOf(statement.statement, context);
  if (statement.route) {
    const { start } = context.point(statement.statementStart);
    return { kind: 'local', statement, explained: { plan, start } };
  }
  if (plan.kind === 'single') return { ...plan, writes: plan.writes && statement.analyze };
  const isOneKey =
    plan.kind === 'scatter' &&
    plan.target.kind === 'by-key' &&
    plan.target.condition.kind === 'equal';
  if (isOneKey) {
    const target = { kind: 'agreeing', targets: [plan.target] } as const;
    return { kind: 'single', target, edits: plan.singleEdits, writes: false, locks: false };
  }
  throw notSupported(
    'EXPLAIN of a statement that goes to several shards: use EXPLAIN ROUTE, or give the shard key a value',
  );
}

/** Statements that are known by their verb only. */
export function planOther(statement: OtherStatement, context: PlanContext): Plan {
  switch (statement.verb) {
    case 'KILL':
    case 'COMMIT IN DOUBT':
    case 'ROLLBACK IN DOUBT':
      return { kind: 'local', statement };
    case 'HELP':
      return {
        kind: 'single',
        target: { kind: 'any', shards: context.currentShards() },
        edits: [],
        writes: false,
        locks: false,
      };
    case 'DO':
      return planDo(statement, context);
    case 'CALL':
      return planCall(statement, context);
    case 'CHECKSUM TABLES':
      return planChecksum(statement, context);
    case 'XA':
      throw new ProxyError(
        'ER_XAER_RMFAIL',
        'XAER_RMFAIL: XA transactions are what Shardgate itself commits with; use BEGIN and COMMIT, ' +
          'which are atomic over all shards',
      );
    default:
      throw notSupported(`${statement.verb}: ${adviceFor(statement.verb)}`);
  }
}

function adviceFor(verb: string): string {
  switch (verb) {
    case 'LOAD DATA':
    case 'LOAD XML':
      return 'use INSERT with many rows';
    case 'LOCK TABLES':
    case 'UNLOCK TABLES':
      return 'sessions share connections; use transactions and SELECT … FOR UPDATE';
    case 'GRANT':
    case 'REVOKE':
      return 'users are named in shards.yaml';
    default:
      return 'connect to the shard itself';
  }
}

function planDo(statement: OtherStatement, context: PlanContext): Plan {
  const found = blocksOfExpressions(statement.expressions, context);
  const facts = factsOf(found.expressions, [], context);
  const reach = reachOf(found.blocks, undefined, context);
  if (reach.single === undefined) throw unreachableBy(reach);
  if (facts.setsInsertId) throw notSupported('DO LAST_INSERT_ID(expr)');
  const target = reach.certain
    ? reach.single
    : ({ kind: 'agreeing', targets: [reach.single] } as const);
  return { kind: 'single', target, edits: inOrder(facts.edits), writes: true, locks: true };
}

/** A procedure may do anything to any table: only where all of them are on one shard. */
function planCall(statement: OtherStatement, context: PlanContext): Plan {
  const [procedure] = statement.tables;
  const database = context.database(procedure?.database);
  if (database.shards.length > 1) {
    throw notSupported(`stored procedures in '${database.name}', a database on several shards`);
  }
  const found = blocksOfExpressions(statement.expressions, context);
  const facts = factsOf(found.expressions, [], context);
  return {
    kind: 'single',
    target: { kind: 'fixed', shard: database.defaultShard },
    edits: inOrder(facts.edits),
    writes: true,
    locks: true,
  };
}

function planChecksum(statement: OtherStatement, context: PlanContext): Plan {
  const tables: readonly Table[] = statement.tables.map((name) => context.table(name));
  const shards = new Set(tables.flatMap((table) => shardsOfTable(table)));
  const [only] = shards;
  if (shards.size !== 1 || only === undefined) {
    throw notSupported('CHECKSUM TABLE of tables on several shards');
  }
  return {
    kind: 'single',
    target: { kind: 'fixed', shard: only },
    edits: [],
    writes: false,
    locks: false,
  };
}
