import { notSupported } from '../errors/proxy-error.ts';
import type {
  CallExpression,
  Expression,
  SelectItem,
  VariableExpression,
} from '../sql/statement.ts';
import { someExpression } from './expression-walk.ts';
import {
  AGGREGATES,
  CLOCK,
  isRowWise,
  NON_DETERMINISTIC,
  ONE_CONNECTION,
  ONE_SERVER_ONLY,
} from './function-names.ts';
import type { SessionValue, TextEdit } from './plan.ts';
import type { PlanContext } from './plan-context.ts';

/** What functions and variables in a statement mean for where it can run. */
export interface StatementFacts {
  /** Session functions replaced by the session's values. */
  readonly edits: readonly TextEdit[];
  readonly readsClock: boolean;
  /** A function whose value differs each time it is computed. */
  readonly nonDeterministic: string | undefined;
  /** What makes it wrong to run the statement on several shards at once. */
  readonly oneShardOnly: string | undefined;
  /** LAST_INSERT_ID(expr): sets the session's value. */
  readonly setsInsertId: boolean;
}

/** Functions of the session without arguments. */
const SESSION_FUNCTIONS: ReadonlyMap<string, SessionValue> = new Map([
  ['LAST_INSERT_ID', 'last_insert_id'],
  ['ROW_COUNT', 'row_count'],
  ['FOUND_ROWS', 'found_rows'],
  ['CONNECTION_ID', 'connection_id'],
  ['USER', 'user'],
  ['SESSION_USER', 'user'],
  ['SYSTEM_USER', 'user'],
  ['CURRENT_USER', 'current_user'],
]);

/** Variables that a pooled connection has from whoever used it before. */
const SESSION_VARIABLES: ReadonlyMap<string, SessionValue> = new Map([
  ['identity', 'last_insert_id'],
  ['last_insert_id', 'last_insert_id'],
  ['warning_count', 'warning_count'],
  ['error_count', 'error_count'],
  ['pseudo_thread_id', 'connection_id'],
]);

/** Throws 1235 for what no pooled connection can do: locks, assignments of user variables. */
export function factsOf(
  expressions: readonly Expression[],
  items: readonly SelectItem[],
  context: PlanContext,
): StatementFacts {
  const edits: TextEdit[] = [];
  const names = new Set<string>();
  let oneShardOnly: string | undefined;
  let setsInsertId = false;
  for (const expression of expressions) {
    if (expression.kind === 'assign') {
      throw notSupported('assigning user variables in expressions: use SET');
    }
    if (expression.kind === 'opaque') oneShardOnly ??= 'this syntax';
    if (expression.kind === 'variable' && expression.scope === 'user') {
      context.readsUserVariable(expression.name);
    }
    const value = sessionValueOf(expression);
    if (value !== undefined) {
      edits.push(sessionEdit(expression, value, { items, context }));
    } else if (expression.kind === 'call') {
      refuseOneConnection(expression);
      names.add(expression.name);
      setsInsertId ||= expression.name === 'LAST_INSERT_ID';
      oneShardOnly ??= oneShardReason(expression);
    }
  }
  return {
    edits: [...edits, ...itemAliases(items, context)],
    readsClock: [...names].some((name) => CLOCK.has(name)),
    nonDeterministic: [...names].find((name) => NON_DETERMINISTIC.has(name)),
    oneShardOnly,
    setsInsertId,
  };
}

export function sessionValueOf(expression: Expression): SessionValue | undefined {
  if (expression.kind === 'variable') return sessionVariable(expression);
  if (expression.kind !== 'call' || expression.arguments.length > 0) return undefined;
  if (expression.schema !== undefined) return undefined;
  return SESSION_FUNCTIONS.get(expression.name);
}

function sessionVariable(variable: VariableExpression): SessionValue | undefined {
  const isSession = ['unscoped', 'session', 'local'].includes(variable.scope);
  return isSession ? SESSION_VARIABLES.get(variable.name.toLowerCase()) : undefined;
}

function refuseOneConnection(call: CallExpression): void {
  if (call.name === 'LOAD_FILE') {
    // It would read the shard's files with the rights of Shardgate's own account.
    throw notSupported('LOAD_FILE(): read the file and send its bytes');
  }
  if (!ONE_CONNECTION.has(call.name)) return;
  throw notSupported(
    `${call.name}(): it belongs to one server connection, and sessions share connections`,
  );
}

function oneShardReason(call: CallExpression): string | undefined {
  const { name } = call;
  if (ONE_SERVER_ONLY.has(name)) return `${name}()`;
  if (name === 'LAST_INSERT_ID') return 'LAST_INSERT_ID(expr)';
  if (name === 'RAND' && call.arguments.length > 0) return 'RAND() with a seed';
  if (call.over !== undefined || AGGREGATES.has(name)) return undefined;
  if (call.schema === undefined && isRowWise(name)) return undefined;
  return `the function ${name}, which may be a stored one,`;
}

/** A bare select item keeps the name that the server would have given it. */
function sessionEdit(
  expression: Expression,
  value: SessionValue,
  { items, context }: { readonly items: readonly SelectItem[]; readonly context: PlanContext },
): TextEdit {
  const item = items.find((candidate) => candidate.expression === expression);
  const span = context.place(expression.span);
  return item === undefined || item.alias !== undefined
    ? { kind: 'session-value', span, value }
    : { kind: 'session-value', span, value, alias: context.source(expression.span) };
}

/** Items that hold a session function somewhere inside are named by their source text, too. */
function itemAliases(items: readonly SelectItem[], context: PlanContext): readonly TextEdit[] {
  return items.flatMap(({ alias, expression }): readonly TextEdit[] => {
    if (alias !== undefined || sessionValueOf(expression) !== undefined) return [];
    if (!someExpression(expression, (part) => sessionValueOf(part) !== undefined)) return [];
    const name = context.source(expression.span);
    if (name.includes('`')) {
      throw notSupported('this expression without an alias: name the column with AS');
    }
    const parts = [' AS `', context.place(expression.span), '`'];
    return [{ kind: 'compose', span: context.point(expression.span.end), parts }];
  });
}
