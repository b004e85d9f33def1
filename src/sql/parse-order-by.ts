import type { OrderItem, Span } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';

/** ORDER BY …; the current token is ORDER. */
export function parseOrderBy(cursor: TokenCursor): { items: OrderItem[]; span: Span } {
  const { start } = cursor;
  cursor.expect('ORDER');
  cursor.expect('BY');
  const items = cursor.list(() => parseOrderItem(cursor));
  return { items, span: cursor.spanFrom(start) };
}

/** An expression with ASC or DESC. A bare number is a position in the select list. */
export function parseOrderItem(cursor: TokenCursor): OrderItem {
  const { start } = cursor;
  const expression = cursor.expression();
  if (expression.kind === 'literal' && expression.slot >= 0) {
    cursor.shapingSlots.push(expression.slot);
  }
  const descending = cursor.accept('DESC');
  if (!descending) cursor.accept('ASC');
  return { expression, descending, span: cursor.spanFrom(start) };
}
