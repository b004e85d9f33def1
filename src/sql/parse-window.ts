import { parseOrderBy } from './parse-order-by.ts';
import { words } from './reserved-words.ts';
import type { Expression, OrderItem, WindowReference } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';

const FRAMES = words('ROWS RANGE GROUPS');
const NOT_NAMES = words('PARTITION ORDER ROWS RANGE GROUPS )');
const CLOSING = words(')');

/** OVER name or OVER (…) behind a call, with what may stand before it. */
export function parseOver(cursor: TokenCursor): WindowReference | undefined {
  if (cursor.acceptSequence('WITHIN', 'GROUP')) cursor.skipParentheses();
  acceptFromEdge(cursor);
  if (!cursor.acceptSequence('RESPECT', 'NULLS')) cursor.acceptSequence('IGNORE', 'NULLS');
  if (!cursor.is('OVER')) return undefined;
  const { start } = cursor;
  cursor.advance();
  if (cursor.is('(')) return { ...parseWindow(cursor), span: cursor.spanFrom(start) };
  const name = cursor.identifier('a window');
  return { name, partitionBy: [], orderBy: [], span: cursor.spanFrom(start) };
}

/** The window in brackets. Its frame stays text: it changes no routing. */
export function parseWindow(cursor: TokenCursor): WindowReference {
  const { start } = cursor;
  cursor.expect('(');
  const name = NOT_NAMES.has(cursor.word) ? undefined : cursor.identifier('a window');
  let partitionBy: Expression[] = [];
  if (cursor.accept('PARTITION')) {
    cursor.expect('BY');
    partitionBy = cursor.expressionList();
  }
  const orderBy: readonly OrderItem[] = cursor.is('ORDER') ? parseOrderBy(cursor).items : [];
  if (cursor.isOneOf(FRAMES)) cursor.skipUntil(CLOSING);
  cursor.expect(')');
  const span = cursor.spanFrom(start);
  return name === undefined ? { partitionBy, orderBy, span } : { name, partitionBy, orderBy, span };
}

/** FROM FIRST needs OVER behind it: `f(x) FROM first` selects from a table. */
function acceptFromEdge(cursor: TokenCursor): void {
  if (cursor.is('FROM') && cursor.wordAt(2) === 'OVER') cursor.acceptSequence('FROM', 'FIRST');
}
