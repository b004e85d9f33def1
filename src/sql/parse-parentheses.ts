import { words } from './reserved-words.ts';
import type { Expression, NestedBody, QueryExpression } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

export type Parenthesised =
  | { readonly kind: 'query'; readonly query: QueryExpression }
  | { readonly kind: 'items'; readonly items: readonly Expression[] };

/** Beyond this the nesting limit refuses the statement anyway. */
const BRACKETS_MAX = 256;

const QUERY_TAILS = words(') UNION EXCEPT INTERSECT ORDER LIMIT OFFSET FETCH FOR LOCK INTO');

/**
 * Brackets in an expression hold a query, one expression, or a row. `((SELECT 1) UNION …)` and
 * `((SELECT 1) + 1)` differ only behind the inner bracket, so what was read there is carried on.
 */
export function parseParentheses(cursor: TokenCursor): Parenthesised {
  return cursor.nested(() => {
    cursor.expect('(');
    if (startsQuery(cursor)) return closed(cursor, cursor.query());
    if (cursor.is('(') && bracketsLeadToQuery(cursor)) {
      const start = cursor.start;
      const inner = parseParentheses(cursor);
      const span = cursor.spanFrom(start);
      if (inner.kind === 'query' && QUERY_TAILS.has(cursor.word)) {
        const body: NestedBody = { kind: 'nested', query: inner.query, span };
        return closed(cursor, cursor.queryAfter(body));
      }
      cursor.operandRead = asExpression(inner, span);
    }
    const items = cursor.expressionList();
    cursor.expect(')');
    return { kind: 'items', items };
  });
}

/** A parenthesised part as an operand: the subquery, the expression itself, or the row. */
export function asExpression(inner: Parenthesised, span: Expression['span']): Expression {
  if (inner.kind === 'query') return { kind: 'subquery', query: inner.query, span };
  const [only] = inner.items;
  if (only !== undefined && inner.items.length === 1) {
    // The span grows over the brackets, so that a splice of the operand keeps them together.
    return { ...only, span };
  }
  return { kind: 'row', items: inner.items, span };
}

/** Whether a query expression starts here, an opening bracket aside. */
export function startsQuery(cursor: TokenCursor): boolean {
  return startsQueryAt(cursor, 0);
}

/** Whether behind one or more opening brackets there is a query. */
export function bracketsLeadToQuery(cursor: TokenCursor): boolean {
  let ahead = 0;
  while (ahead < BRACKETS_MAX && cursor.wordAt(ahead) === '(') ahead++;
  return startsQueryAt(cursor, ahead);
}

function startsQueryAt(cursor: TokenCursor, ahead: number): boolean {
  switch (cursor.wordAt(ahead)) {
    case 'SELECT':
    case 'WITH':
      return true;
    case 'TABLE':
      return !cursor.mariadb;
    case 'VALUES':
      return cursor.mariadb ? startsRowList(cursor, ahead) : cursor.wordAt(ahead + 1) === 'ROW';
    default:
      return false;
  }
}

/** MariaDB's VALUES (1), (2), as opposed to the function VALUES(column). */
function startsRowList(cursor: TokenCursor, ahead: number): boolean {
  if (cursor.wordAt(ahead + 1) !== '(') return false;
  const name = cursor.kindAt(ahead + 2);
  const isName =
    name === TokenKind.name || name === TokenKind.quotedName || name === TokenKind.word;
  const next = cursor.wordAt(ahead + 3);
  return !(isName && (next === ')' || next === '.'));
}

function closed(cursor: TokenCursor, query: QueryExpression): Parenthesised {
  cursor.expect(')');
  return { kind: 'query', query };
}
