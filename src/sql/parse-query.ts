import { parseOrderBy } from './parse-order-by.ts';
import { startsQuery } from './parse-parentheses.ts';
import { parsePrimary } from './parse-primary.ts';
import { type IntoClause, parseInto, parseSelectBlock } from './parse-select.ts';
import { parseTableName } from './parse-table-reference.ts';
import { words } from './reserved-words.ts';
import type {
  CommonTableExpression,
  Expression,
  LimitClause,
  LockingClause,
  NestedBody,
  OrderItem,
  QueryBody,
  QueryExpression,
  SetOperation,
  Span,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

/** Longer chains of set operations are not parsed: their trees are walked by recursion. */
const SET_OPERATIONS_MAX = 1000;

const ROW_WORDS = words('ROW ROWS');
const FETCH_ORDER = words('FIRST NEXT');
const CLOSING = words(') ;');

/** What a query gathers while it is read. */
interface QueryParts {
  with?: NonNullable<QueryExpression['with']>;
  orderBy?: readonly OrderItem[];
  orderBySpan?: Span;
  limit?: LimitClause;
  locking: LockingClause[];
  into?: IntoClause;
  opaqueTail?: Span;
}

/** WITH …, the set operations, and ORDER BY, LIMIT, locks that belong to the whole. */
export function parseQuery(cursor: TokenCursor): QueryExpression {
  return cursor.nested(() => {
    const { start } = cursor;
    const parts: QueryParts = { locking: [] };
    if (cursor.is('WITH')) parts.with = parseWith(cursor);
    const body = setOperations(cursor, parts, operand(cursor, parts));
    return finish(cursor, parts, body, start);
  });
}

/** The rest of a query whose first operand, in brackets, is read already. */
export function parseQueryAfter(cursor: TokenCursor, first: NestedBody): QueryExpression {
  const parts: QueryParts = { locking: [] };
  const body = setOperations(cursor, parts, first);
  return finish(cursor, parts, body, first.span.start);
}

/** WITH [RECURSIVE] a (x, y) AS (…), b AS (…); the current token is WITH. */
export function parseWith(cursor: TokenCursor): NonNullable<QueryExpression['with']> {
  cursor.expect('WITH');
  const recursive = cursor.accept('RECURSIVE');
  const tables = cursor.list(() => commonTable(cursor));
  return { recursive, tables };
}

function commonTable(cursor: TokenCursor): CommonTableExpression {
  const { start } = cursor;
  const name = cursor.identifier('a name');
  const columns: string[] = [];
  if (cursor.accept('(')) {
    columns.push(...cursor.list(() => cursor.identifier('a column')));
    cursor.expect(')');
  }
  cursor.expect('AS');
  cursor.expect('(');
  const query = cursor.query();
  cursor.expect(')');
  // CYCLE x RESTRICT of MariaDB stays text inside of the span.
  if (cursor.mariadb && cursor.accept('CYCLE')) {
    cursor.list(() => cursor.identifier('a column'));
    cursor.expect('RESTRICT');
  }
  return { name, columns, query, span: cursor.spanFrom(start) };
}

/** INTERSECT binds tighter than UNION and EXCEPT. */
function setOperations(cursor: TokenCursor, parts: QueryParts, first: QueryBody): QueryBody {
  let left = intersections(cursor, parts, first);
  for (let links = 0; cursor.is('UNION') || cursor.is('EXCEPT'); links++) {
    if (links === SET_OPERATIONS_MAX) cursor.fail('fewer set operations');
    const operator = cursor.is('UNION') ? 'union' : 'except';
    cursor.advance();
    const all = setQuantifier(cursor);
    const right = intersections(cursor, parts, operand(cursor, parts));
    left = setOperation(operator, all, left, right);
  }
  return left;
}

function intersections(cursor: TokenCursor, parts: QueryParts, first: QueryBody): QueryBody {
  let left = first;
  for (let links = 0; cursor.is('INTERSECT'); links++) {
    if (links === SET_OPERATIONS_MAX) cursor.fail('fewer set operations');
    cursor.advance();
    const all = setQuantifier(cursor);
    left = setOperation('intersect', all, left, operand(cursor, parts));
  }
  return left;
}

function setQuantifier(cursor: TokenCursor): boolean {
  if (cursor.accept('ALL')) return true;
  cursor.accept('DISTINCT');
  return false;
}

function setOperation(
  operator: SetOperation['operator'],
  all: boolean,
  left: QueryBody,
  right: QueryBody,
): SetOperation {
  const span = { start: left.span.start, end: right.span.end };
  return { kind: 'set-operation', operator, all, left, right, span };
}

function operand(cursor: TokenCursor, parts: QueryParts): QueryBody {
  const { start } = cursor;
  if (cursor.is('(')) {
    return cursor.nested(() => {
      cursor.advance();
      const query = startsQuery(cursor) || cursor.is('(') ? cursor.query() : cursor.fail('a query');
      cursor.expect(')');
      return { kind: 'nested', query, span: cursor.spanFrom(start) };
    });
  }
  if (cursor.is('VALUES')) return values(cursor);
  if (cursor.is('TABLE') && !cursor.mariadb) {
    cursor.advance();
    const table = parseTableName(cursor);
    return { kind: 'table-body', table, span: cursor.spanFrom(start) };
  }
  const { block, into } = parseSelectBlock(cursor);
  if (into !== undefined) parts.into = into;
  return block;
}

/** VALUES ROW(1, 2), ROW(3, 4) of MySQL, VALUES (1, 2), (3, 4) of MariaDB. */
function values(cursor: TokenCursor): QueryBody {
  const { start } = cursor;
  cursor.expect('VALUES');
  const rows = cursor.list(() => {
    if (!cursor.mariadb) cursor.expect('ROW');
    cursor.expect('(');
    const items: Expression[] = cursor.is(')') ? [] : cursor.expressionList();
    cursor.expect(')');
    return items;
  });
  return { kind: 'values', rows, span: cursor.spanFrom(start) };
}

function finish(
  cursor: TokenCursor,
  parts: QueryParts,
  body: QueryBody,
  start: number,
): QueryExpression {
  if (cursor.is('ORDER')) {
    const { items, span } = parseOrderBy(cursor);
    parts.orderBy = items;
    parts.orderBySpan = span;
  }
  limitTail(cursor, parts);
  if (cursor.is('PROCEDURE')) parts.opaqueTail = procedureTail(cursor);
  // INTO and the locks stand in either order.
  while (cursor.is('INTO') || startsLock(cursor)) {
    if (cursor.is('INTO')) {
      if (parts.into !== undefined) cursor.fail('one INTO');
      parts.into = parseInto(cursor);
    } else {
      parts.locking.push(lockingClause(cursor));
    }
  }
  return { kind: 'query', ...parts, body, span: cursor.spanFrom(start) };
}

function limitTail(cursor: TokenCursor, parts: QueryParts): void {
  const { start } = cursor;
  if (cursor.is('LIMIT')) {
    if (cursor.mariadb && cursor.isSequence('LIMIT', 'ROWS', 'EXAMINED')) {
      parts.opaqueTail = rowsExamined(cursor, start);
      return;
    }
    parts.limit = parseLimit(cursor);
    if (cursor.mariadb && cursor.isSequence('ROWS', 'EXAMINED')) {
      parts.opaqueTail = rowsExamined(cursor, cursor.start);
    }
  } else if (cursor.mariadb && (cursor.is('OFFSET') || cursor.is('FETCH'))) {
    parts.opaqueTail = fetchTail(cursor);
  }
}

/** LIMIT n, LIMIT offset, n, LIMIT n OFFSET offset; the current token is LIMIT. */
export function parseLimit(cursor: TokenCursor): LimitClause {
  const { start } = cursor;
  cursor.expect('LIMIT');
  const first = limitNumber(cursor);
  if (cursor.accept(',')) {
    const count = limitNumber(cursor);
    return { count, offset: first, span: cursor.spanFrom(start) };
  }
  if (cursor.accept('OFFSET')) {
    const offset = limitNumber(cursor);
    return { count: first, offset, span: cursor.spanFrom(start) };
  }
  return { count: first, span: cursor.spanFrom(start) };
}

/** A plain number, a parameter, or a stored program's variable; no expressions. */
function limitNumber(cursor: TokenCursor): Expression {
  const { kind } = cursor;
  const fits =
    kind === TokenKind.integer ||
    kind === TokenKind.hex ||
    kind === TokenKind.bit ||
    kind === TokenKind.parameter ||
    cursor.isIdentifier();
  if (!fits) cursor.fail('a number');
  return parsePrimary(cursor);
}

function rowsExamined(cursor: TokenCursor, start: number): Span {
  cursor.accept('LIMIT');
  cursor.acceptSequence('ROWS', 'EXAMINED');
  limitNumber(cursor);
  return cursor.spanFrom(start);
}

/** OFFSET n ROWS FETCH FIRST m ROWS ONLY | WITH TIES of MariaDB. */
function fetchTail(cursor: TokenCursor): Span {
  const { start } = cursor;
  if (cursor.accept('OFFSET')) {
    limitNumber(cursor);
    cursor.expectOneOf(ROW_WORDS);
  }
  if (cursor.accept('FETCH')) {
    cursor.expectOneOf(FETCH_ORDER);
    if (!cursor.isOneOf(ROW_WORDS)) limitNumber(cursor);
    cursor.expectOneOf(ROW_WORDS);
    if (!cursor.accept('ONLY')) {
      cursor.expect('WITH');
      cursor.expect('TIES');
    }
  }
  return cursor.spanFrom(start);
}

/** PROCEDURE ANALYSE(…). */
function procedureTail(cursor: TokenCursor): Span {
  const { start } = cursor;
  cursor.expect('PROCEDURE');
  cursor.identifier('a procedure');
  cursor.expect('(');
  if (!cursor.is(')')) cursor.skipUntil(CLOSING);
  cursor.expect(')');
  return cursor.spanFrom(start);
}

function startsLock(cursor: TokenCursor): boolean {
  if (cursor.is('LOCK')) return cursor.wordAt(1) === 'IN';
  return cursor.is('FOR') && (cursor.wordAt(1) === 'UPDATE' || cursor.wordAt(1) === 'SHARE');
}

function lockingClause(cursor: TokenCursor): LockingClause {
  const { start } = cursor;
  let strength: LockingClause['strength'] = 'share';
  if (cursor.accept('LOCK')) {
    cursor.expect('IN');
    cursor.expect('SHARE');
    cursor.expect('MODE');
  } else {
    cursor.expect('FOR');
    strength = cursor.accept('UPDATE') ? 'update' : 'share';
    if (strength === 'share') cursor.expect('SHARE');
    if (!cursor.mariadb && cursor.accept('OF')) {
      cursor.list(() => parseTableName(cursor));
    }
  }
  if (cursor.mariadb && cursor.accept('WAIT')) limitNumber(cursor);
  else if (!cursor.accept('NOWAIT')) cursor.acceptSequence('SKIP', 'LOCKED');
  return { strength, span: cursor.spanFrom(start) };
}
