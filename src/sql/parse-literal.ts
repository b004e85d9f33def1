import { isCharset } from './charset-names.ts';
import type { Expression, Literal, LiteralType } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const LITERAL_TYPES: Readonly<Record<number, LiteralType>> = {
  [TokenKind.integer]: 'integer',
  [TokenKind.decimal]: 'decimal',
  [TokenKind.float]: 'float',
  [TokenKind.string]: 'string',
  [TokenKind.nationalString]: 'string',
  [TokenKind.hex]: 'hex',
  [TokenKind.bit]: 'bit',
};

const TYPED_LITERALS: Readonly<Record<string, 'date' | 'time' | 'timestamp'>> = {
  DATE: 'date',
  TIME: 'time',
  TIMESTAMP: 'timestamp',
  D: 'date',
  T: 'time',
  TS: 'timestamp',
};

/** A literal token with the strings that follow it: neighbours are one string. */
export function parseLiteral(cursor: TokenCursor, start = cursor.start, charset?: string): Literal {
  const slot = cursor.ordinal;
  const type = LITERAL_TYPES[cursor.kind] as LiteralType;
  const national = cursor.kind === TokenKind.nationalString;
  cursor.advance();
  let slotCount = 1;
  while (type === 'string' && cursor.kind === TokenKind.string) {
    slotCount++;
    cursor.advance();
  }
  const span = cursor.spanFrom(start);
  const set = national ? 'utf8' : charset;
  return {
    kind: 'literal',
    type,
    slot,
    slotCount,
    span,
    ...(set === undefined ? {} : { charset: set }),
  };
}

export function parseKeywordLiteral(cursor: TokenCursor, type: 'null' | 'true' | 'false'): Literal {
  const span = { start: cursor.start, end: cursor.end };
  cursor.advance();
  return { kind: 'literal', type, slot: -1, slotCount: 0, span };
}

/** `_latin1'x'`, when the word names a character set. */
export function parseIntroduced(cursor: TokenCursor): Literal | undefined {
  const charset = cursor.word.slice(1).toLowerCase();
  const next = cursor.kindAt(1);
  const fits = next === TokenKind.string || next === TokenKind.hex || next === TokenKind.bit;
  if (!fits || !isCharset(charset)) return undefined;
  const { start } = cursor;
  cursor.advance();
  return parseLiteral(cursor, start, charset);
}

export function parseTypedLiteral(cursor: TokenCursor): Literal {
  const type = TYPED_LITERALS[cursor.word] as 'date' | 'time' | 'timestamp';
  const { start } = cursor;
  cursor.advance();
  return { ...parseLiteral(cursor, start), type };
}

/** `{d '2026-01-01'}`; other ODBC escapes are just their content. */
export function parseOdbcEscape(cursor: TokenCursor): Expression {
  const { start } = cursor;
  cursor.expect('{');
  const type = TYPED_LITERALS[cursor.word];
  cursor.anyName();
  const content = cursor.expression();
  cursor.expect('}');
  const span = cursor.spanFrom(start);
  if (type !== undefined && content.kind === 'literal' && content.type === 'string') {
    return { ...content, type, span };
  }
  return { ...content, span };
}
