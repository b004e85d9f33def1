import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { Plan } from '../plan/plan.ts';
import type { Statement } from '../sql/statement.ts';
import type { Account } from './accounts.ts';

/** What plans well but what the session could not answer for afterwards. */
export function checkPlanned(statement: Statement): void {
  if (statement.kind !== 'select' || statement.query.body.kind !== 'select') return;
  if (statement.query.body.options.includes('SQL_CALC_FOUND_ROWS')) {
    throw notSupported('SQL_CALC_FOUND_ROWS: run the query once more with COUNT(*)');
  }
}

/** Users with `read_only` in shards.yaml. */
export function checkWrites(plan: Plan, account: Account): void {
  if (!account.readOnly) return;
  const writes =
    plan.kind === 'write' ||
    plan.kind === 'insert' ||
    plan.kind === 'ddl' ||
    (plan.kind === 'single' && plan.writes);
  if (!writes) return;
  throw new ProxyError(
    'ER_OPTION_PREVENTS_STATEMENT',
    `The user '${account.user}' is read_only in shards.yaml, so it cannot execute this statement`,
  );
}
