import { expect, test } from 'vitest';
import type { LexicalContext } from '../../../src/sql/statement.ts';
import { Tokenizer, TokenKind } from '../../../src/sql/tokenizer.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

const KIND_NAMES = new Map<number, string>(
  Object.entries(TokenKind).map(([name, kind]) => [kind, name]),
);
const SHORT: Readonly<Record<string, string>> = { operator: 'op' };

/** `SELECT 1` reads as `word:SELECT integer:1`. */
function tokens(sql: string, context: LexicalContext): string {
  const text = Buffer.from(sql);
  const tokenizer = new Tokenizer();
  tokenizer.reset(text, 0, text.length, context);
  const found: string[] = [];
  for (;;) {
    const kind = tokenizer.next();
    if (kind === TokenKind.end) return found.join(' ');
    if (kind === TokenKind.error) return [...found, 'error'].join(' ');
    const name = KIND_NAMES.get(kind) ?? '';
    found.push(`${SHORT[name] ?? name}:${text.toString('utf8', tokenizer.start, tokenizer.end)}`);
  }
}

const BOTH: readonly (readonly [sql: string, expected: string])[] = [
  // Comments.
  ['a # b\nc', 'word:a word:c'],
  ['a -- b\nc', 'word:a word:c'],
  ['a --\nc', 'word:a word:c'],
  ['a --\u0001b\nc', 'word:a word:c'],
  ['a --', 'word:a'],
  ['5--1', 'integer:5 op:- op:- integer:1'],
  ['a /* b /* c */ d', 'word:a word:d'],
  ['a /* b', 'word:a error'],
  ['/*/ a */ b', 'word:b'],
  ['a /*! b */ c', 'word:a word:b word:c'],
  ['a /*!40000 b */ c', 'word:a word:b word:c'],
  ['a /*!40000 b /* x */ c */ d', 'word:a word:b word:c word:d'],
  ['a /*!999999 b /* c */ d */ e', 'word:a word:e'],
  ['a /*!40000 b', 'word:a word:b error'],
  ['a */ b', 'word:a op:* op:/ word:b'],
  ['SELECT /*+ hint */ a', 'word:SELECT word:a'],
  // Strings.
  ["'it''s'", "string:'it''s'"],
  ["'a\\'b'", "string:'a\\'b'"],
  ['"a""b"', 'string:"a""b"'],
  ['\'a\' "b"', 'string:\'a\' string:"b"'],
  ["'a", 'error'],
  ["N'x' n'y'", "nationalString:N'x' nationalString:n'y'"],
  ["N 'x'", "word:N string:'x'"],
  ["_utf8'x'", "word:_utf8 string:'x'"],
  // Hexadecimal and bits.
  ["x'4D' X'4d'", "hex:x'4D' hex:X'4d'"],
  ["x'4'", 'error'],
  ["x'4G'", 'error'],
  ['0x1F', 'hex:0x1F'],
  ['0X1F', 'word:0X1F'],
  ['0x1Fg', 'word:0x1Fg'],
  ['0x', 'word:0x'],
  ["b'01' 0b01 0B01", "bit:b'01' bit:0b01 word:0B01"],
  ["b''", "bit:b''"],
  ['0b012', 'word:0b012'],
  // Numbers.
  ['1 1. .5 1.5', 'integer:1 decimal:1. decimal:.5 decimal:1.5'],
  ['1.e3 1e5 1E-3 1e+3', 'float:1.e3 float:1e5 float:1E-3 float:1e+3'],
  ['1e 1a 1e+', 'word:1e word:1a word:1e op:+'],
  ['1e5a', 'float:1e5 word:a'],
  ['1.5a', 'decimal:1.5 word:a'],
  ['1.e', 'error'],
  ['18446744073709551616', 'integer:18446744073709551616'],
  // Identifiers.
  ['a$b _c ä', 'word:a$b word:_c word:ä'],
  ['`a``b`', 'quotedName:`a``b`'],
  ['`a', 'error'],
  ['lx.select', 'name:lx op:. name:select'],
  ['select.a', 'name:select op:. name:a'],
  ['t.1a t.1e5', 'name:t op:. name:1a name:t op:. name:1e5'],
  ['d.t.1', 'name:d op:. name:t op:. name:1'],
  ['t . 1', 'word:t op:. integer:1'],
  ['t .5', 'word:t decimal:.5'],
  ['`t`.5', 'quotedName:`t` decimal:.5'],
  ['`t`.5a', 'quotedName:`t` decimal:.5 word:a'],
  // Variables.
  ['@a.b$c', 'userVariable:@a.b$c'],
  ['@`a b` @\'q\' @"r"', 'userVariable:@`a b` userVariable:@\'q\' userVariable:@"r"'],
  ['@@global.x', 'systemVariable:@@ name:global op:. name:x'],
  ['@@`x`', 'systemVariable:@@ quotedName:`x`'],
  ["'u'@'h'", "string:'u' userVariable:@'h'"],
  ['u@host', 'word:u userVariable:@host'],
  ['@ a', 'error'],
  ['@@ a', 'error'],
  ['@a:=1', 'userVariable:@a op::= integer:1'],
  // Operators.
  ['a<=>b', 'word:a op:<=> word:b'],
  ['<> != <= >= << >> && || | &', 'op:<> op:!= op:<= op:>= op:<< op:>> op:&& op:|| op:| op:&'],
  ['a>=!b', 'word:a op:>= op:! word:b'],
  ['(?,?)', 'op:( parameter:? op:, parameter:? op:)'],
  ['?a', 'error'],
  ['a\u0001b', 'word:a error'],
  ['a\u0000', 'word:a error'],
  ['a\t\n\r\f\vb', 'word:a word:b'],
];

test.each(BOTH)('%j is read alike by both kinds of server', (sql, expected) => {
  expect([tokens(sql, MYSQL), tokens(sql, MARIADB)]).toEqual([expected, expected]);
});

test.each([
  // MySQL's versions that MariaDB never had, and MariaDB's own marks.
  ['a /*!50700 b */ c', 'word:a word:b word:c', 'word:a word:c'],
  ['a /*!80000 b */ c', 'word:a word:b word:c', 'word:a word:c'],
  ['a /*!100100 b */ c', 'word:a word:c', 'word:a word:b word:c'],
  ['a /*M! b */ c', 'word:a word:c', 'word:a word:b word:c'],
  ['a /*M!100100 b */ c', 'word:a word:c', 'word:a word:b word:c'],
  ['a /*M!50701 b */ c', 'word:a word:c', 'word:a word:b word:c'],
  ['a->b', 'word:a op:-> word:b', 'word:a op:- op:> word:b'],
  ['a->>b', 'word:a op:->> word:b', 'word:a op:- op:>> word:b'],
  ['\\N', 'error', 'nullEscape:\\N'],
  ['1=!0', 'integer:1 error', 'integer:1 op:= op:! integer:0'],
  ['!!1', 'error', 'op:! op:! integer:1'],
])('%j depends on the kind of server', (sql, mysql, mariadb) => {
  expect([tokens(sql, MYSQL), tokens(sql, MARIADB)]).toEqual([mysql, mariadb]);
});

test.each<[string, Partial<LexicalContext>, string]>([
  ['"a""b" \'c\'', { ansiQuotes: true }, 'quotedName:"a""b" string:\'c\''],
  ['@"a b"', { ansiQuotes: true }, 'userVariable:@"a b"'],
  ["'a\\' b", { noBackslashEscapes: true }, "string:'a\\' word:b"],
  ["'a\\'", {}, 'error'],
])('%j under %j', (sql, modes, expected) => {
  expect(tokens(sql, { ...MYSQL, ...modes })).toBe(expected);
});

test('the bytes behind the end are not read', () => {
  const text = Buffer.from("SELECT 12345, 'abc'");
  const tokenizer = new Tokenizer();
  tokenizer.reset(text, 0, 9, MYSQL);

  expect([tokenizer.next(), tokenizer.next(), tokenizer.end]).toEqual([
    TokenKind.word,
    TokenKind.integer,
    9,
  ]);
  expect(tokenizer.next()).toBe(TokenKind.end);
});

test('the last optimizer hint is remembered', () => {
  const text = Buffer.from('SELECT /*+ shard(s1) */ a');
  const tokenizer = new Tokenizer();
  tokenizer.reset(text, 0, text.length, MYSQL);
  while (tokenizer.next() !== TokenKind.end);

  expect(text.toString('utf8', tokenizer.hintStart, tokenizer.hintEnd)).toBe('/*+ shard(s1) */');
});
