import { expect, test } from 'vitest';
import { NotParsed } from '../../../src/sql/parse-error.ts';
import { parseStatement } from '../../../src/sql/parse-statement.ts';
import type { Expression, LexicalContext } from '../../../src/sql/statement.ts';
import { bracketedText } from '../../support/tree-text.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

/** The WHERE condition of a SELECT, as a tree. */
function condition(sql: string, context: LexicalContext = MYSQL): Expression {
  const statement = parseStatement(Buffer.from(`SELECT 1 FROM t WHERE ${sql}`), context);
  if (statement.kind !== 'select' || statement.query.body.kind !== 'select') throw new Error(sql);
  const { where } = statement.query.body;
  if (where === undefined) throw new Error(sql);
  return where;
}

function bracketed(sql: string, context: LexicalContext = MYSQL): string {
  const text = Buffer.from(`SELECT 1 FROM t WHERE ${sql}`);
  return bracketedText(condition(sql, context), text);
}

test.each([
  ['a=1 OR b=2 AND c=3', '((a = 1) OR ((b = 2) AND (c = 3)))'],
  ['a AND b OR c AND d', '((a AND b) OR (c AND d))'],
  ['a XOR b AND c', '(a XOR (b AND c))'],
  ['a OR b XOR c', '(a OR (b XOR c))'],
  ['a=1 || b=2', '((a = 1) OR (b = 2))'],
  ['a=1 && b=2', '((a = 1) AND (b = 2))'],
  ['a || b && c', '(a OR (b AND c))'],
  ['a | b & c', '(a | (b & c))'],
  ['a + b << c', '((a + b) << c)'],
  ['a << b + c', '(a << (b + c))'],
  ['a & b << c', '(a & (b << c))'],
  ['a ^ b * c', '((a ^ b) * c)'],
  ['a * b ^ c', '(a * (b ^ c))'],
  ['a - b - c', '((a - b) - c)'],
  ['a DIV b % c MOD d', '(((a DIV b) % c) % d)'],
  ['-a ^ b', '((- a) ^ b)'],
  ['a LIKE b = c', '((a LIKE b) = c)'],
  ['a = b LIKE c', '(a = (b LIKE c))'],
  ['a = b IS NULL', '((a = b) IS NULL)'],
  ['a IS NULL = b', '((a IS NULL) = b)'],
  ['a = b = c', '((a = b) = c)'],
  ['a = b IN (c)', '(a = (b IN (c)))'],
  ['a IN (b) = c', '((a IN (b)) = c)'],
  ['a + 1 IN (b)', '((a + 1) IN (b))'],
  ['a BETWEEN b AND c AND d', '((a BETWEEN b AND c) AND d)'],
  ['a BETWEEN b AND c = d', '((a BETWEEN b AND c) = d)'],
  ['a BETWEEN b + 1 AND c + 2 OR d', '((a BETWEEN (b + 1) AND (c + 2)) OR d)'],
  ['a NOT BETWEEN b AND c', '(a NOT BETWEEN b AND c)'],
  ['NOT a = b', '(NOT (a = b))'],
  ['NOT a BETWEEN b AND c AND d', '((NOT (a BETWEEN b AND c)) AND d)'],
  ['NOT a AND b', '((NOT a) AND b)'],
  ['NOT a IS NULL', '(NOT (a IS NULL))'],
  ['NOT NOT a', '(NOT (NOT a))'],
  ['!a = b', '((! a) = b)'],
  ['!a + b', '((! a) + b)'],
  ['BINARY a = b', '((BINARY a) = b)'],
  ['BINARY a COLLATE x = b', '((BINARY (a COLLATE x)) = b)'],
  ['-a COLLATE x', '(- (a COLLATE x))'],
  ['a COLLATE x + b', '((a COLLATE x) + b)'],
  ['a = b COLLATE x', '(a = (b COLLATE x))'],
  ['a LIKE b ESCAPE c AND d', '((a LIKE b ESCAPE c) AND d)'],
  ['a NOT LIKE b', '(a NOT LIKE b)'],
  ['a RLIKE b AND c', '((a REGEXP b) AND c)'],
  ['a SOUNDS LIKE b', '(a SOUNDS LIKE b)'],
  ['a = 1 AND a + INTERVAL 1 DAY > b', '((a = 1) AND ((a + INTERVAL 1 DAY) > b))'],
  ['INTERVAL 1 DAY + a > b', '((INTERVAL 1 DAY + a) > b)'],
  ['@a := 1 + 2 OR b', '(@a := ((1 + 2) OR b))'],
  ['1 + @a := 2 + 3', '(1 + (@a := (2 + 3)))'],
  ['(a OR b) AND c', '((a OR b) AND c)'],
  ['((a))', '((a))'],
  ['a <=> b <> c', '((a <=> b) <> c)'],
  ['CASE WHEN a OR b THEN c END = d', '((CASE WHEN (a OR b) THEN c END) = d)'],
  ['5--1 = a', '((5 - (- 1)) = a)'],
])('%s means %s', (sql, expected) => {
  expect(bracketed(sql)).toBe(expected);
});

test.each<[string, Partial<LexicalContext>, string]>([
  ['a || b || c', { pipesAsConcat: true }, '((a || b) || c)'],
  ['a || b = c', { pipesAsConcat: true }, '((a || b) = c)'],
  ['-a || b ^ c', { pipesAsConcat: true }, '(((- a) || b) ^ c)'],
  ['a ^ b || c', { pipesAsConcat: true }, '(a ^ (b || c))'],
  ['NOT a BETWEEN b AND c', { highNotPrecedence: true }, '((NOT a) BETWEEN b AND c)'],
  ['NOT a = b', { highNotPrecedence: true }, '((NOT a) = b)'],
  ['a NOT IN (b)', { highNotPrecedence: true }, '(a NOT IN (b))'],
])('%s under %j means %s', (sql, modes, expected) => {
  expect(bracketed(sql, { ...MYSQL, ...modes })).toBe(expected);
});

test.each([
  ['a LIKE b IN (c)', '((a LIKE b) IN (c))'],
  ['a LIKE b NOT IN (c)', '(a LIKE (b NOT IN (c)))'],
  ['a IN (b) NOT LIKE c', '((a IN (b)) NOT LIKE c)'],
  ['a LIKE b ESCAPE c + 1', '(a LIKE b ESCAPE (c + 1))'],
  ['a LIKE b ESCAPE c NOT IN (d)', '(a LIKE b ESCAPE (c NOT IN (d)))'],
  ['a BETWEEN b AND c BETWEEN d AND e', '(a BETWEEN b AND (c BETWEEN d AND e))'],
  ['a BETWEEN b AND c NOT BETWEEN d AND e', '(a BETWEEN b AND (c NOT BETWEEN d AND e))'],
])('%s is an expression of MariaDB alone', (sql, expected) => {
  expect(bracketed(sql, MARIADB)).toBe(expected);
});

test('MySQL does not let predicates follow each other', () => {
  expect(() => condition('a LIKE b IN (c)', MYSQL)).toThrow(NotParsed);
});

test.each([
  ['a = NOT b'],
  ['a + NOT b'],
  ['a AND'],
  ['a IS 5'],
  ['(a'],
  ['a b c'],
  ['a IN ()'],
  ['a, b'],
  ["a = 'x"],
  ['CASE WHEN a THEN b'],
  ['f(a'],
  ['a NOT b'],
  ['x = 1 FROM'],
])('%s is not parsed', (sql) => {
  expect(() => condition(sql)).toThrow(NotParsed);
});

test('an error says where and what was expected, and no value', () => {
  const text = Buffer.from("SELECT a FROM t WHERE a 'secret'");

  expect(() => parseStatement(text, MYSQL)).toThrow(
    'expected the end of the statement, found a literal at byte 24',
  );
});

test.each([
  ['WHERE x = 1e5', 'float', '1e5'],
  ['WHERE x = 1E-3', 'float', '1E-3'],
  ['WHERE x = 123456789.987654321', 'decimal', '123456789.987654321'],
  ['WHERE x = 9223372036854775807', 'integer', '9223372036854775807'],
  ["WHERE x = _utf8mb4'x'", 'string', "_utf8mb4'x'"],
  ["WHERE x = 'a' 'b'", 'string', "'a' 'b'"],
  ["WHERE x = DATE '2026-01-01'", 'date', "DATE '2026-01-01'"],
  ["WHERE x = {ts '2026-01-01 00:00:00'}", 'timestamp', "{ts '2026-01-01 00:00:00'}"],
])('the literal of %s keeps its type and text', (clause, type, source) => {
  const sql = `SELECT 1 FROM t ${clause}`;
  const statement = parseStatement(Buffer.from(sql), MYSQL);
  const body = statement.kind === 'select' ? statement.query.body : undefined;
  const where = body?.kind === 'select' ? body.where : undefined;
  if (where?.kind !== 'binary' || where.right.kind !== 'literal') throw new Error('no literal');

  const { span } = where.right;
  expect([where.right.type, sql.slice(span.start, span.end)]).toEqual([type, source]);
});

test('neighbouring strings are one literal of several slots', () => {
  expect(condition("a = 'x' /* c */ 'y' AND b = 1")).toMatchObject({
    left: { right: { kind: 'literal', slot: 1, slotCount: 2 } },
    right: { right: { kind: 'literal', slot: 3, slotCount: 1 } },
  });
});

test('versioned comments are code where the server runs them', () => {
  expect(bracketed('id = 5 /*! OR 1=1 */')).toBe('((id = 5) OR (1 = 1))');
  expect(bracketed('id = 5 /*!80000 AND b=2 */')).toBe('((id = 5) AND (b = 2))');
  expect(bracketed('id = 5 /*!80000 AND b=2 */', MARIADB)).toBe('(id = 5)');
  expect(bracketed('id = 5 /*!90000 AND b=2 */')).toBe('(id = 5)');
});

test('long chains of OR stay shallow and keep their order', () => {
  const terms = Array.from({ length: 5000 }, (_, i) => `a=${i}`);
  const tree = condition(terms.join(' OR '));
  const depth = (node: Expression): number =>
    node.kind === 'binary' ? 1 + Math.max(depth(node.left), depth(node.right)) : 0;

  expect(depth(tree)).toBeLessThan(100);
  expect(bracketed(terms.join(' OR ')).replaceAll(/[()]/g, '')).toBe(
    terms.map((term) => term.replace('=', ' = ')).join(' OR '),
  );
});

test.each([
  ['brackets', `${'('.repeat(5000)}1${')'.repeat(5000)}`],
  ['signs', `${'- '.repeat(5000)}1`],
  ['NOT', `${'NOT '.repeat(5000)}1`],
  ['functions', `${'f('.repeat(5000)}1${')'.repeat(5000)}`],
  ['CASE', `${'CASE WHEN '.repeat(5000)}1`],
  ['BETWEEN', `${'a BETWEEN '.repeat(5000)}1`],
  ['sums', Array(5000).fill('1').join('+')],
  ['collations', `a${' COLLATE b'.repeat(5000)}`],
])('deep nesting by %s is refused, not a crash', (_name, sql) => {
  expect(() => condition(sql)).toThrow(NotParsed);
});
