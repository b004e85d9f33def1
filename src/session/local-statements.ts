import { notSupported } from '../errors/proxy-error.ts';
import type { BoundStatement } from '../execute/execution.ts';
import type { LocalPlan } from '../plan/plan.ts';
import { unquoteString } from '../sql/literal-value.ts';
import { parseStatement } from '../sql/parse-statement.ts';
import type { OtherStatement } from '../sql/statement.ts';
import type { LocalRows } from './local-rows.ts';
import { useInOpenBranches } from './open-branches.ts';
import { requireDatabase, type SessionContext } from './session-context.ts';
import type { Snapshot } from './session-services.ts';
import type { Warning } from './session-state.ts';
import { runSet } from './set-statement.ts';
import { killSession, showRows } from './show-statements.ts';

/** What the statement asks of the connection beside its answer. */
export interface LocalOutcome {
  /** COMMIT RELEASE: disconnect once the answer is out. */
  readonly release: boolean;
  /** Rows of the answer; undefined for an OK. */
  readonly rows: number | undefined;
}

const OK: LocalOutcome = { release: false, rows: undefined };

/**
 * Statements that the session carries out itself. The plan may come from the cache, made for other
 * literals: values are read from the text at hand.
 */
export async function runLocal(
  plan: LocalPlan,
  bound: BoundStatement,
  snapshot: Snapshot,
  context: SessionContext,
): Promise<LocalOutcome> {
  const { writer, services, transactions } = context;
  if (plan.explained !== undefined) {
    const needs = { ...snapshot, lookups: services.lookups };
    return answered(await services.explainRoute(plan.explained, bound, needs), context);
  }
  const statement = parseStatement(bound.text, bound.lexical);
  switch (statement.kind) {
    case 'set':
    case 'set-names':
    case 'set-transaction':
      return answerSet(await runSet(statement, bound.text, context), context);
    case 'begin':
    case 'commit':
    case 'rollback':
    case 'savepoint':
    case 'rollback-to':
    case 'release-savepoint': {
      const { release } = await transactions.run(statement);
      writer.plainOk();
      return { ...OK, release };
    }
    case 'use':
      await useDatabase(statement.database, snapshot, context);
      break;
    case 'show':
      return answered(await showRows(statement, bound.text, context), context);
    case 'other':
      await runOther(statement, bound.text, context);
      break;
    default:
      throw notSupported('this statement');
  }
  writer.plainOk();
  return OK;
}

function answerSet(warnings: readonly Warning[], { writer, data }: SessionContext): LocalOutcome {
  data.warnings = warnings;
  writer.ok({ affectedRows: 0, lastInsertId: 0, warningCount: warnings.length, info: '' });
  return OK;
}

function answered(rows: LocalRows, { writer }: SessionContext): LocalOutcome {
  writer.localRows(rows);
  return { release: false, rows: rows.rows.length };
}

export async function useDatabase(
  database: string,
  snapshot: Pick<Snapshot, 'topology'>,
  context: SessionContext,
): Promise<void> {
  requireDatabase(snapshot.topology, database);
  await useInOpenBranches(database, context);
  context.data.setDatabase(database);
}

async function runOther(
  statement: OtherStatement,
  text: Buffer,
  context: SessionContext,
): Promise<void> {
  switch (statement.verb) {
    case 'KILL': {
      const [target] = statement.expressions;
      const id = target === undefined ? '' : textOf(target.span, text);
      if (!/^\d+$/.test(id)) throw notSupported('KILL with anything but a connection id');
      const words = text.toString('latin1', statement.span.start, target?.span.start);
      killSession(context, { id: Number(id), queryOnly: /\bquery\b/i.test(words) });
      return;
    }
    case 'UNLOCK TABLES':
      // LOCK TABLES is refused, so there is never anything to unlock.
      return;
    case 'COMMIT IN DOUBT':
    case 'ROLLBACK IN DOUBT':
      await endInDoubt(statement, text, context);
      return;
    default:
      throw notSupported(statement.verb);
  }
}

/** The id as SHOW TRANSACTIONS IN DOUBT prints it. */
async function endInDoubt(
  { verb, expressions: [id] }: OtherStatement,
  text: Buffer,
  { account, data, services }: SessionContext,
): Promise<void> {
  if (id === undefined) throw notSupported(`${verb} without an id`);
  if (account.readOnly) throw notSupported(`${verb} by a user that is read_only in shards.yaml`);
  const name = unquoteString(text, id.span, data.lexical).toString();
  await services.endInDoubt(name, verb === 'COMMIT IN DOUBT' ? 'commit' : 'abort');
}

function textOf(span: { readonly start: number; readonly end: number }, text: Buffer): string {
  return text.toString('latin1', span.start, span.end);
}
