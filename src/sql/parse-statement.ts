import { parseExpression, parseOperand } from './expression.ts';
import { isDdlVerb, parseDdl } from './parse-ddl.ts';
import { parseOther } from './parse-other.ts';
import { parseQuery, parseQueryAfter, parseWith } from './parse-query.ts';
import { isOtherSet, parseSet } from './parse-session.ts';
import { parseDescribeTable, parseShow } from './parse-show.ts';
import { parseBegin, parseSavepoint, parseTransactionEnd } from './parse-transaction.ts';
import { parseDelete, parseInsert, parseUpdate } from './parse-write.ts';
import type { ExplainStatement, LexicalContext, ShowStatement, Statement } from './statement.ts';
import { type Grammar, TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const GRAMMAR: Grammar = {
  expression: parseExpression,
  operand: parseOperand,
  query: parseQuery,
  queryAfter: parseQueryAfter,
};

/** A statement with what the parser knows about its text beside the tree. */
export interface ParsedText {
  readonly statement: Statement;
  readonly literalCount: number;
  readonly parameterCount: number;
  /**
   * Slots of literals whose value shapes the statement: ORDER BY and GROUP BY positions, aliases
   * and character sets written as strings, lengths of types. A plan for one value of them is no
   * plan for another, though the fingerprints are equal.
   */
  readonly shapingSlots: readonly number[];
  /** The name in an optimizer hint `shard(name)`. */
  readonly shardHint?: string;
}

/** Reads one statement, a semicolon behind it allowed. Throws NotParsed. */
export function parseStatement(text: Buffer, context: LexicalContext): Statement {
  return parseText(text, context).statement;
}

export function parseText(text: Buffer, context: LexicalContext): ParsedText {
  const cursor = new TokenCursor(text, context, GRAMMAR);
  const statement = anyStatement(cursor);
  while (cursor.accept(';'));
  if (!cursor.atEnd()) cursor.fail('the end of the statement');
  const { literalCount, parameterCount, hint } = cursor.tokens;
  const shardHint =
    hint === undefined ? undefined : shardOf(text.toString('utf8', hint.start, hint.end));
  return {
    statement,
    literalCount,
    parameterCount,
    shapingSlots: [...new Set(cursor.shapingSlots)].sort((a, b) => a - b),
    ...(shardHint === undefined ? {} : { shardHint }),
  };
}

function shardOf(hint: string): string | undefined {
  const found = /\bshard\s*\(\s*(?:`([^`]+)`|([\w$-]+))\s*\)/i.exec(hint);
  return found?.[1] ?? found?.[2];
}

function anyStatement(cursor: TokenCursor): Statement {
  switch (cursor.word) {
    case 'SELECT':
    case '(':
    case 'VALUES':
    case 'TABLE':
      return select(cursor);
    case 'WITH':
      return withStatement(cursor);
    case 'INSERT':
    case 'REPLACE':
      return parseInsert(cursor);
    case 'UPDATE':
      return parseUpdate(cursor);
    case 'DELETE':
      return parseDelete(cursor);
    case 'SET':
      return isOtherSet(cursor) ? parseOther(cursor) : parseSet(cursor);
    case 'BEGIN':
      return cursor.wordAt(1) === 'NOT' ? parseOther(cursor) : parseBegin(cursor);
    case 'START':
      return cursor.wordAt(1) === 'TRANSACTION' ? parseBegin(cursor) : parseOther(cursor);
    case 'COMMIT':
    case 'ROLLBACK':
      return parseTransactionEnd(cursor);
    case 'SAVEPOINT':
    case 'RELEASE':
      return parseSavepoint(cursor);
    case 'USE': {
      const { start } = cursor;
      cursor.advance();
      const database = cursor.identifier('a database');
      return { kind: 'use', database, span: cursor.spanFrom(start) };
    }
    case 'SHOW':
      return parseShow(cursor);
    case 'EXPLAIN':
    case 'DESCRIBE':
    case 'DESC':
      return explain(cursor);
    default:
      return schemaOrOther(cursor);
  }
}

function select(cursor: TokenCursor): Statement {
  const query = cursor.query();
  return { kind: 'select', query, span: query.span };
}

/** WITH before SELECT, UPDATE and DELETE. */
function withStatement(cursor: TokenCursor): Statement {
  const { start, index } = cursor;
  const withClause = parseWith(cursor);
  if (cursor.is('UPDATE')) return parseUpdate(cursor, withClause, start);
  if (cursor.is('DELETE')) return parseDelete(cursor, withClause, start);
  cursor.index = index;
  return select(cursor);
}

function schemaOrOther(cursor: TokenCursor): Statement {
  const { word } = cursor;
  if (!isDdlVerb(word) || (word === 'DROP' && cursor.wordAt(1) === 'PREPARE')) {
    return parseOther(cursor);
  }
  const measured = word === 'ANALYZE' && cursor.wordAt(1) !== 'TABLE' && explainsNext(cursor, 1);
  if (measured && cursor.mariadb) return explain(cursor);
  return parseDdl(cursor);
}

/** EXPLAIN in all its forms, EXPLAIN ROUTE of our own, and DESCRIBE t. */
function explain(cursor: TokenCursor): ExplainStatement | ShowStatement {
  const { start } = cursor;
  let analyze = cursor.accept('ANALYZE');
  if (!analyze) cursor.advance();
  const route = cursor.is('ROUTE') && explainsNext(cursor, 1) && cursor.accept('ROUTE');
  if (!route) {
    analyze = (cursor.is('ANALYZE') && cursor.accept('ANALYZE')) || analyze;
    if (cursor.is('EXTENDED') || cursor.is('PARTITIONS')) {
      if (explainsNext(cursor, 1)) cursor.advance();
    }
    explainFormat(cursor);
  }
  if (!route && cursor.isSequence('FOR', 'CONNECTION')) return explainConnection(cursor, start);
  if (!route && !explainsNext(cursor, 0)) return parseDescribeTable(cursor, start);
  const statementStart = cursor.start;
  const statement = cursor.nested(() => anyStatement(cursor));
  const span = cursor.spanFrom(start);
  return { kind: 'explain', route, analyze, statement, statementStart, span };
}

function explainFormat(cursor: TokenCursor): void {
  if (!cursor.acceptSequence('FORMAT', '=')) return;
  if (cursor.isString()) cursor.advance();
  else cursor.anyName();
}

function explainConnection(cursor: TokenCursor, start: number): ShowStatement {
  cursor.acceptSequence('FOR', 'CONNECTION');
  cursor.operand();
  return { kind: 'show', what: 'EXPLAIN', modifiers: [], span: cursor.spanFrom(start) };
}

const EXPLAINED = new Set(['SELECT', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'WITH', 'FORMAT']);

/** Whether a statement, not a table, stands `ahead` of the current token. */
function explainsNext(cursor: TokenCursor, ahead: number): boolean {
  const word = cursor.wordAt(ahead);
  if (word === '(' || EXPLAINED.has(word)) return true;
  if (word === 'VALUES' || word === 'TABLE') return true;
  if (word === 'ANALYZE') return true;
  return ROUTED_VERBS.has(word) && cursor.kindAt(ahead + 1) !== TokenKind.end;
}

/** EXPLAIN ROUTE answers for any statement. */
const ROUTED_VERBS = new Set([
  'CREATE',
  'ALTER',
  'DROP',
  'TRUNCATE',
  'SET',
  'SHOW',
  'CALL',
  'RENAME',
]);
