import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import { unquoteString } from '../sql/literal-value.ts';
import type { Literal, ShowStatement } from '../sql/statement.ts';
import { likePattern } from './like-pattern.ts';
import { integerColumn, type LocalRows, textColumn } from './local-rows.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionInfo } from './session-registry.ts';
import type { ShowQuestion } from './session-services.ts';
import type { Warning } from './session-state.ts';

/** SHOW statements that this proxy answers: what the session knows, and what Shardgate itself is. */
export async function showRows(
  statement: ShowStatement,
  text: Buffer,
  context: SessionContext,
): Promise<LocalRows> {
  if (statement.where !== undefined) {
    throw notSupported(`SHOW ${statement.what} … WHERE: use LIKE`);
  }
  const { data, services } = context;
  switch (statement.what) {
    case 'WARNINGS':
      return warningRows(limited(data.warnings, text), data.lexical.flavour);
    case 'ERRORS':
      return warningRows(limited(data.warnings.filter(isError), text), data.lexical.flavour);
    case 'COUNT WARNINGS':
      return countRows('@@session.warning_count', data.warnings.length);
    case 'COUNT ERRORS':
      return countRows('@@session.error_count', data.warnings.filter(isError).length);
    case 'DATABASES':
    case 'SCHEMAS':
      return databaseRows(statement, text, context);
    case 'PROCESSLIST':
      return processRows(ownSessions(context), statement.modifiers.includes('FULL'));
    case 'SESSIONS':
      return sessionRows(ownSessions(context));
    default: {
      const question = { what: statement.what, ...namedTable(statement, data.database) };
      const rows = await services.showCommands.show(question, services.current().topology);
      if (rows === undefined) throw notSupported(`SHOW ${statement.what}`);
      return rows;
    }
  }
}

/** SHOW SHARD MAP FOR t, in the session's database when none is named. */
function namedTable(
  { table }: ShowStatement,
  current: string | undefined,
): Pick<ShowQuestion, 'table'> {
  if (table === undefined) return {};
  const database = table.database ?? current;
  if (database === undefined) throw new ProxyError('ER_NO_DB_ERROR', 'No database selected');
  return { table: { database, name: table.name } };
}

function isError(warning: Warning): boolean {
  return warning.level === 'Error';
}

/** The parser leaves the LIMIT of SHOW WARNINGS as text. */
function limited(warnings: readonly Warning[], text: Buffer): readonly Warning[] {
  const limit = /\blimit\s+(\d+)(?:\s*(,|offset)\s*(\d+))?/i.exec(text.toString('latin1'));
  if (limit === null) return warnings;
  const [, first, separator, second] = limit;
  if (second === undefined) return warnings.slice(0, Number(first));
  const [offset, count] =
    separator === ',' ? [Number(first), Number(second)] : [Number(second), Number(first)];
  return warnings.slice(offset, offset + count);
}

function warningRows(warnings: readonly Warning[], flavour: 'mysql' | 'mariadb'): LocalRows {
  const decimals = flavour === 'mariadb' ? 39 : 31;
  return {
    columns: [
      { type: 'text', name: 'Level', charactersMax: 7, decimals },
      integerColumn('Code', 32),
      { type: 'text', name: 'Message', charactersMax: 512, decimals },
    ],
    rows: warnings.map(({ level, code, message }) => [level, String(code), message]),
  };
}

function countRows(name: string, count: number): LocalRows {
  return { columns: [integerColumn(name)], rows: [[String(count)]] };
}

function databaseRows(statement: ShowStatement, text: Buffer, context: SessionContext): LocalRows {
  const configured = [...context.services.current().topology.databases.keys()];
  const names = ['information_schema', ...configured].sort((a, b) => (a < b ? -1 : 1));
  if (statement.like === undefined) {
    return { columns: [textColumn('Database', 64)], rows: names.map((name) => [name]) };
  }
  const pattern = patternOf(statement.like, text, context);
  const matching = names.filter((name) => likePattern(pattern).test(name));
  return {
    columns: [textColumn(`Database (${pattern})`, 64)],
    rows: matching.map((name) => [name]),
  };
}

function patternOf(like: Literal, text: Buffer, { data }: SessionContext): string {
  if (like.type !== 'string' || like.slotCount !== 1) throw notSupported('this LIKE pattern');
  return unquoteString(text, like.span, data.lexical).toString();
}

/** As a server does for accounts without the PROCESS privilege. */
function ownSessions({ services, account }: SessionContext): readonly SessionInfo[] {
  return services.registry.list().filter((session) => session.user === account.user);
}

const INFO_CHARACTERS = 100;

function processRows(sessions: readonly SessionInfo[], full: boolean): LocalRows {
  return {
    columns: [
      integerColumn('Id'),
      textColumn('User', 32),
      textColumn('Host', 261),
      textColumn('db', 64),
      textColumn('Command', 16),
      integerColumn('Time'),
      textColumn('State', 64),
      textColumn('Info', full ? 65_535 : INFO_CHARACTERS),
    ],
    rows: sessions.map((session) => [
      String(session.id),
      session.user,
      session.host,
      session.database,
      session.command,
      String(session.seconds),
      session.inTransaction ? 'in transaction' : '',
      full ? session.statement : session.statement?.slice(0, INFO_CHARACTERS),
    ]),
  };
}

function sessionRows(sessions: readonly SessionInfo[]): LocalRows {
  return {
    columns: [
      integerColumn('id'),
      textColumn('user', 32),
      textColumn('host', 261),
      textColumn('database', 64),
      textColumn('command', 16),
      integerColumn('seconds'),
      textColumn('in_transaction', 3),
    ],
    rows: sessions.map((session) => [
      String(session.id),
      session.user,
      session.host,
      session.database,
      session.command,
      String(session.seconds),
      session.inTransaction ? 'yes' : 'no',
    ]),
  };
}

/** KILL [CONNECTION | QUERY] of a session of this proxy, by the id that CONNECTION_ID() shows. */
export function killSession(
  context: SessionContext,
  target: { readonly id: number; readonly queryOnly: boolean },
): void {
  const session = context.services.registry.get(target.id);
  if (session === undefined || session.info().user !== context.account.user) {
    throw new ProxyError('ER_NO_SUCH_THREAD', `Unknown thread id: ${target.id}`);
  }
  if (target.queryOnly) session.killStatement();
  else session.kill();
}
