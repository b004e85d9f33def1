import { isCharset } from './charset-names.ts';
import { parseOrderBy } from './parse-order-by.ts';
import { parseOver } from './parse-window.ts';
import { words } from './reserved-words.ts';
import type { CallExpression, CastExpression, Expression, OrderItem, Span } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

export interface CalledName {
  readonly name: string;
  readonly schema?: string;
  /** Where the name starts in the text. */
  readonly start: number;
}

const AGGREGATES = words(`
  AVG BIT_AND BIT_OR BIT_XOR COUNT GROUP_CONCAT JSON_ARRAYAGG JSON_OBJECTAGG MAX MIN STD STDDEV
  STDDEV_POP STDDEV_SAMP SUM VARIANCE VAR_POP VAR_SAMP MEDIAN PERCENTILE_CONT PERCENTILE_DISC
`);

const STOPS = words(') ,');
const CLOSING = words(')');
const TRIM_SIDES = words('BOTH LEADING TRAILING');
const FORMATS = words('DATE TIME DATETIME TIMESTAMP');

type ArgumentRule = (cursor: TokenCursor) => Expression[];

/** Functions whose arguments are not just expressions and commas. */
const SPECIAL: Readonly<Record<string, ArgumentRule>> = {
  CHAR: charArguments,
  CHARACTER: charArguments,
  EXTRACT: extractArguments,
  GET_FORMAT: formatArguments,
  JSON_VALUE: tailedArguments,
  MID: substringArguments,
  POSITION: positionArguments,
  SUBSTR: substringArguments,
  SUBSTRING: substringArguments,
  TIMESTAMPADD: unitArguments,
  TIMESTAMPDIFF: unitArguments,
  TRIM: trimArguments,
  WEIGHT_STRING: tailedArguments,
};

interface Arguments {
  readonly distinct: boolean;
  readonly items: readonly Expression[];
  readonly orderBy?: readonly OrderItem[];
}

/** The current token is the bracket behind the function's name. */
export function parseCall(cursor: TokenCursor, called: CalledName): CallExpression {
  cursor.expect('(');
  const upper = called.name.toUpperCase();
  const given = parseArguments(cursor, called.schema === undefined ? upper : '');
  cursor.expect(')');
  const over = parseOver(cursor);
  return {
    kind: 'call',
    name: called.schema === undefined ? upper : called.name,
    ...(called.schema === undefined ? {} : { schema: called.schema }),
    arguments: given.items,
    distinct: given.distinct,
    ...(given.orderBy === undefined ? {} : { orderBy: given.orderBy }),
    ...(over === undefined ? {} : { over }),
    parenthesised: true,
    span: cursor.spanFrom(called.start),
  };
}

function parseArguments(cursor: TokenCursor, name: string): Arguments {
  if (AGGREGATES.has(name)) return aggregateArguments(cursor);
  const special = SPECIAL[name];
  if (special !== undefined) return { distinct: false, items: special(cursor) };
  return { distinct: false, items: plainArguments(cursor) };
}

function plainArguments(cursor: TokenCursor): Expression[] {
  return cursor.is(')') ? [] : cursor.list(() => argument(cursor));
}

/** An argument may have a name (loadable functions) or a type (MariaDB's dynamic columns). */
function argument(cursor: TokenCursor): Expression {
  const value = cursor.expression();
  if (cursor.accept('AS')) {
    cursor.skipUntil(STOPS);
  } else if (cursor.isIdentifier() && STOPS.has(cursor.wordAt(1))) {
    cursor.advance();
  }
  return value;
}

function aggregateArguments(cursor: TokenCursor): Arguments {
  const distinct = cursor.accept('DISTINCT');
  if (!distinct) cursor.accept('ALL');
  const items = cursor.is('*') ? [countStar(cursor)] : plainArguments(cursor);
  const orderBy = cursor.is('ORDER') ? parseOrderBy(cursor).items : undefined;
  if (cursor.accept('SEPARATOR')) {
    // Part of the statement's shape: a merge of partial lists must know it.
    if (!cursor.isString() && cursor.kind !== TokenKind.parameter) {
      if (!cursor.isLiteral()) cursor.fail('a string');
    }
    cursor.shapingSlots.push(cursor.ordinal);
    cursor.advance();
  }
  if (cursor.is('LIMIT')) cursor.skipUntil(CLOSING);
  return orderBy === undefined ? { distinct, items } : { distinct, items, orderBy };
}

function countStar(cursor: TokenCursor): Expression {
  const span: Span = { start: cursor.start, end: cursor.end };
  cursor.expect('*');
  return { kind: 'star', span };
}

function charArguments(cursor: TokenCursor): Expression[] {
  const items = cursor.expressionList();
  if (cursor.accept('USING')) charset(cursor);
  return items;
}

function extractArguments(cursor: TokenCursor): Expression[] {
  cursor.anyName();
  cursor.expect('FROM');
  return [cursor.expression()];
}

function formatArguments(cursor: TokenCursor): Expression[] {
  cursor.expectOneOf(FORMATS);
  cursor.expect(',');
  return [cursor.expression()];
}

/** Arguments, and then words that stay text: AS CHAR(3), RETURNING DATE, LEVEL 1. */
function tailedArguments(cursor: TokenCursor): Expression[] {
  const items = cursor.expressionList();
  if (!cursor.is(')')) cursor.skipUntil(CLOSING);
  return items;
}

function substringArguments(cursor: TokenCursor): Expression[] {
  const items = [cursor.expression()];
  if (!cursor.accept('FROM')) {
    while (cursor.accept(',')) items.push(cursor.expression());
    return items;
  }
  items.push(cursor.expression());
  if (cursor.accept('FOR')) items.push(cursor.expression());
  return items;
}

function positionArguments(cursor: TokenCursor): Expression[] {
  const part = cursor.operand();
  cursor.expect('IN');
  return [part, cursor.expression()];
}

function unitArguments(cursor: TokenCursor): Expression[] {
  cursor.anyName();
  cursor.expect(',');
  const first = cursor.expression();
  cursor.expect(',');
  return [first, cursor.expression()];
}

function trimArguments(cursor: TokenCursor): Expression[] {
  const side = cursor.acceptOneOf(TRIM_SIDES);
  if (side !== undefined && cursor.accept('FROM')) return [cursor.expression()];
  const items = [cursor.expression()];
  if (cursor.accept('FROM')) items.push(cursor.expression());
  else if (side !== undefined) cursor.fail("'FROM'");
  return items;
}

/** CAST(x AS type), CONVERT(x, type), CONVERT(x USING charset); the current token is the name. */
export function parseConvert(cursor: TokenCursor): CastExpression {
  const { start } = cursor;
  const isCast = cursor.is('CAST');
  cursor.advance();
  cursor.expect('(');
  const operand = cursor.expression();
  let typeSpan: Span;
  if (!isCast && cursor.accept('USING')) {
    typeSpan = charset(cursor);
  } else {
    if (isCast) acceptTimeZone(cursor);
    cursor.expect(isCast ? 'AS' : ',');
    if (cursor.kind !== TokenKind.word) cursor.fail('a type');
    typeSpan = cursor.skipUntil(CLOSING);
  }
  cursor.expect(')');
  return { kind: 'cast', operand, typeSpan, span: cursor.spanFrom(start) };
}

/** CAST(x AT TIME ZONE '+00:00' AS DATETIME) of MySQL. */
function acceptTimeZone(cursor: TokenCursor): void {
  if (!cursor.acceptSequence('AT', 'TIME', 'ZONE')) return;
  cursor.accept('INTERVAL');
  if (!cursor.isString()) cursor.fail('a time zone');
  cursor.shapingSlots.push(cursor.ordinal);
  cursor.advance();
}

function charset(cursor: TokenCursor): Span {
  const span = { start: cursor.start, end: cursor.end };
  if (cursor.isString()) {
    cursor.shapingSlots.push(cursor.ordinal);
  } else if (cursor.kind === TokenKind.word && !isCharset(cursor.word) && !cursor.is('DEFAULT')) {
    cursor.identifier('a character set');
    return span;
  }
  cursor.advance();
  return span;
}
