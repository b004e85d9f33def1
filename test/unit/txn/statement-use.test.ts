import { expect, test } from 'vitest';
import { statementUse } from '../../../src/txn/statement-use.ts';

test.each([
  ['SELECT 1', 'read'],
  ['  \t(( select 1))', 'read'],
  ['/* hint */ SELECT 1', 'read'],
  ['SHOW TABLES', 'read'],
  ['SET timestamp = 1', 'read'],
  ['SELECT * FROM t WHERE id = 1 FOR UPDATE', 'locked'],
  ['select * from t for\nshare', 'locked'],
  ['SELECT * FROM t LOCK IN SHARE MODE', 'locked'],
  ['UPDATE t SET a = 1', 'wrote'],
  ['/*! UPDATE t SET a = 1 */', 'wrote'],
  ['/*M! DELETE FROM t */', 'wrote'],
  ['/*! INSERT INTO t */ SELECT 1', 'wrote'],
  ['/*m! INSERT INTO t */ SELECT 1', 'wrote'],
  ['/*M! INSERT INTO t */ SELECT 1', 'wrote'],
  ['/* SELECT */ DELETE FROM t', 'wrote'],
  ['selectx', 'wrote'],
  ['-- SELECT\nDELETE FROM t', 'wrote'],
  ['CALL p()', 'wrote'],
  ['WITH x AS (SELECT 1) DELETE FROM t', 'wrote'],
  ['/* open', 'wrote'],
  ['', 'wrote'],
] as const)('%j: %s', (sql, use) => {
  expect(statementUse(Buffer.from(`\u0003${sql}`))).toBe(use);
});

test('a locking clause is found at the end of a long statement', () => {
  const list = Array.from({ length: 5_000 }, (_, index) => index).join(',');
  const sql = `\u0003SELECT * FROM t WHERE id IN (${list}) FOR UPDATE`;
  expect(statementUse(Buffer.from(sql))).toBe('locked');
});

test.each([
  [0x02, 'read'],
  [0x0e, 'read'],
  [0x17, 'wrote'],
  [0x1f, 'wrote'],
])('command 0x%s: %s', (command, use) => {
  expect(statementUse(Buffer.from([command]))).toBe(use);
});
