import { parseTableName } from './parse-table-reference.ts';
import { words } from './reserved-words.ts';
import type { Expression, Literal, ShowStatement, TableName } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const MODIFIERS = words('FULL EXTENDED GLOBAL SESSION LOCAL');
const FROM = words('FROM IN');

interface ShowTail {
  table?: TableName;
  database?: string;
  like?: Literal;
  where?: Expression;
}

type TailRule = (cursor: TokenCursor) => ShowTail;

/** What may follow SHOW, by its words; the longest that fits is taken. */
const FORMS: readonly (readonly [what: string, rule: TailRule])[] = [
  ['SHARD MAP', shardMapTail],
  ['SHARDS', noTail],
  ['CONFIG VERSIONS', noTail],
  ['CONFIG', filterTail],
  ['TRANSACTIONS IN DOUBT', noTail],
  ['SESSIONS', filterTail],
  ['MOVES', filterTail],
  ['CREATE TABLE', tableTail],
  ['CREATE VIEW', tableTail],
  ['CREATE SEQUENCE', tableTail],
  ['CREATE TRIGGER', tableTail],
  ['CREATE PROCEDURE', tableTail],
  ['CREATE FUNCTION', tableTail],
  ['CREATE EVENT', tableTail],
  ['CREATE PACKAGE BODY', tableTail],
  ['CREATE PACKAGE', tableTail],
  ['CREATE DATABASE', createDatabaseTail],
  ['CREATE SCHEMA', createDatabaseTail],
  ['CREATE USER', textTail],
  ['COLUMNS', ofTableTail],
  ['FIELDS', ofTableTail],
  ['INDEX', ofTableTail],
  ['INDEXES', ofTableTail],
  ['KEYS', ofTableTail],
  ['TABLES', ofDatabaseTail],
  ['TABLE STATUS', ofDatabaseTail],
  ['OPEN TABLES', ofDatabaseTail],
  ['TRIGGERS', ofDatabaseTail],
  ['EVENTS', ofDatabaseTail],
  ['PACKAGE BODY STATUS', filterTail],
  ['PACKAGE STATUS', filterTail],
  ['DATABASES', filterTail],
  ['SCHEMAS', filterTail],
  ['VARIABLES', filterTail],
  ['STATUS', filterTail],
  ['COLLATION', filterTail],
  ['CHARACTER SET', filterTail],
  ['CHARSET', filterTail],
  ['PROCEDURE STATUS', filterTail],
  ['FUNCTION STATUS', filterTail],
  ['PROCEDURE CODE', textTail],
  ['FUNCTION CODE', textTail],
  ['WARNINGS', limitTail],
  ['ERRORS', limitTail],
  ['PROCESSLIST', noTail],
  ['ENGINES', noTail],
  ['STORAGE ENGINES', noTail],
  ['ENGINE', textTail],
  ['PLUGINS', noTail],
  ['PRIVILEGES', noTail],
  ['GRANTS', textTail],
  ['BINARY LOGS', noTail],
  ['BINARY LOG STATUS', noTail],
  ['BINLOG STATUS', noTail],
  ['BINLOG EVENTS', textTail],
  ['RELAYLOG EVENTS', textTail],
  ['MASTER LOGS', noTail],
  ['MASTER STATUS', noTail],
  ['SLAVE HOSTS', noTail],
  ['SLAVE STATUS', textTail],
  ['REPLICAS', noTail],
  ['REPLICA HOSTS', noTail],
  ['REPLICA STATUS', textTail],
  ['ALL SLAVES STATUS', noTail],
  ['ALL REPLICAS STATUS', noTail],
  ['PROFILES', noTail],
  ['PROFILE', textTail],
  ['EXPLAIN', textTail],
  ['ANALYZE', textTail],
  ['AUTHORS', noTail],
  ['CONTRIBUTORS', noTail],
  ['PARSE_TREE', textTail],
];

/** MariaDB shows any information table whose name is put behind SHOW. */
const MARIADB_TABLES = words(`
  CLIENT_STATISTICS INDEX_STATISTICS LOCALES METADATA_LOCK_INFO QUERY_RESPONSE_TIME TABLE_STATISTICS
  THREAD_POOL_GROUPS USER_STATISTICS WSREP_MEMBERSHIP WSREP_STATUS USER_VARIABLES
`);

/** SHOW …; the current token is SHOW. */
export function parseShow(cursor: TokenCursor): ShowStatement {
  const { start } = cursor;
  cursor.expect('SHOW');
  const modifiers: string[] = [];
  while (cursor.isOneOf(MODIFIERS)) {
    modifiers.push(cursor.word);
    cursor.advance();
  }
  const counted = countOf(cursor);
  const [what, rule] = counted ?? showForm(cursor);
  const tail = rule(cursor);
  return { kind: 'show', what, modifiers, ...tail, span: cursor.spanFrom(start) };
}

/** SHOW COUNT(*) WARNINGS. */
function countOf(cursor: TokenCursor): readonly [string, TailRule] | undefined {
  if (!cursor.acceptSequence('COUNT', '(', '*', ')')) return undefined;
  if (cursor.accept('WARNINGS')) return ['COUNT WARNINGS', noTail];
  cursor.expect('ERRORS');
  return ['COUNT ERRORS', noTail];
}

function showForm(cursor: TokenCursor): readonly [string, TailRule] {
  for (const form of FORMS) {
    if (cursor.acceptSequence(...form[0].split(' '))) return form;
  }
  const { word } = cursor;
  if (cursor.mariadb && MARIADB_TABLES.has(word)) {
    cursor.advance();
    return [word, filterTail];
  }
  return cursor.fail('what to show');
}

function noTail(): ShowTail {
  return {};
}

/** The rest stays text: the words say enough to send it on. */
function textTail(cursor: TokenCursor): ShowTail {
  while (!cursor.atEnd() && !cursor.is(';')) {
    if (cursor.kind === TokenKind.error) cursor.fail('the end');
    if (cursor.isLiteral()) cursor.shapingSlots.push(cursor.ordinal);
    cursor.advance();
  }
  return {};
}

/** SHOW SHARD MAP [FOR db.table]. */
function shardMapTail(cursor: TokenCursor): ShowTail {
  return cursor.accept('FOR') ? { table: parseTableName(cursor) } : {};
}

function tableTail(cursor: TokenCursor): ShowTail {
  acceptExistence(cursor);
  return { table: parseTableName(cursor) };
}

function createDatabaseTail(cursor: TokenCursor): ShowTail {
  acceptExistence(cursor);
  return { database: cursor.identifier('a database') };
}

function acceptExistence(cursor: TokenCursor): void {
  if (!cursor.acceptSequence('IF', 'EXISTS')) cursor.acceptSequence('IF', 'NOT', 'EXISTS');
}

/** FROM t [FROM db]. */
function ofTableTail(cursor: TokenCursor): ShowTail {
  cursor.expectOneOf(FROM);
  const table = parseTableName(cursor);
  if (cursor.acceptOneOf(FROM) === undefined) return { table, ...filterTail(cursor) };
  const database = cursor.identifier('a database');
  return { table: { ...table, database }, ...filterTail(cursor) };
}

/** [FROM db]. */
function ofDatabaseTail(cursor: TokenCursor): ShowTail {
  if (cursor.acceptOneOf(FROM) === undefined) return filterTail(cursor);
  return { database: cursor.identifier('a database'), ...filterTail(cursor) };
}

/** [LIKE 'x' | WHERE …]. */
function filterTail(cursor: TokenCursor): ShowTail {
  if (cursor.accept('LIKE')) {
    if (!cursor.isString()) cursor.fail('a pattern');
    const like = cursor.operand();
    return like.kind === 'literal' ? { like } : cursor.fail('a pattern');
  }
  return cursor.accept('WHERE') ? { where: cursor.expression() } : {};
}

function limitTail(cursor: TokenCursor): ShowTail {
  return cursor.is('LIMIT') ? textTail(cursor) : {};
}

/** DESCRIBE t [column]; the verb is read already. */
export function parseDescribeTable(cursor: TokenCursor, start: number): ShowStatement {
  const table = parseTableName(cursor);
  if (cursor.isString()) {
    const like = cursor.operand();
    const span = cursor.spanFrom(start);
    const modifiers: string[] = [];
    const base = { kind: 'show', what: 'COLUMNS', modifiers, table, span } as const;
    return like.kind === 'literal' ? { ...base, like } : base;
  }
  if (cursor.isIdentifier()) cursor.advance();
  const span = cursor.spanFrom(start);
  return { kind: 'show', what: 'COLUMNS', modifiers: [], table, span };
}
