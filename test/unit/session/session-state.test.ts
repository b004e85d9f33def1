import { describe, expect, test } from 'vitest';
import { charsetOfLogin, isSafeCharset, keyTextOf } from '../../../src/session/charsets.ts';
import { likePattern } from '../../../src/session/like-pattern.ts';
import { lexicalUnder, SessionData } from '../../../src/session/session-state.ts';
import { literalOf } from '../../../src/session/set-expression.ts';
import type { LexicalContext } from '../../../src/sql/statement.ts';

const LEXICAL: LexicalContext = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  ignoreSpace: false,
  highNotPrecedence: false,
  flavour: 'mysql',
  serverVersion: 80_400,
};

const UTF8MB4 = { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };

function session(database: string | undefined = 'shop'): SessionData {
  return new SessionData({ database, charset: UTF8MB4, foundRows: false, lexical: LEXICAL });
}

test.each([
  ['utf8mb4', 'utf8mb4', undefined],
  ['utf8mb4', 'utf8mb3', 'utf8mb3'],
  ['utf8mb3', 'utf8mb4', 'utf8mb3'],
  ['utf8mb4', 'latin1', 'ascii'],
  ['latin1', 'utf8mb4', 'ascii'],
  ['utf8mb3', 'latin1', 'ascii'],
  ['binary', 'binary', 'binary'],
  ['utf8mb4', 'binary', 'none'],
  ['utf8mb4', 'ucs2', 'none'],
  ['latin1', 'utf16', 'none'],
] as const)('strings from %s to %s can be keys: %s', (client, connection, keyText) => {
  expect(keyTextOf(client, connection)).toBe(keyText);
});

describe('the state of leases', () => {
  test('is one and the same object for sessions that are alike', () => {
    const one = session();
    const other = session();
    one.setVariables(new Map([['time_zone', "'+00:00'"]]));

    expect(one.state).not.toBe(other.state);
    one.setVariables(new Map([['time_zone', undefined]]));
    expect(one.state).toBe(other.state);
  });

  test('leaves out what connections have anyway', () => {
    const data = session();
    data.setVariables(new Map([['autocommit', '0']]));
    expect([...data.state.variables]).toEqual([['autocommit', '0']]);
    expect(data.autocommit).toBe(false);

    data.setVariables(new Map([['autocommit', '1']]));
    expect(data.state.variables.size).toBe(0);
    expect(data.autocommit).toBe(true);
  });

  test('bears the character set of the login', () => {
    const latin1 = { charset: 'latin1', collation: 'latin1_swedish_ci' };
    const data = new SessionData({
      database: undefined,
      charset: latin1,
      foundRows: false,
      lexical: LEXICAL,
    });

    expect(data.state.variables.get('character_set_client')).toBe("'latin1'");
    expect(data.readsAsUtf8).toBe(false);
    expect(data.clientCharset).toBe('latin1');
  });

  test('is as after the login when it is reset, in the database of now', () => {
    const data = session();
    data.setDatabase('other');
    data.setVariables(
      new Map([
        ['sql_mode', "'ANSI_QUOTES'"],
        ['autocommit', '0'],
        ['@x', '1'],
      ]),
    );
    data.lastInsertId = 5;
    data.reset();

    expect(data.state).toBe(session('other').state);
    expect(data.lexical).toEqual(LEXICAL);
    expect(data.autocommit).toBe(true);
    expect(data.lastInsertId).toBe(0);
  });
});

test('sql_mode changes how text is read, and the status that clients escape by', () => {
  const data = session();
  expect(data.statusFlags).toBe(2);
  const before = data.lexicalKey;
  data.setVariables(new Map([['sql_mode', "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"]]));

  expect(data.lexical.ansiQuotes).toBe(true);
  expect(data.lexical.pipesAsConcat).toBe(false);
  expect(data.lexicalKey).not.toBe(before);
  expect(data.statusFlags).toBe(2 + 512);
  data.setVariables(new Map([['sql_mode', undefined]]));
  expect(data.lexicalKey).toBe(before);
});

test('ROW_COUNT, FOUND_ROWS and LAST_INSERT_ID follow the statements', () => {
  const data = session();
  data.ended({ kind: 'ok', affectedRows: 3, lastInsertId: 7 }, undefined);
  expect([data.rowCount, data.lastInsertId]).toEqual([3, 7]);
  data.ended({ kind: 'ok', affectedRows: 1, lastInsertId: 0 }, undefined);
  expect([data.rowCount, data.lastInsertId]).toEqual([1, 7]);
  data.ended({ kind: 'rows', affectedRows: 0, lastInsertId: 0 }, 42);
  expect([data.rowCount, data.foundRows]).toEqual([-1, 42]);
  data.ended({ kind: 'error', affectedRows: 0, lastInsertId: 0 }, undefined);
  expect([data.rowCount, data.foundRows]).toEqual([-1, 42]);
});

test.each([
  ['', []],
  ['STRICT_TRANS_TABLES', []],
  [
    'REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ANSI',
    ['ansiQuotes', 'ignoreSpace', 'pipesAsConcat'],
  ],
  ['HIGH_NOT_PRECEDENCE', ['highNotPrecedence']],
])('sql_mode %s', (mode, expected) => {
  const lexical = lexicalUnder(mode, LEXICAL);
  const on = Object.entries(lexical).flatMap(([name, value]) => (value === true ? [name] : []));

  expect(on.sort()).toEqual(expected);
});

describe('values that every server reads alike', () => {
  const text = { isNumber: false, isBinary: false, charset: 'utf8mb4' };

  test.each([
    [undefined, text, 'NULL'],
    [Buffer.from('12'), { ...text, isNumber: true }, '12'],
    [Buffer.from("it's"), text, "'it''s'"],
    [Buffer.from('a\\b'), text, "_utf8mb4 x'615c62'"],
    [Buffer.from('ä'), text, "_utf8mb4 x'c3a4'"],
    [Buffer.from([0, 255]), { ...text, isBinary: true }, "x'00ff'"],
  ])('%s', (value, column, expected) => {
    expect(literalOf(value, column)).toBe(expected);
  });
});

test.each([
  [45, 'utf8mb4'],
  [255, 'utf8mb4'],
  [224, 'utf8mb4'],
  [0, 'utf8mb4'],
  [33, 'utf8mb3'],
  [8, 'latin1'],
  [63, 'binary'],
  [28, undefined], // gbk_chinese_ci
  [51, undefined], // cp1251: not converted, so not guessed
])('collation %d of a login is %s', (id, charset) => {
  expect(charsetOfLogin(id, 'mysql')?.charset).toBe(charset);
});

test('character sets whose bytes can be mistaken for quotes are not safe', () => {
  expect(['utf8mb4', 'latin1', 'gbk', 'SJIS', 'big5'].filter(isSafeCharset)).toEqual([
    'utf8mb4',
    'latin1',
  ]);
});

test.each([
  ['shop%', 'shop_1', true],
  ['sh_p', 'shop', true],
  ['sh_p', 'shoop', false],
  ['a\\_b', 'a_b', true],
  ['a\\_b', 'axb', false],
  ['A.B', 'a.b', true],
  ['a.b', 'axb', false],
])('LIKE %s on %s: %s', (pattern, name, matches) => {
  expect(likePattern(pattern).test(name)).toBe(matches);
});
