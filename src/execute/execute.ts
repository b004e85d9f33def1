import type { Plan } from '../plan/plan.ts';
import { unreachable } from '../runtime/assert.ts';
import { executeDdl } from './ddl.ts';
import type { BoundStatement, ExecutionContext, StatementOutcome } from './execution.ts';
import { executeGather } from './gather.ts';
import { executeWrite } from './multi-write.ts';
import { type RoutedStatement, routeStatement } from './routed-statement.ts';
import { executeScatter } from './scatter.ts';
import { abortError } from './shard-command.ts';
import { executeSingle } from './single.ts';

/**
 * Carries a plan out and answers the client, except for errors: those are thrown, also after
 * `reply.started`, for the session to tell. A shard's ERR to a single statement was relayed and is
 * in the outcome. Leases are given back, clean or closed, whatever happens.
 *
 * A caller in autocommit that may be given a write on several shards calls `routeStatement` itself,
 * opens a transaction when `writesSeveralShards` says so, and then `executeRouted`.
 */
export async function execute(
  plan: Plan,
  bound: BoundStatement,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  return executeRouted(await routeStatement(plan, bound, context), context);
}

export async function executeRouted(
  routed: RoutedStatement,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  try {
    return await dispatch(routed, context);
  } catch (error) {
    // Whatever broke because of it, the reason is that the statement was ended.
    throw context.signal.aborted ? abortError(context.signal) : error;
  }
}

function dispatch(routed: RoutedStatement, context: ExecutionContext): Promise<StatementOutcome> {
  switch (routed.kind) {
    case 'single':
      return executeSingle(routed, context);
    case 'scatter':
      return executeScatter(routed, context);
    case 'gather':
      return executeGather(routed, context);
    case 'write':
      return executeWrite(routed, context);
    case 'ddl':
      return executeDdl(routed, context);
    default:
      return unreachable(routed);
  }
}
