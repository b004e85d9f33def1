import { parseParentheses } from './parse-parentheses.ts';
import { parsePrimary } from './parse-primary.ts';
import { words } from './reserved-words.ts';
import type {
  BinaryExpression,
  BinaryOperator,
  Expression,
  InExpression,
  IsExpression,
  UnaryExpression,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';

/** A chain of operators above this is not parsed: trees are walked by recursion. */
const CHAIN_MAX = 1000;
/** Longer AND and OR chains become balanced trees, which mean the same and stay shallow. */
const LEFT_DEEP_MAX = 64;

const COMPARISONS: Readonly<Record<string, BinaryOperator>> = {
  '=': '=',
  '<=>': '<=>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '<>': '<>',
  '!=': '<>',
};

/** Operators that bind tighter than comparisons, by how tight. */
const ARITHMETIC: Readonly<Record<string, readonly [operator: BinaryOperator, binding: number]>> = {
  '|': ['|', 1],
  '&': ['&', 2],
  '<<': ['<<', 3],
  '>>': ['>>', 3],
  '+': ['+', 4],
  '-': ['-', 4],
  '*': ['*', 5],
  '/': ['/', 5],
  '%': ['%', 5],
  MOD: ['%', 5],
  DIV: ['div', 5],
  '^': ['^', 6],
};

const UNARY: Readonly<Record<string, UnaryExpression['operator']>> = {
  '-': '-',
  '+': '+',
  '~': '~',
  '!': '!',
  BINARY: 'binary',
};

const QUANTIFIERS: Readonly<Record<string, 'any' | 'all' | 'some'>> = {
  ANY: 'any',
  ALL: 'all',
  SOME: 'some',
};

const NEGATABLE = words('IN BETWEEN LIKE REGEXP RLIKE');
const IS_TESTS: Readonly<Record<string, IsExpression['test']>> = {
  NULL: 'null',
  TRUE: 'true',
  FALSE: 'false',
  UNKNOWN: 'unknown',
};

/** The loosest rule: OR, then XOR, AND, NOT, comparisons, predicates, arithmetic. */
export function parseExpression(cursor: TokenCursor): Expression {
  return cursor.nested(() => parseOr(cursor));
}

function parseOr(cursor: TokenCursor): Expression {
  const operands = [parseXor(cursor)];
  while (
    cursor.accept('OR') ||
    (cursor.is('||') && !cursor.context.pipesAsConcat && cursor.accept('||'))
  ) {
    operands.push(parseXor(cursor));
  }
  return chain('or', operands);
}

function parseXor(cursor: TokenCursor): Expression {
  let left = parseAnd(cursor);
  for (let links = 0; cursor.accept('XOR'); links++) {
    if (links === CHAIN_MAX) cursor.fail('a shorter chain of operators');
    left = binary('xor', left, parseAnd(cursor));
  }
  return left;
}

function parseAnd(cursor: TokenCursor): Expression {
  const operands = [parseNot(cursor)];
  while (cursor.accept('AND') || cursor.accept('&&')) operands.push(parseNot(cursor));
  return chain('and', operands);
}

function parseNot(cursor: TokenCursor): Expression {
  const looseNot =
    cursor.operandRead === undefined && cursor.is('NOT') && !cursor.context.highNotPrecedence;
  if (!looseNot) return parseTest(cursor);
  const start = cursor.start;
  cursor.advance();
  const operand = cursor.nested(() => parseNot(cursor));
  return { kind: 'unary', operator: 'not', operand, span: cursor.spanFrom(start) };
}

/** IS and the comparisons, which share one level and read left to right. */
function parseTest(cursor: TokenCursor): Expression {
  let left = parsePredicate(cursor);
  for (let links = 0; ; links++) {
    if (links > CHAIN_MAX) cursor.fail('a shorter chain of operators');
    const comparison = COMPARISONS[cursor.word];
    if (comparison !== undefined) {
      cursor.advance();
      left = binary(comparison, left, comparisonOperand(cursor));
    } else if (cursor.is('IS')) {
      left = isTest(cursor, left);
    } else {
      return left;
    }
  }
}

function comparisonOperand(cursor: TokenCursor): Expression {
  const quantifier = QUANTIFIERS[cursor.word];
  if (quantifier === undefined || cursor.wordAt(1) !== '(') return parsePredicate(cursor);
  const start = cursor.start;
  cursor.advance();
  const inner = parseParentheses(cursor);
  if (inner.kind !== 'query') return cursor.fail('a subquery');
  return { kind: 'subquery', query: inner.query, quantifier, span: cursor.spanFrom(start) };
}

function isTest(cursor: TokenCursor, operand: Expression): IsExpression {
  cursor.expect('IS');
  const negated = cursor.accept('NOT');
  const test = IS_TESTS[cursor.word] ?? cursor.fail('NULL, TRUE, FALSE or UNKNOWN');
  cursor.advance();
  return { kind: 'is', operand, negated, test, span: cursor.spanFrom(operand.span.start) };
}

/** IN, BETWEEN, LIKE, REGEXP, SOUNDS LIKE, MEMBER OF. MariaDB lets them follow each other. */
function parsePredicate(cursor: TokenCursor): Expression {
  return predicates(cursor, () => true);
}

/**
 * The right side of LIKE and REGEXP. MariaDB gives NOT a higher precedence than LIKE, so
 * `a LIKE b NOT IN (c)` is `a LIKE (b NOT IN (c))`, while `a LIKE b IN (c)` reads left to right.
 */
function patternOperand(cursor: TokenCursor): Expression {
  return predicates(cursor, () => cursor.mariadb && cursor.is('NOT'));
}

function predicates(cursor: TokenCursor, continues: () => boolean): Expression {
  let left = parseOperand(cursor);
  for (let links = 0; continues(); links++) {
    if (links > CHAIN_MAX) cursor.fail('a shorter chain of operators');
    const next = predicateAfter(cursor, left);
    if (next === undefined) return left;
    left = next;
    if (!cursor.mariadb) return left;
  }
  return left;
}

function predicateAfter(cursor: TokenCursor, left: Expression): Expression | undefined {
  const negated = cursor.is('NOT') && NEGATABLE.has(cursor.wordAt(1));
  const word = negated ? cursor.wordAt(1) : cursor.word;
  switch (word) {
    case 'IN':
      skipWords(cursor, negated);
      return inList(cursor, left, negated);
    case 'BETWEEN': {
      skipWords(cursor, negated);
      const low = cursor.nested(() => parsePredicate(cursor));
      cursor.expect('AND');
      const high = cursor.nested(() => parsePredicate(cursor));
      const span = cursor.spanFrom(left.span.start);
      return { kind: 'between', operand: left, negated, low, high, span };
    }
    case 'LIKE':
      skipWords(cursor, negated);
      return like(cursor, left, negated ? 'not like' : 'like');
    case 'REGEXP':
    case 'RLIKE':
      skipWords(cursor, negated);
      return binary(
        negated ? 'not regexp' : 'regexp',
        left,
        cursor.nested(() => patternOperand(cursor)),
      );
    case 'SOUNDS':
      if (!cursor.acceptSequence('SOUNDS', 'LIKE')) return undefined;
      return binary(
        'sounds like',
        left,
        cursor.nested(() => patternOperand(cursor)),
      );
    case 'MEMBER':
      return cursor.mariadb ? undefined : memberOf(cursor, left);
    default:
      return undefined;
  }
}

function skipWords(cursor: TokenCursor, negated: boolean): void {
  cursor.advance();
  if (negated) cursor.advance();
}

function inList(cursor: TokenCursor, operand: Expression, negated: boolean): InExpression {
  const inner = parseParentheses(cursor);
  const list = inner.kind === 'query' ? inner.query : inner.items;
  return { kind: 'in', operand, negated, list, span: cursor.spanFrom(operand.span.start) };
}

function like(
  cursor: TokenCursor,
  left: Expression,
  operator: 'like' | 'not like',
): BinaryExpression {
  const right = cursor.nested(() => patternOperand(cursor));
  if (!cursor.accept('ESCAPE')) return binary(operator, left, right);
  const escaping = cursor.mariadb ? patternOperand(cursor) : parseUnary(cursor);
  const span = cursor.spanFrom(left.span.start);
  return { kind: 'binary', operator, left, right, escape: escaping, span };
}

function memberOf(cursor: TokenCursor, left: Expression): BinaryExpression | undefined {
  if (!cursor.acceptSequence('MEMBER', 'OF')) {
    if (!cursor.isSequence('MEMBER', '(')) return undefined;
    cursor.advance();
  }
  cursor.expect('(');
  const right = cursor.expression();
  cursor.expect(')');
  const span = cursor.spanFrom(left.span.start);
  return { kind: 'binary', operator: 'member of', left, right, span };
}

/** Arithmetic and bit operators: MySQL's `bit_expr`. */
export function parseOperand(cursor: TokenCursor): Expression {
  return arithmetic(cursor, 1);
}

function arithmetic(cursor: TokenCursor, tightest: number): Expression {
  let left = concatenation(cursor);
  for (let links = 0; ; links++) {
    const entry = ARITHMETIC[cursor.word];
    if (entry === undefined || entry[1] < tightest) return left;
    if (links === CHAIN_MAX) cursor.fail('a shorter chain of operators');
    cursor.advance();
    left = binary(entry[0], left, arithmetic(cursor, entry[1] + 1));
  }
}

/** Under PIPES_AS_CONCAT two pipes bind tighter than `^`, looser than signs. */
function concatenation(cursor: TokenCursor): Expression {
  let left = parseUnary(cursor);
  if (!cursor.context.pipesAsConcat) return left;
  for (let links = 0; cursor.accept('||'); links++) {
    if (links === CHAIN_MAX) cursor.fail('a shorter chain of operators');
    left = binary('concat', left, parseUnary(cursor));
  }
  return left;
}

function parseUnary(cursor: TokenCursor): Expression {
  if (cursor.operandRead !== undefined) return collated(cursor, parsePrimary(cursor));
  const highNot = cursor.context.highNotPrecedence && cursor.is('NOT');
  const operator = highNot ? 'not' : UNARY[cursor.word];
  if (operator === undefined) return collated(cursor, parsePrimary(cursor));
  const start = cursor.start;
  cursor.advance();
  const operand = cursor.nested(() => parseUnary(cursor));
  return { kind: 'unary', operator, operand, span: cursor.spanFrom(start) };
}

function collated(cursor: TokenCursor, primary: Expression): Expression {
  let operand = primary;
  for (let links = 0; cursor.accept('COLLATE'); links++) {
    if (links === CHAIN_MAX) cursor.fail('fewer collations');
    const collation = collationName(cursor);
    operand = { kind: 'collate', operand, collation, span: cursor.spanFrom(primary.span.start) };
  }
  return operand;
}

/** A collation may be named by a word, BINARY too, or by a string. */
function collationName(cursor: TokenCursor): string {
  if (cursor.is('BINARY') || cursor.is('DEFAULT')) return cursor.anyName().toLowerCase();
  if (!cursor.isString()) return cursor.identifier('a collation').toLowerCase();
  cursor.shapingSlots.push(cursor.ordinal);
  const name = cursor.text.toString('utf8', cursor.start + 1, cursor.end - 1);
  cursor.advance();
  return name.toLowerCase();
}

function binary(operator: BinaryOperator, left: Expression, right: Expression): BinaryExpression {
  const span = { start: left.span.start, end: right.span.end };
  return { kind: 'binary', operator, left, right, span };
}

function chain(operator: 'and' | 'or', operands: readonly Expression[]): Expression {
  if (operands.length > LEFT_DEEP_MAX) {
    const middle = operands.length >> 1;
    const left = chain(operator, operands.slice(0, middle));
    return binary(operator, left, chain(operator, operands.slice(middle)));
  }
  return operands.reduce((left, right) => binary(operator, left, right));
}
