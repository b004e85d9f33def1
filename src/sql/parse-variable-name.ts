import type { TokenCursor } from './token-cursor.ts';

/** Reads `@x`, `@'x'` or a variable in backticks; the current token is a user variable. */
export function parseUserVariableName(cursor: TokenCursor): string {
  const source = cursor.text.toString('utf8', cursor.start + 1, cursor.end);
  cursor.advance();
  const quote = source[0] ?? '';
  if (!'\'"`'.includes(quote)) return source;
  return source.slice(1, -1).replaceAll(quote + quote, quote);
}
