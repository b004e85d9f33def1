import { parseCall, parseConvert } from './parse-call.ts';
import {
  parseIntroduced,
  parseKeywordLiteral,
  parseLiteral,
  parseOdbcEscape,
  parseTypedLiteral,
} from './parse-literal.ts';
import { asExpression, parseParentheses } from './parse-parentheses.ts';
import { parseUserVariableName } from './parse-variable-name.ts';
import { words } from './reserved-words.ts';
import type {
  CaseExpression,
  Expression,
  IntervalExpression,
  MatchExpression,
  VariableExpression,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

/** Functions that are called by their bare name. */
const NILADIC = words(
  'CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER LOCALTIME LOCALTIMESTAMP UTC_DATE UTC_TIME UTC_TIMESTAMP',
);

/** Reserved words that name a function when a bracket follows. */
const RESERVED_FUNCTIONS = words(`
  CHAR CHARACTER CUME_DIST DATABASE DEFAULT DENSE_RANK FIRST_VALUE GROUPING IF INSERT LAG LAST_VALUE LEAD LEFT
  MOD NTH_VALUE NTILE PERCENT_RANK RANK REPEAT REPLACE RIGHT ROW_NUMBER SCHEMA UNIQUE VALUES
`);

const UNITS = words(`
  MICROSECOND SECOND MINUTE HOUR DAY WEEK MONTH QUARTER YEAR SECOND_MICROSECOND MINUTE_MICROSECOND
  MINUTE_SECOND HOUR_MICROSECOND HOUR_SECOND HOUR_MINUTE DAY_MICROSECOND DAY_SECOND DAY_MINUTE
  DAY_HOUR YEAR_MONTH SQL_TSI_SECOND SQL_TSI_MINUTE SQL_TSI_HOUR SQL_TSI_DAY SQL_TSI_WEEK
  SQL_TSI_MONTH SQL_TSI_QUARTER SQL_TSI_YEAR
`);

const SCOPES: Readonly<Record<string, VariableExpression['scope']>> = {
  GLOBAL: 'global',
  SESSION: 'session',
  LOCAL: 'local',
  PERSIST: 'persist',
  PERSIST_ONLY: 'persist_only',
};

/** What operators stand between: literals, names, variables, calls, brackets. */
export function parsePrimary(cursor: TokenCursor): Expression {
  const read = cursor.operandRead;
  if (read !== undefined) {
    cursor.operandRead = undefined;
    return read;
  }
  if (cursor.isLiteral()) return parseLiteral(cursor);
  switch (cursor.kind) {
    case TokenKind.parameter: {
      const span = { start: cursor.start, end: cursor.end };
      const index = cursor.ordinal;
      cursor.advance();
      return { kind: 'parameter', index, span };
    }
    case TokenKind.userVariable:
      return userVariable(cursor);
    case TokenKind.systemVariable:
      return systemVariable(cursor);
    case TokenKind.nullEscape:
      return parseKeywordLiteral(cursor, 'null');
    case TokenKind.operator:
      return bracketed(cursor);
    case TokenKind.word:
      return keyword(cursor) ?? named(cursor);
    default:
      return named(cursor);
  }
}

function userVariable(cursor: TokenCursor): Expression {
  const { start } = cursor;
  const name = parseUserVariableName(cursor);
  if (cursor.accept(':=')) {
    const value = cursor.expression();
    return { kind: 'assign', variable: name, value, span: cursor.spanFrom(start) };
  }
  return { kind: 'variable', scope: 'user', name, span: cursor.spanFrom(start) };
}

/** `@@name`, `@@scope.name`, and names of two parts as `@@hot_cache.key_buffer_size`. */
function systemVariable(cursor: TokenCursor): VariableExpression {
  const { start } = cursor;
  cursor.advance();
  const first = cursor.nameText();
  const scope = SCOPES[first.toUpperCase()];
  cursor.advance();
  let name = first;
  if (cursor.accept('.')) {
    const second = cursor.anyName();
    name = scope === undefined ? `${first}.${second}` : second;
    if (scope !== undefined && cursor.accept('.')) name += `.${cursor.anyName()}`;
  } else if (scope !== undefined) {
    cursor.fail("'.'");
  }
  return { kind: 'variable', scope: scope ?? 'unscoped', name, span: cursor.spanFrom(start) };
}

function bracketed(cursor: TokenCursor): Expression {
  const { start } = cursor;
  if (cursor.is('(')) {
    const inner = parseParentheses(cursor);
    return asExpression(inner, cursor.spanFrom(start));
  }
  if (cursor.is('{')) return parseOdbcEscape(cursor);
  return cursor.fail('an expression');
}

function keyword(cursor: TokenCursor): Expression | undefined {
  switch (cursor.word) {
    case 'NULL':
      return parseKeywordLiteral(cursor, 'null');
    case 'TRUE':
      return parseKeywordLiteral(cursor, 'true');
    case 'FALSE':
      return parseKeywordLiteral(cursor, 'false');
    case 'CASE':
      return caseExpression(cursor);
    case 'EXISTS':
      return cursor.wordAt(1) === '(' ? exists(cursor) : undefined;
    case 'CAST':
    case 'CONVERT':
      return cursor.wordAt(1) === '(' ? parseConvert(cursor) : undefined;
    case 'INTERVAL':
      return interval(cursor);
    case 'MATCH':
      return match(cursor);
    case 'ROW':
      return cursor.wordAt(1) === '(' ? row(cursor) : undefined;
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP':
      return cursor.kindAt(1) === TokenKind.string ? parseTypedLiteral(cursor) : undefined;
    case 'DEFAULT':
      return cursor.wordAt(1) === '(' ? undefined : defaultValue(cursor);
    case 'NEXT':
    case 'PREVIOUS':
      return cursor.mariadb ? sequenceValue(cursor) : undefined;
    default:
      return cursor.word.startsWith('_') ? parseIntroduced(cursor) : undefined;
  }
}

function caseExpression(cursor: TokenCursor): CaseExpression {
  const { start } = cursor;
  cursor.expect('CASE');
  const operand = cursor.is('WHEN') ? undefined : cursor.expression();
  const whens: { when: Expression; then: Expression }[] = [];
  do {
    cursor.expect('WHEN');
    const when = cursor.expression();
    cursor.expect('THEN');
    // biome-ignore lint/suspicious/noThenProperty: a node of a tree is never awaited
    whens.push({ when, then: cursor.expression() });
  } while (cursor.is('WHEN'));
  const otherwise = cursor.accept('ELSE') ? cursor.expression() : undefined;
  cursor.expect('END');
  return {
    kind: 'case',
    ...(operand === undefined ? {} : { operand }),
    whens,
    ...(otherwise === undefined ? {} : { otherwise }),
    span: cursor.spanFrom(start),
  };
}

function exists(cursor: TokenCursor): Expression {
  const { start } = cursor;
  cursor.expect('EXISTS');
  const inner = parseParentheses(cursor);
  if (inner.kind !== 'query') return cursor.fail('a subquery');
  return {
    kind: 'subquery',
    query: inner.query,
    quantifier: 'exists',
    span: cursor.spanFrom(start),
  };
}

/** `INTERVAL 1 DAY`, or the function INTERVAL(n, a, b). */
function interval(cursor: TokenCursor): Expression {
  const { start } = cursor;
  if (cursor.wordAt(1) === '(' && isFunctionInterval(cursor)) {
    cursor.advance();
    return parseCall(cursor, { name: 'INTERVAL', start });
  }
  cursor.expect('INTERVAL');
  const amount = cursor.expression();
  const unit = cursor.expectOneOf(UNITS);
  return {
    kind: 'interval',
    amount,
    unit,
    span: cursor.spanFrom(start),
  } satisfies IntervalExpression;
}

/** Whether the brackets behind INTERVAL hold a comma of their own. */
function isFunctionInterval(cursor: TokenCursor): boolean {
  let open = 0;
  for (let ahead = 1; ; ahead++) {
    const word = cursor.wordAt(ahead);
    if (word === '(') open++;
    else if (word === ')') open--;
    else if (word === ',' && open === 1) return true;
    if (open === 0 || cursor.kindAt(ahead) === TokenKind.end) return false;
    if (cursor.kindAt(ahead) === TokenKind.error) return false;
  }
}

function match(cursor: TokenCursor): MatchExpression {
  const { start } = cursor;
  cursor.expect('MATCH');
  const bracket = cursor.accept('(');
  const columns = cursor.list(() => cursor.operand());
  if (bracket) cursor.expect(')');
  cursor.expect('AGAINST');
  cursor.expect('(');
  const against = cursor.operand();
  if (cursor.acceptSequence('IN', 'NATURAL', 'LANGUAGE', 'MODE')) {
    cursor.acceptSequence('WITH', 'QUERY', 'EXPANSION');
  } else if (!cursor.acceptSequence('IN', 'BOOLEAN', 'MODE')) {
    cursor.acceptSequence('WITH', 'QUERY', 'EXPANSION');
  }
  cursor.expect(')');
  return { kind: 'match', columns, against, span: cursor.spanFrom(start) };
}

function row(cursor: TokenCursor): Expression {
  const { start } = cursor;
  cursor.expect('ROW');
  cursor.expect('(');
  const items = cursor.expressionList();
  cursor.expect(')');
  return { kind: 'row', items, span: cursor.spanFrom(start) };
}

function defaultValue(cursor: TokenCursor): Expression {
  const span = { start: cursor.start, end: cursor.end };
  cursor.advance();
  return { kind: 'default', span };
}

/** NEXT VALUE FOR s and PREVIOUS VALUE FOR s of MariaDB, as the calls they are. */
function sequenceValue(cursor: TokenCursor): Expression | undefined {
  const next = cursor.is('NEXT');
  const { start } = cursor;
  if (!cursor.acceptSequence(next ? 'NEXT' : 'PREVIOUS', 'VALUE', 'FOR')) return undefined;
  const sequence = named(cursor);
  const name = next ? 'NEXTVAL' : 'LASTVAL';
  const span = cursor.spanFrom(start);
  return { kind: 'call', name, arguments: [sequence], distinct: false, parenthesised: false, span };
}

/** A column of up to three parts, a star, or a call of a function. */
function named(cursor: TokenCursor): Expression {
  const { start } = cursor;
  const { word } = cursor;
  const niladic = NILADIC.has(word) || (cursor.mariadb && word === 'CURRENT_ROLE');
  if (
    cursor.wordAt(1) === '(' &&
    (niladic || RESERVED_FUNCTIONS.has(word) || cursor.isIdentifier())
  ) {
    const name = word === '' ? cursor.nameText() : word;
    cursor.advance();
    return parseCall(cursor, { name, start });
  }
  if (niladic) {
    cursor.advance();
    const span = cursor.spanFrom(start);
    return { kind: 'call', name: word, arguments: [], distinct: false, parenthesised: false, span };
  }
  const parts = [cursor.identifier('an expression')];
  while (parts.length < 3 && cursor.accept('.')) {
    if (cursor.accept('*')) return star(cursor, parts, start);
    if (!isNameToken(cursor.kind)) cursor.fail('a name');
    parts.push(cursor.anyName());
  }
  if (parts.length === 2 && cursor.is('(')) {
    const [schema = '', name = ''] = parts;
    return parseCall(cursor, { schema, name, start });
  }
  return extracted(cursor, column(parts, cursor, start));
}

/** `column->'$.path'` of MySQL. */
function extracted(cursor: TokenCursor, left: Expression): Expression {
  const operator = cursor.word;
  if (operator !== '->' && operator !== '->>') return left;
  cursor.advance();
  if (cursor.kind !== TokenKind.string) cursor.fail('a JSON path');
  const right = parseLiteral(cursor);
  return { kind: 'binary', operator, left, right, span: cursor.spanFrom(left.span.start) };
}

function isNameToken(kind: TokenKind): boolean {
  return kind === TokenKind.name || kind === TokenKind.quotedName || kind === TokenKind.word;
}

function star(cursor: TokenCursor, parts: readonly string[], start: number): Expression {
  const [first = '', second] = parts;
  const span = cursor.spanFrom(start);
  if (second === undefined) return { kind: 'star', table: first, span };
  return { kind: 'star', database: first, table: second, span };
}

function column(parts: readonly string[], cursor: TokenCursor, start: number): Expression {
  const span = cursor.spanFrom(start);
  const [first = '', second, third] = parts;
  if (second === undefined) return { kind: 'column', name: first, span };
  if (third === undefined) return { kind: 'column', table: first, name: second, span };
  return { kind: 'column', database: first, table: second, name: third, span };
}
