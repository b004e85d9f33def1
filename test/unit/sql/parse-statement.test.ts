import { expect, test } from 'vitest';
import { NotParsed } from '../../../src/sql/parse-error.ts';
import { parseStatement, parseText } from '../../../src/sql/parse-statement.ts';
import type { LexicalContext, Statement } from '../../../src/sql/statement.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

function parse(sql: string, context: LexicalContext = MYSQL): Statement {
  return parseStatement(Buffer.from(sql), context);
}

/** The text of every span in a tree, by the path to it. */
function spanTexts(sql: string, context: LexicalContext = MYSQL): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, part] of Object.entries(value)) {
      const here = path === '' ? key : `${path}.${key}`;
      if (key.toLowerCase().endsWith('span')) {
        found.set(here, Buffer.from(sql).toString('utf8', part.start, part.end));
      } else {
        visit(part, here);
      }
    }
  };
  visit(parse(sql, context), '');
  return found;
}

test('a query block keeps every clause', () => {
  const sql =
    'SELECT DISTINCT SQL_CALC_FOUND_ROWS a, t.*, COUNT(*) AS n FROM db.t AS x USE INDEX (i) ' +
    'WHERE a = 1 GROUP BY a DESC, b WITH ROLLUP HAVING n > 2 ORDER BY 1, b DESC LIMIT 5 OFFSET 10 FOR UPDATE';

  expect(parse(sql)).toMatchObject({
    kind: 'select',
    query: {
      body: {
        distinct: true,
        options: ['SQL_CALC_FOUND_ROWS'],
        items: [
          { expression: { kind: 'column', name: 'a' } },
          { expression: { kind: 'star', table: 't' } },
          {
            expression: { kind: 'call', name: 'COUNT', arguments: [{ kind: 'star' }] },
            alias: 'n',
          },
        ],
        from: [{ kind: 'table', database: 'db', name: 't', alias: 'x', partitioned: false }],
        where: { kind: 'binary' },
        groupBy: { rollup: true, items: [{ descending: true }, { descending: false }] },
        having: { kind: 'binary' },
      },
      orderBy: [{ descending: false }, { descending: true }],
      limit: { count: { slot: 3 }, offset: { slot: 4 } },
      locking: [{ strength: 'update' }],
    },
  });
});

test('spans cut the text where a rewrite needs it', () => {
  const spans = spanTexts(
    'SELECT a, b AS c FROM db . t x WHERE (a) = 1 GROUP BY a ORDER BY b LIMIT 2, 3',
  );

  expect(spans.get('query.body.itemsSpan')).toBe('a, b AS c');
  expect(spans.get('query.body.items.1.span')).toBe('b AS c');
  expect(spans.get('query.body.from.0.nameSpan')).toBe('db . t');
  expect(spans.get('query.body.from.0.span')).toBe('db . t x');
  expect(spans.get('query.body.where.left.span')).toBe('(a)');
  expect(spans.get('query.body.groupBy.span')).toBe('GROUP BY a');
  expect(spans.get('query.orderBySpan')).toBe('ORDER BY b');
  expect(spans.get('query.limit.span')).toBe('LIMIT 2, 3');
});

test('LIMIT with a comma names the offset first', () => {
  expect(parse('SELECT 1 LIMIT 7, 9')).toMatchObject({
    query: { limit: { offset: { slot: 1 }, count: { slot: 2 } } },
  });
});

test('conditions belong to the nearest join', () => {
  expect(parse('SELECT 1 FROM a JOIN b JOIN c ON x ON y')).toMatchObject({
    query: {
      body: {
        from: [
          {
            kind: 'join',
            left: { name: 'a' },
            right: { kind: 'join', left: { name: 'b' }, right: { name: 'c' }, on: { name: 'x' } },
            on: { name: 'y' },
          },
        ],
      },
    },
  });
});

test('joins with conditions read left to right', () => {
  expect(parse('SELECT 1 FROM a LEFT JOIN b USING (i) NATURAL JOIN c, d')).toMatchObject({
    query: {
      body: {
        from: [
          {
            natural: true,
            left: { type: 'left', left: { name: 'a' }, right: { name: 'b' }, using: ['i'] },
            right: { name: 'c' },
          },
          { kind: 'table', name: 'd' },
        ],
      },
    },
  });
});

test('INTERSECT binds tighter than UNION, and ORDER BY belongs to the whole', () => {
  expect(parse('SELECT 1 UNION ALL SELECT b INTERSECT SELECT c ORDER BY 1 LIMIT 1')).toMatchObject({
    query: {
      body: {
        operator: 'union',
        all: true,
        left: { kind: 'select' },
        right: {
          operator: 'intersect',
          all: false,
          left: { items: [{ expression: { name: 'b' } }] },
          right: { items: [{ expression: { name: 'c' } }] },
        },
      },
      orderBy: [{}],
      limit: {},
    },
  });
});

test.each([
  ['SELECT (SELECT 1)', 'subquery'],
  ['SELECT ((SELECT 1))', 'subquery'],
  ['SELECT ((SELECT 1) UNION (SELECT 2))', 'subquery'],
  ['SELECT ((SELECT 1) + 1)', 'binary'],
  ['SELECT ((SELECT 1), 2)', 'row'],
  ['SELECT (((SELECT 1) NOT IN (2)))', 'in'],
  ['SELECT (1)', 'literal'],
  ['SELECT EXISTS (SELECT 1)', 'subquery'],
])('the brackets of %s hold a %s', (sql, kind) => {
  expect(parse(sql)).toMatchObject({ query: { body: { items: [{ expression: { kind } }] } } });
});

test.each([
  ['SELECT 1 FROM ((SELECT 1) UNION (SELECT 2)) x', { kind: 'derived', alias: 'x' }],
  ['SELECT 1 FROM ((SELECT 1 AS a) AS x JOIN t)', { kind: 'join', left: { kind: 'derived' } }],
  ['SELECT 1 FROM (a, b)', { kind: 'join', left: { name: 'a' }, right: { name: 'b' } }],
  ['SELECT 1 FROM LATERAL (SELECT 1) AS x (c)', { kind: 'derived', lateral: true, columns: ['c'] }],
  ["SELECT 1 FROM JSON_TABLE(d, '$' COLUMNS (a INT PATH '$.a')) AS j", { kind: 'function' }],
  ['SELECT 1 FROM t PARTITION (p0) AS x', { kind: 'table', partitioned: true, alias: 'x' }],
])('%s reads its tables', (sql, from) => {
  expect(parse(sql)).toMatchObject({ query: { body: { from: [from] } } });
});

test('FROM DUAL has no table', () => {
  expect(parse('SELECT 1 FROM DUAL')).toMatchObject({ query: { body: { from: [] } } });
});

test('names lose their quotes and keep their case', () => {
  expect(parse('SELECT `We``ird`.Col FROM `We``ird`')).toMatchObject({
    query: {
      body: {
        items: [{ expression: { table: 'We`ird', name: 'Col' } }],
        from: [{ name: 'We`ird' }],
      },
    },
  });
});

test('common table expressions keep their names and queries', () => {
  expect(
    parse('WITH RECURSIVE a (x) AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b'),
  ).toMatchObject({
    query: {
      with: {
        recursive: true,
        tables: [
          { name: 'a', columns: ['x'] },
          { name: 'b', columns: [] },
        ],
      },
    },
  });
});

test('INSERT keeps rows, columns and the duplicate clause', () => {
  const sql =
    "INSERT IGNORE INTO db.t (a, `b`) VALUES (1, DEFAULT), (?, 'x') ON DUPLICATE KEY UPDATE b = VALUES(b)";
  const spans = spanTexts(sql);

  expect(parse(sql)).toMatchObject({
    kind: 'insert',
    replace: false,
    ignore: true,
    table: { database: 'db', name: 't' },
    columns: [{ name: 'a' }, { name: 'b' }],
    source: {
      kind: 'values',
      rows: [
        { values: [{ kind: 'literal' }, { kind: 'default' }] },
        {
          values: [
            { kind: 'parameter', index: 0 },
            { kind: 'literal', slot: 1 },
          ],
        },
      ],
    },
    onDuplicate: [{ column: { name: 'b' }, value: { kind: 'call', name: 'VALUES' } }],
  });
  expect(spans.get('columnsSpan')).toBe('(a, `b`)');
  expect(spans.get('source.span')).toBe("VALUES (1, DEFAULT), (?, 'x')");
  expect(spans.get('source.rows.1.span')).toBe("(?, 'x')");
});

test.each<[string, LexicalContext, object]>([
  ['INSERT INTO t VALUES ()', MYSQL, { source: { rows: [{ values: [] }] } }],
  ['INSERT INTO t () VALUES ()', MYSQL, { columns: [], source: { rows: [{ values: [] }] } }],
  ['REPLACE t SET a = 1, b = DEFAULT', MYSQL, { replace: true, source: { kind: 'set' } }],
  ['INSERT INTO t SELECT * FROM u', MYSQL, { source: { kind: 'query' } }],
  ['INSERT INTO t (a) (SELECT 1)', MYSQL, { columns: [{}], source: { kind: 'query' } }],
  ['INSERT INTO t (SELECT 1)', MYSQL, { source: { kind: 'query' } }],
  ['INSERT INTO t TABLE u', MYSQL, { source: { query: { body: { kind: 'table-body' } } } }],
  [
    'INSERT INTO t VALUES (1) AS n (x) ON DUPLICATE KEY UPDATE a = n.x',
    MYSQL,
    { rowAlias: { name: 'n', columns: ['x'] } },
  ],
  ['INSERT INTO t VALUES (1) RETURNING a, b', MARIADB, { returning: [{}, {}] }],
  ['INSERT LOW_PRIORITY t VALUE (1)', MYSQL, { options: ['LOW_PRIORITY'] }],
])('%s is an insert', (sql, context, expected) => {
  expect(parse(sql, context)).toMatchObject({ kind: 'insert', ...expected });
});

test.each([
  [
    'UPDATE IGNORE t SET a = a + 1 WHERE id = 5 ORDER BY a LIMIT 2',
    { kind: 'update', ignore: true, limit: {} },
  ],
  ['UPDATE a, b SET a.x = b.x WHERE a.i = b.i', { kind: 'update', tables: [{}, {}] }],
  ['UPDATE a JOIN b ON a.i = b.i SET a.x = 1', { kind: 'update', tables: [{ kind: 'join' }] }],
  [
    'WITH c AS (SELECT 1) UPDATE t SET a = 1',
    { kind: 'update', with: { tables: [{ name: 'c' }] } },
  ],
  [
    'DELETE QUICK FROM t WHERE a = 1',
    { kind: 'delete', options: ['QUICK'], targets: [], tables: [{ name: 't' }] },
  ],
  ['DELETE a, b.* FROM a JOIN b', { kind: 'delete', targets: [{ name: 'a' }, { name: 'b' }] }],
  [
    'DELETE FROM a, d.b USING a JOIN d.b',
    { kind: 'delete', targets: [{ name: 'a' }, { database: 'd', name: 'b' }] },
  ],
  ['DELETE FROM t AS x WHERE x.a = 1', { kind: 'delete', targets: [], tables: [{ alias: 'x' }] }],
])('%s is read whole', (sql, expected) => {
  expect(parse(sql)).toMatchObject(expected);
});

test.each([
  ['SET autocommit = 0', { kind: 'set', assignments: [{ scope: 'unscoped', name: 'autocommit' }] }],
  [
    'SET @a := 1, @@global.x = ON',
    {
      assignments: [
        { scope: 'user', name: 'a' },
        { scope: 'global', name: 'x' },
      ],
    },
  ],
  [
    'SET SESSION sql_mode = DEFAULT',
    { assignments: [{ scope: 'session', value: { kind: 'default' } }] },
  ],
  ['SET @@session.sql_mode = ?', { assignments: [{ scope: 'session', name: 'sql_mode' }] }],
  [
    "SET NAMES 'utf8mb4' COLLATE utf8mb4_bin",
    { kind: 'set-names', charset: 'utf8mb4', collation: 'utf8mb4_bin', form: 'names' },
  ],
  ['SET NAMES DEFAULT', { kind: 'set-names', form: 'names' }],
  ['SET CHARACTER SET latin1', { kind: 'set-names', charset: 'latin1', form: 'charset' }],
  [
    'SET NAMES utf8mb4, time_zone = x',
    { kind: 'set', assignments: [{ name: 'character_set_client' }, {}, {}, { name: 'time_zone' }] },
  ],
  ['SET TRANSACTION READ ONLY', { kind: 'set-transaction', scope: 'next', readOnly: true }],
  [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
    { scope: 'session', isolation: 'READ COMMITTED', readOnly: false },
  ],
  ['BEGIN WORK', { kind: 'begin', consistentSnapshot: false }],
  [
    'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY',
    { kind: 'begin', consistentSnapshot: true, readOnly: true },
  ],
  [
    "ROLLBACK IN DOUBT 'sg1.a.s1.b'",
    { kind: 'other', verb: 'ROLLBACK IN DOUBT', expressions: [{ kind: 'literal' }] },
  ],
  ['COMMIT AND NO CHAIN RELEASE', { kind: 'commit', chain: false, release: true }],
  ['ROLLBACK WORK TO SAVEPOINT s', { kind: 'rollback-to', name: 's' }],
  ['ROLLBACK AND CHAIN', { kind: 'rollback', chain: true }],
  ['SAVEPOINT `a b`', { kind: 'savepoint', name: 'a b' }],
  ['RELEASE SAVEPOINT s', { kind: 'release-savepoint', name: 's' }],
  ['USE shop', { kind: 'use', database: 'shop' }],
  [
    "SHOW FULL TABLES FROM shop LIKE 'a%'",
    { kind: 'show', what: 'TABLES', modifiers: ['FULL'], database: 'shop', like: {} },
  ],
  ['SHOW CREATE TABLE shop.t', { what: 'CREATE TABLE', table: { database: 'shop', name: 't' } }],
  ['SHOW COLUMNS FROM t IN shop', { what: 'COLUMNS', table: { database: 'shop', name: 't' } }],
  ['SHOW GLOBAL VARIABLES WHERE a = 1', { what: 'VARIABLES', modifiers: ['GLOBAL'], where: {} }],
  ['SHOW SHARDS', { kind: 'show', what: 'SHARDS' }],
  ['SHOW SHARD MAP', { what: 'SHARD MAP' }],
  ['SHOW SHARD MAP FOR shop.t', { what: 'SHARD MAP', table: { database: 'shop', name: 't' } }],
  ['SHOW CONFIG', { what: 'CONFIG' }],
  ['SHOW CONFIG VERSIONS', { what: 'CONFIG VERSIONS' }],
  ['SHOW TRANSACTIONS IN DOUBT', { what: 'TRANSACTIONS IN DOUBT' }],
  ['SHOW SESSIONS', { what: 'SESSIONS' }],
  ['SHOW COUNT(*) WARNINGS', { what: 'COUNT WARNINGS' }],
  ['DESCRIBE shop.t', { kind: 'show', what: 'COLUMNS', table: { database: 'shop', name: 't' } }],
  [
    'EXPLAIN ROUTE SELECT 1',
    { kind: 'explain', route: true, statement: { kind: 'select' }, statementStart: 14 },
  ],
  ['EXPLAIN ROUTE INSERT INTO t VALUES (1)', { route: true, statement: { kind: 'insert' } }],
  ['EXPLAIN FORMAT=JSON SELECT 1', { kind: 'explain', route: false, statementStart: 20 }],
  ['EXPLAIN ANALYZE SELECT 1', { kind: 'explain', analyze: true }],
  ['EXPLAIN t', { kind: 'show', what: 'COLUMNS' }],
  ['DESC route', { kind: 'show', table: { name: 'route' } }],
])('%s is a session statement', (sql, expected) => {
  expect(parse(sql)).toMatchObject(expected);
});

test.each([
  [
    'CREATE TABLE IF NOT EXISTS a.t (id INT)',
    { verb: 'create', object: 'table', ifNotExists: true, tables: [{ database: 'a', name: 't' }] },
  ],
  ['CREATE TEMPORARY TABLE t (id INT)', { object: 'temporary table' }],
  ['CREATE TABLE t LIKE u', { object: 'table', like: { name: 'u' } }],
  ['CREATE TABLE t (a INT) ENGINE=InnoDB AS SELECT * FROM u', { query: { kind: 'query' } }],
  ['ALTER TABLE t ADD COLUMN a INT', { verb: 'alter', object: 'table', tables: [{ name: 't' }] }],
  [
    'DROP TABLE IF EXISTS a, b.c',
    { verb: 'drop', ifExists: true, tables: [{ name: 'a' }, { database: 'b', name: 'c' }] },
  ],
  [
    'RENAME TABLE a TO b, c TO d',
    { verb: 'rename', tables: [{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'd' }] },
  ],
  ['TRUNCATE t', { verb: 'truncate', object: 'table', tables: [{ name: 't' }] }],
  ['CREATE UNIQUE INDEX i ON t (a)', { object: 'index', tables: [{ name: 't' }] }],
  ['DROP INDEX i ON t', { verb: 'drop', object: 'index', tables: [{ name: 't' }] }],
  ['CREATE DATABASE IF NOT EXISTS d', { object: 'database', database: 'd', ifNotExists: true }],
  ['DROP SCHEMA d', { object: 'database', database: 'd' }],
  [
    'CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`b` VIEW v AS SELECT 1',
    { object: 'view', tables: [{ name: 'v' }] },
  ],
  ['CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END', { object: 'routine', tables: [] }],
  [
    'CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1',
    { object: 'trigger', tables: [{ name: 't' }] },
  ],
  ['ANALYZE TABLE a, b', { verb: 'analyze', tables: [{ name: 'a' }, { name: 'b' }] }],
])('%s is a schema statement', (sql, expected) => {
  expect(parse(sql)).toMatchObject({ kind: 'ddl', ...expected });
});

test.each([
  ['KILL QUERY 5', 'KILL'],
  ['LOCK TABLES a READ, b AS c WRITE', 'LOCK TABLES'],
  ['UNLOCK TABLES', 'UNLOCK TABLES'],
  ["XA START 'a'", 'XA'],
  ["LOAD DATA LOCAL INFILE 'f' INTO TABLE t", 'LOAD DATA'],
  ['FLUSH TABLES', 'FLUSH'],
  ['CALL d.p(1, 2)', 'CALL'],
  ['DO SLEEP(1)', 'DO'],
  ["PREPARE s FROM 'SELECT 1'", 'PREPARE'],
  ['DROP PREPARE s', 'DROP PREPARE'],
  ["SET PASSWORD = 'x'", 'SET'],
  ['BEGIN NOT ATOMIC SELECT 1; END', 'BEGIN NOT'],
])('%s is known by its verb', (sql, verb) => {
  expect(parse(sql, MARIADB)).toMatchObject({ kind: 'other', verb });
});

test.each([
  ['LOCK TABLES a READ, b AS c WRITE', [{ name: 'a' }, { name: 'b', alias: 'c' }]],
  ["LOAD DATA LOCAL INFILE 'f' INTO TABLE d.t", [{ database: 'd', name: 't' }]],
])('%s names its tables', (sql, tables) => {
  expect(parse(sql)).toMatchObject({ tables });
});

test.each([
  [''],
  ['SELECT'],
  ['SELECT 1 FROM'],
  ['SELECT 1; SELECT 2'],
  ['ALTER TABLE t ADD event INT; SELECT 1'],
  ['DROP TABLE t; SELECT 1'],
  ['SELECT a b c'],
  ['SELECT a FROM t WHERE'],
  ['SELECT a FROM t GROUP a'],
  ['SELECT a FROM t LIMIT 1+1'],
  ['SELECT a FROM t LEFT JOIN u'],
  ['INSERT INTO t'],
  ['INSERT INTO t (a, 1) VALUES (1)'],
  ['INSERT INTO t VALUES 1'],
  ['UPDATE t a = 1'],
  ['UPDATE t SET a'],
  ['DELETE t WHERE a = 1'],
  ['SET'],
  ['SET NAMES'],
  ['SET TRANSACTION'],
  ['SHOW NOTHING'],
  ['START TRANSACTION READ'],
  ['FROBNICATE t'],
  ['DROP TABLE'],
])('%j is not parsed', (sql) => {
  expect(() => parse(sql)).toThrow(NotParsed);
});

test('literals that shape a statement are told', () => {
  const shaping = (sql: string) => parseText(Buffer.from(sql), MYSQL).shapingSlots;

  expect(shaping('SELECT a FROM t WHERE b = 1 ORDER BY 2')).toEqual([1]);
  expect(shaping("SELECT a AS 'x' FROM t WHERE b = 1 GROUP BY 1")).toEqual([0, 2]);
  expect(shaping('SELECT CAST(a AS CHAR(5)) FROM t LIMIT 3')).toEqual([0]);
  expect(shaping("SELECT GROUP_CONCAT(a SEPARATOR ';') FROM t")).toEqual([0]);
  expect(shaping("SET NAMES 'utf8mb4'")).toEqual([0]);
  expect(shaping('SELECT a FROM t WHERE b = 1 LIMIT 2')).toEqual([]);
});

test('a hint may name the shard', () => {
  const parsed = parseText(Buffer.from('SELECT /*+ SHARD(s1) */ a FROM t'), MYSQL);

  expect(parsed.shardHint).toBe('s1');
});

test('a semicolon may end the text', () => {
  expect(parse('SELECT 1;')).toMatchObject({ span: { start: 0, end: 8 } });
});

test('the slot of a literal is its place among the literal tokens', () => {
  const sql = "SELECT 1, 'a' AS 'b', @v, x'4D' FROM t WHERE c IN (1.5, 'p' 'q', 7)";
  const text = Buffer.from(sql);
  const { literalCount, statement } = parseText(text, MYSQL);

  expect(literalCount).toBe(8);
  expect(statement).toMatchObject({
    query: {
      body: {
        items: [
          { expression: { slot: 0 } },
          { expression: { slot: 1 }, alias: 'b' },
          {},
          { expression: { slot: 3, type: 'hex' } },
        ],
        where: { list: [{ slot: 4 }, { slot: 5, slotCount: 2 }, { slot: 7 }] },
      },
    },
  });
});

test('a thousand rows are read', () => {
  const rows = Array.from({ length: 1000 }, (_, i) => `(${i}, 'x${i}')`);
  const statement = parse(`INSERT INTO t VALUES ${rows.join(', ')}`);

  expect(
    statement.kind === 'insert' &&
      statement.source.kind === 'values' &&
      statement.source.rows.length,
  ).toBe(1000);
});
