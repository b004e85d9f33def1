import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fingerprinter, LITERALS_MAX, printableFingerprint } from '../../../src/sql/fingerprint.ts';
import type { LexicalContext } from '../../../src/sql/statement.ts';
import { templatePosition, textPosition } from '../../../src/sql/template-position.ts';
import { readTokens } from '../../../src/sql/token-list.ts';
import { LAST_LITERAL_KIND } from '../../../src/sql/tokenizer.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

function scan(sql: string, context: LexicalContext = MARIADB) {
  const text = Buffer.from(sql);
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, context);
  return fingerprinter;
}

function templateOf({ template, templateLength }: Fingerprinter): string {
  return Buffer.from(template.subarray(0, templateLength)).toString('utf8');
}

test('literals become marks of their type and all else stays', () => {
  const found = scan(
    "SELECT  a /* 1 */ FROM t WHERE x = -5 AND y IN ('a''b', 1.5, 1e3, x'4D', b'1')",
  );

  expect(templateOf(found)).toBe(
    'SELECT  a /* 1 */ FROM t WHERE x = -\x01 AND y IN (\x04, \x02, \x03, \x06, \x07)',
  );
  expect(found.cacheable).toBe(true);
});

test('statements that differ in literals alone have one template and one hash', () => {
  const first = scan("SELECT a FROM t WHERE id = 5 AND name = 'x'");
  const second = scan("SELECT a FROM t WHERE id = 123456 AND name = 'much longer'");

  expect(templateOf(second)).toBe(templateOf(first));
  expect(second.hash).toBe(first.hash);
});

test.each([
  ['the type of a literal', 'SELECT 5', "SELECT '5'"],
  ['an identifier', 'SELECT a FROM t', 'SELECT b FROM t'],
  ['code in a versioned comment', 'SELECT 1 /*!40000 , 2 */', 'SELECT 1 /*!40001 , 2 */'],
])('%s makes another template', (_name, first, second) => {
  expect(templateOf(scan(second))).not.toBe(templateOf(scan(first)));
  expect(scan(second).hash).not.toBe(scan(first).hash);
});

test('the lexical context is part of the hash', () => {
  expect(scan('SELECT a', MYSQL).hash).not.toBe(scan('SELECT a', MARIADB).hash);
});

test.each([
  ['SELECT 1', 8, -1],
  ['SELECT 1;', 8, -1],
  ['SELECT 1 ; -- done', 9, -1],
  ['SELECT 1;;', 8, -1],
  ['SELECT 1; SELECT 2', 8, 9],
  ["SELECT ';'; SELECT 2", 10, 11],
  ['SELECT 1 /* ; */', 16, -1],
  ['CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END', 50, -1],
  ['CREATE DEFINER=`a`@`b` TRIGGER r BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a=1; END', 84, -1],
  ['CREATE TABLE a (b int); SELECT 1', 22, 23],
  ['BEGIN; SELECT 1', 5, 6],
  ['SELECT NOT 1; SELECT 2', 12, 13],
  ['ALTER TABLE t ADD event INT; SELECT 1', 27, 28],
  ['BEGIN NOT ATOMIC SELECT 1; END', 30, -1],
  ['alter event e do begin select 1; end', 36, -1],
])('%j ends at %d and goes on at %d', (sql, end, next) => {
  const found = scan(sql);

  expect([found.statementEnd, found.nextStatement]).toEqual([end, next]);
});

test.each([
  ['control bytes that look like marks', 'SELECT 1 /* \x01 */'],
  ['an open quote', "SELECT 'a"],
  [
    'more literals than a plan may have',
    `SELECT ${Array(LITERALS_MAX + 1)
      .fill('1')
      .join(',')}`,
  ],
])('%s make a statement that is not cached', (_name, sql) => {
  expect(scan(sql).cacheable).toBe(false);
});

test('a statement with as many literals as allowed is cached', () => {
  const found = scan(`SELECT ${Array(LITERALS_MAX).fill('1').join(',')}`);

  expect([found.cacheable, found.literals.count]).toEqual([true, LITERALS_MAX]);
});

test('a fingerprinter forgets the statement before it', () => {
  const fingerprinter = new Fingerprinter();
  const long = Buffer.from(`SELECT '${'x'.repeat(5000)}', \x01`);
  const short = Buffer.from('SELECT 1 x');
  fingerprinter.scan(long, 0, long.length, MARIADB);
  fingerprinter.scan(short, 0, short.length, MARIADB);

  expect(templateOf(fingerprinter)).toBe('SELECT \x01 x');
  expect(fingerprinter.hash).toBe(scan('SELECT 1 x').hash);
  expect([fingerprinter.cacheable, fingerprinter.literals.count]).toEqual([true, 1]);
});

test('logs show question marks', () => {
  const found = scan("SELECT 'secret', 5");

  expect(printableFingerprint(found.template.subarray(0, found.templateLength))).toBe(
    'SELECT ?, ?',
  );
});

const LITERALS = [
  '1',
  "'a'",
  "'it''s'",
  '1.5',
  '.5',
  '1e5',
  "x'4D'",
  '0x1F',
  "b'1'",
  "N'x'",
  '"q"',
];
const OTHERS = [
  ' ',
  ' AND ',
  'a',
  't.1a',
  '`n``m`',
  '@v',
  '@@x',
  '+',
  '-',
  '(',
  ')',
  ',',
  '/* 1 */',
  '?',
  '=',
  '5--1 ',
];
const fragments = fc.array(fc.constantFrom(...LITERALS, ...OTHERS), { maxLength: 30 });

test('fingerprint and parser count the same literals at the same places', () => {
  fc.assert(
    fc.property(fragments, (parts) => {
      const text = Buffer.from(parts.join(' '));
      const { literals } = scan(parts.join(' '));
      const list = readTokens(text, MARIADB);
      const expected: number[][] = [];
      for (let index = 0; index < list.count; index++) {
        const kind = list.kinds[index] ?? 0;
        if (kind === 0 || kind > LAST_LITERAL_KIND) continue;
        expected.push([list.starts[index] ?? -1, list.ends[index] ?? -1, kind]);
        expect(list.ordinals[index]).toBe(expected.length - 1);
      }
      const found = Array.from({ length: literals.count }, (_, slot) => [
        literals.starts[slot],
        literals.ends[slot],
        literals.types[slot],
      ]);

      expect(found).toEqual(expected);
    }),
  );
});

test('places of the template and of the text map to each other', () => {
  fc.assert(
    fc.property(fragments, fc.nat(20), (parts, base) => {
      const sql = parts.join(' ');
      const text = Buffer.from(`${' '.repeat(base)}${sql}`);
      const fingerprinter = new Fingerprinter();
      fingerprinter.scan(text, base, text.length, MARIADB);
      const { literals, template, templateLength } = fingerprinter;

      for (let at = 0; at <= templateLength; at++) {
        const place = textPosition(at, literals, base);
        expect(templatePosition(place, literals, base)).toBe(at);
        const byte = template[at] ?? 0;
        if (at < templateLength && byte > LAST_LITERAL_KIND) expect(text[place]).toBe(byte);
      }
    }),
  );
});

test('a mark begins and ends where its literal does', () => {
  const { literals } = scan("SELECT 'abc', 12");

  expect([7, 8, 10, 11].map((at) => textPosition(at, literals))).toEqual([7, 12, 14, 16]);
  expect(templatePosition(9, literals)).toBe(7);
});
