import { parseTableName } from './parse-table-reference.ts';
import { words } from './reserved-words.ts';
import type { Expression, OtherStatement, TableName } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

/** Verbs of one or two words, longest first. */
const VERBS: readonly string[] = [
  'ALTER USER',
  'BEGIN NOT',
  'BINLOG',
  'CACHE INDEX',
  'CALL',
  'CHANGE MASTER',
  'CHANGE REPLICATION',
  'CHECKSUM TABLE',
  'CHECKSUM TABLES',
  'CLONE',
  'DEALLOCATE PREPARE',
  'DO',
  'DROP PREPARE',
  'EXECUTE IMMEDIATE',
  'EXECUTE',
  'FLUSH',
  'GET DIAGNOSTICS',
  'GRANT',
  'HANDLER',
  'HELP',
  'IMPORT TABLE',
  'INSTALL',
  'KILL',
  'LOAD DATA',
  'LOAD XML',
  'LOAD INDEX',
  'LOCK TABLES',
  'LOCK TABLE',
  'LOCK INSTANCE',
  'PREPARE',
  'PURGE',
  'RESET',
  'RESIGNAL',
  'RESTART',
  'REVOKE',
  'SET',
  'SHUTDOWN',
  'SIGNAL',
  'START',
  'STOP',
  'UNINSTALL',
  'UNLOCK TABLES',
  'UNLOCK TABLE',
  'UNLOCK INSTANCE',
  'XA',
  'BACKUP',
];

const LOCK_KINDS = words('READ WRITE LOW_PRIORITY');

interface OtherParts {
  readonly tables?: readonly TableName[];
  readonly expressions?: readonly Expression[];
}

/** Statements that are known by their verb; what else is in them stays text. */
export function parseOther(cursor: TokenCursor): OtherStatement {
  const { start } = cursor;
  const verb = VERBS.find((candidate) => cursor.isSequence(...candidate.split(' ')));
  if (verb === undefined) return cursor.fail('a statement');
  cursor.acceptSequence(...verb.split(' '));
  const parts = otherParts(cursor, verb);
  const program = verb === 'BEGIN NOT';
  while (!cursor.atEnd() && (program || !cursor.is(';'))) {
    if (cursor.kind === TokenKind.error) cursor.fail('the end');
    cursor.advance();
  }
  return {
    kind: 'other',
    verb: normalVerb(verb),
    tables: parts.tables ?? [],
    expressions: parts.expressions ?? [],
    span: cursor.spanFrom(start),
  };
}

function normalVerb(verb: string): string {
  return verb.replace(/^(LOCK|UNLOCK|CHECKSUM) TABLE$/, '$1 TABLES');
}

function otherParts(cursor: TokenCursor, verb: string): OtherParts {
  switch (verb) {
    case 'DO':
      return { expressions: cursor.list(() => doExpression(cursor)) };
    case 'CALL':
      return callParts(cursor);
    case 'LOCK TABLES':
    case 'LOCK TABLE':
      return { tables: cursor.list(() => lockedTable(cursor)) };
    case 'CHECKSUM TABLES':
    case 'CHECKSUM TABLE':
      return { tables: cursor.list(() => parseTableName(cursor)) };
    case 'HANDLER':
      return { tables: [parseTableName(cursor)] };
    case 'LOAD DATA':
    case 'LOAD XML':
      cursor.skipUntil(words('TABLE'));
      cursor.expect('TABLE');
      return { tables: [parseTableName(cursor)] };
    case 'KILL':
      return killParts(cursor);
    default:
      return {};
  }
}

function doExpression(cursor: TokenCursor): Expression {
  const value = cursor.expression();
  if (cursor.accept('AS')) cursor.anyName();
  return value;
}

/** CALL p, CALL p(…), CALL db.p(…). */
function callParts(cursor: TokenCursor): OtherParts {
  const procedure = parseTableName(cursor);
  if (cursor.accept('.')) cursor.anyName();
  if (!cursor.accept('(')) return { tables: [procedure] };
  const expressions = cursor.is(')') ? [] : cursor.expressionList();
  cursor.expect(')');
  return { tables: [procedure], expressions };
}

function lockedTable(cursor: TokenCursor): TableName {
  const table = parseTableName(cursor);
  let alias: string | undefined;
  if (cursor.accept('AS') || (cursor.isIdentifier() && !LOCK_KINDS.has(cursor.word))) {
    alias = cursor.identifier('an alias');
  }
  cursor.accept('LOW_PRIORITY');
  if (!cursor.accept('WRITE')) {
    cursor.expect('READ');
    cursor.accept('LOCAL');
  }
  const span = cursor.spanFrom(table.span.start);
  return alias === undefined ? { ...table, span } : { ...table, alias, span };
}

function killParts(cursor: TokenCursor): OtherParts {
  if (cursor.mariadb && !cursor.accept('HARD')) cursor.accept('SOFT');
  if (!cursor.accept('CONNECTION')) cursor.accept('QUERY');
  if (cursor.is('USER') || cursor.is('ID')) return {};
  return { expressions: [cursor.expression()] };
}
