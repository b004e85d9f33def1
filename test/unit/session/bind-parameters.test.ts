import { expect, test } from 'vitest';
import { bindParameters } from '../../../src/session/bind-parameters.ts';
import { parameterPlaces } from '../../../src/session/parameter-places.ts';
import type { LexicalContext } from '../../../src/sql/statement.ts';
import * as types from '../../../src/wire/column-types.ts';
import type { Parameter } from '../../../src/wire/statement-packets.ts';
import { MARIADB, MYSQL } from '../sql/lexical-contexts.ts';

function bound(sql: string, parameters: readonly Parameter[], lexical = MYSQL): string {
  const text = Buffer.from(sql);
  const places = parameterPlaces(text, lexical);
  return bindParameters(text, places, parameters, { lexical, readsAsUtf8: true }).toString(
    'latin1',
  );
}

function of(type: number, bytes: Buffer | undefined, unsigned = false): Parameter {
  return { type, unsigned, bytes };
}

function double(value: number): Parameter {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return of(types.MYSQL_TYPE_DOUBLE, bytes);
}

const text = (value: string | Buffer): Parameter =>
  of(types.MYSQL_TYPE_VAR_STRING, Buffer.from(value));

test.each<[string, Parameter, string]>([
  ['NULL', of(types.MYSQL_TYPE_VAR_STRING, undefined), 'NULL'],
  ['TINY', of(types.MYSQL_TYPE_TINY, Buffer.from([255])), '-1'],
  ['unsigned TINY', of(types.MYSQL_TYPE_TINY, Buffer.from([255]), true), '255'],
  [
    'unsigned BIGINT',
    of(types.MYSQL_TYPE_LONGLONG, Buffer.alloc(8, 255), true),
    `${2n ** 64n - 1n}`,
  ],
  ['DOUBLE', double(0.1), '0.1e0'],
  ['a whole DOUBLE', double(5), '5e0'],
  ['a large DOUBLE', double(1e300), '1e+300'],
  ['the negative zero', double(-0), '-0e0'],
  ['DECIMAL', of(types.MYSQL_TYPE_NEWDECIMAL, Buffer.from('1.50')), '1.50'],
  ['a whole DECIMAL', of(types.MYSQL_TYPE_NEWDECIMAL, Buffer.from('15')), '15.'],
  ['a strange DECIMAL', of(types.MYSQL_TYPE_NEWDECIMAL, Buffer.from("1'")), "'1'''"],
  ['DATE', of(types.MYSQL_TYPE_DATE, Buffer.from([0xe8, 7, 2, 29])), "DATE'2024-02-29'"],
  ['a zero DATE', of(types.MYSQL_TYPE_DATE, Buffer.alloc(0)), "'0000-00-00'"],
  ['a half DATE', of(types.MYSQL_TYPE_DATE, Buffer.from([0xe8, 7, 2, 0])), "'2024-02-00'"],
  [
    'DATETIME',
    of(types.MYSQL_TYPE_DATETIME, Buffer.from([0xe8, 7, 2, 29, 1, 2, 3, 1, 0, 0, 0])),
    "TIMESTAMP'2024-02-29 01:02:03.000001'",
  ],
  [
    'TIME',
    of(types.MYSQL_TYPE_TIME, Buffer.from([1, 34, 0, 0, 0, 22, 59, 58, 1, 0, 0, 0])),
    "TIME'-838:59:58.000001'",
  ],
  ['text', text("it's \\ 'x'"), "'it''s \\\\ ''x'''"],
  ['bytes that are no text', text(Buffer.from([0xff])), "_binary'\xff'"],
  ['BLOB', of(types.MYSQL_TYPE_BLOB, Buffer.from([0, 0x27, 0x5c])), "_binary'\0''\\\\'"],
])('%s is written as a literal of its type', (_name, parameter, literal) => {
  expect(bound('SELECT ABS(?)', [parameter])).toBe(`SELECT ABS( ${literal} )`);
});

test('backslashes are doubled only where they escape', () => {
  const lexical: LexicalContext = { ...MYSQL, noBackslashEscapes: true };
  expect(bound('SELECT ?', [text("a\\'")], lexical)).toBe("SELECT  'a\\''' ");
});

test.each([
  ['SELECT a FROM t WHERE id = ?', '5'],
  ['SELECT a FROM t WHERE id IN (1, ?)', '5'],
  ['SELECT a FROM t WHERE id BETWEEN ? AND 9', '5'],
  ['INSERT INTO t VALUES (1, ?)', '5'],
  ['UPDATE t SET a = ?', '5'],
  ['SELECT a FROM t LIMIT ?', '5'],
  ['SELECT a FROM t LIMIT 3, ?', '5'],
  ['SELECT a FROM t LIMIT 3 OFFSET ?', '5'],
  ['SELECT a FROM t WHERE id = ? + 1', '5e0'],
  ['SELECT a FROM t WHERE id = 1 / ?', '5e0'],
  ['SELECT ?', '5e0'],
  ['SELECT ROUND(1, ?)', '5e0'],
])('a whole DOUBLE in %s is %s', (sql, literal) => {
  expect(bound(sql, [double(5)])).toBe(sql.replace('?', ` ${literal} `));
});

test('a parameter in ORDER BY is no position on MySQL, and one on MariaDB', () => {
  const two = of(types.MYSQL_TYPE_TINY, Buffer.from([2]));
  expect(bound('SELECT a FROM t ORDER BY a, ?', [two])).toBe('SELECT a FROM t ORDER BY a,  NULL ');
  expect(bound('SELECT a FROM t ORDER BY ?', [two], MARIADB)).toBe('SELECT a FROM t ORDER BY  2 ');
});

test('question marks in strings, names and comments are no parameters', () => {
  const sql = 'SELECT \'?\', `?`, "?" /* ? */ FROM t WHERE a=? -- ?';
  expect(bound(sql, [text('x')])).toBe(sql.replace('a=?', "a= 'x' "));
});
