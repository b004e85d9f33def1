/** Gathered statements beyond what the differential cases show: values of every type, transactions, limits, aborts. */
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerOf } from '../support/answers.ts';
import { flavours, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const SHARDED = 'gat_shop';
const ORACLE = 'gat_orac';
const DATABASES = `
  ${SHARDED}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
      by_other: { type: hash, shards: [s2, s1] }
    tables:
      things: { key: id, strategy: by_id }
      hidden: { key: id, strategy: by_id }
      others: { key: id, strategy: by_other }
      colours: reference`;

const ROWS = 40;

describe.each(await flavours())('on %s', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let oracle: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 2, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [SHARDED, ORACLE],
      extra: 'limits: { gather_rows_max: 300, gather_bytes_max: 65536 }',
    });
    client = await proxy.connect({ database: SHARDED });
    oracle = await proxy.connectShard(0, { database: ORACLE });
    const types = flavour === 'mysql' ? ', j JSON' : ', j JSON, u UUID, ip INET6';
    for (const side of [client, oracle]) {
      await side.query("SET sql_mode='ALLOW_INVALID_DATES'");
      await side.query(`CREATE TABLE things (id INT NOT NULL PRIMARY KEY, ${TYPES}${types})`);
      await side.query('CREATE TABLE others (id INT NOT NULL PRIMARY KEY, note VARCHAR(3000))');
      await side.query('CREATE TABLE colours (id INT NOT NULL PRIMARY KEY, name VARCHAR(20))');
      await side.query('CREATE TABLE hidden (id INT NOT NULL PRIMARY KEY, secret INT INVISIBLE)');
      await side.query('INSERT INTO hidden (id, secret) VALUES (1, 10), (2, 20), (3, 30)');
      await side.query("INSERT INTO colours VALUES (1, 'red'), (2, 'green')");
      for (const values of VALUES) {
        await side.query(`INSERT INTO things (${COLUMNS}) VALUES (${values})`);
      }
      if (flavour === 'mariadb') {
        const id = "u = '123e4567-e89b-12d3-a456-426655440000', ip = '2001:db8::1'";
        await side.query(`UPDATE things SET ${id} WHERE id = 1`);
      }
      for (let id = 1; id <= ROWS; id++) {
        await side.query(`INSERT INTO others VALUES (${id}, 'note ${id}')`);
      }
    }
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function expectSame(sql: string): Promise<void> {
    const expected = await answerOf(oracle, sql);
    expect(expected).toMatchObject({ kind: 'rows' });
    expect(await answerOf(client, sql)).toEqual(expected);
    // In a transaction every row travels, also those of the server that finishes.
    await client.query('START TRANSACTION');
    expect(await answerOf(client, sql)).toEqual(expected);
    await client.query('COMMIT');
  }

  test('values of every type come through unchanged', async () => {
    await expectSame('SELECT t.* FROM things t JOIN others o ON o.id = t.id ORDER BY t.id');
    const hexed = COLUMNS.replace('f, d, ', '')
      .split(', ')
      .map((name) => `HEX(t.${name})`);
    await expectSame(
      `SELECT ${hexed.join(', ')}, t.f * 1e0, t.f = 0.1, t.d / 3, t.e + 0, t.s + 0, t.b + 0, UNIX_TIMESTAMP(t.ts)
       FROM things t JOIN others o ON o.id = t.id ORDER BY t.id`,
    );
    await expectSame(
      `SELECT ST_AsText(t.g), ST_SRID(t.g), COLLATION(t.v), COLLATION(t.l), COLLATION(t.w), t.v = 'ZOE', t.w > 'a'
       FROM things t JOIN others o ON o.id = t.id ORDER BY t.id`,
    );
  });

  test('JSON stays JSON, and an invisible column stays out of sight', async () => {
    await expectSame(
      "SELECT JSON_OBJECT('k', t.j), JSON_EXTRACT(t.j, '$.a[1]') FROM things t JOIN others o ON o.id = t.id ORDER BY t.id",
    );
    await expectSame('SELECT * FROM hidden h JOIN others o ON o.id = h.id ORDER BY h.id');
    await expectSame('SELECT h.secret FROM hidden h JOIN others o ON o.id = h.id ORDER BY h.id');
  });

  test('instants are the same ones in any time zone of the session', async () => {
    for (const side of [client, oracle]) await side.query("SET time_zone='+05:30'");
    await expectSame(
      "SELECT t.id, t.ts FROM things t JOIN others o ON o.id = t.id WHERE t.ts > '2024-01-01 12:00:00' ORDER BY t.id",
    );
    for (const side of [client, oracle]) await side.query('SET time_zone=DEFAULT');
  });

  test('the session keeps its sql_mode while its statement is finished', async () => {
    for (const side of [client, oracle])
      await side.query("SET sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'");
    await expectSame(
      `SELECT "t"."id", 'a' || "o"."note" AS "n" FROM "things" "t" JOIN "others" "o" ON "o"."id" = "t"."id"
       WHERE "o"."note" <> 'x' ORDER BY 1`,
    );
    for (const side of [client, oracle]) await side.query("SET sql_mode='ALLOW_INVALID_DATES'");
  });

  test('columns may be qualified with the database', async () => {
    const [rows] = await client.query(
      `SELECT ${SHARDED}.things.id FROM ${SHARDED}.things, others
       WHERE ${SHARDED}.things.id = others.id AND ${SHARDED}.others.id < 3 ORDER BY 1`,
    );

    expect(rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('a prepared statement is given its parameters', async () => {
    const sql =
      'SELECT t.id, o.note, ? AS p FROM things t JOIN others o ON o.id = t.id WHERE t.id >= ? AND o.note <> ?';

    const [rows] = await client.execute(`${sql} ORDER BY t.id`, ['x', 2, 'note 3']);

    expect(rows).toEqual([
      { id: 2, note: 'note 2', p: 'x' },
      { id: 4, note: 'note 4', p: 'x' },
    ]);
  });

  test('a transaction sees its own writes, and goes on', async () => {
    const sql =
      'SELECT o.note, c.name FROM others o JOIN colours c ON c.id = o.id - 1000 JOIN things t ON t.id = c.id ORDER BY c.id';
    await client.query('START TRANSACTION');
    await client.query("INSERT INTO others VALUES (1001, 'mine'), (1002, 'mine too')");
    await client.query("UPDATE colours SET name = 'blue' WHERE id = 2");

    const [rows] = await client.query(sql);
    await client.query('ROLLBACK');
    const [after] = await client.query(sql);

    expect(rows).toEqual([
      { note: 'mine', name: 'red' },
      { note: 'mine too', name: 'blue' },
    ]);
    expect(after).toEqual([]);
  });

  test('a read-only transaction gathers, too', async () => {
    await client.query('START TRANSACTION READ ONLY');
    const [rows] = await client.query(
      'SELECT COUNT(*) AS n FROM things t JOIN others o ON o.id = t.id',
    );
    await client.query('COMMIT');

    expect(rows).toEqual([{ n: VALUES.length }]);
  });

  test('rows and bytes are bounded, by an error that says what would help', async () => {
    await client.query('START TRANSACTION');
    const ids = Array.from({ length: 320 }, (_, index) => `(${index + 5000}, 'x')`);
    await client.query(`INSERT INTO others VALUES ${ids.join(', ')}`);
    await expect(client.query('SELECT COUNT(DISTINCT note) FROM others')).rejects.toMatchObject({
      errno: 1104,
      message: expect.stringMatching(/table 'others'.*300 rows.*gather_rows_max.*shard key 'id'/),
    });
    // The transaction has lost nothing.
    const [rows] = await client.query('SELECT COUNT(*) AS n FROM others WHERE id >= 5000');
    expect(rows).toEqual([{ n: 320 }]);
    await client.query('ROLLBACK');

    await client.query('START TRANSACTION');
    await client.query(`UPDATE others SET note = REPEAT('x', 3000)`);
    await expect(client.query('SELECT COUNT(DISTINCT note) FROM others')).rejects.toMatchObject({
      errno: 1104,
      message: expect.stringContaining('gather_bytes_max'),
    });
    await client.query('ROLLBACK');
    await expectSame('SELECT COUNT(DISTINCT note) FROM others');
  });

  test('outside of a transaction the limit holds for rows that are there already', async () => {
    const many = Array.from({ length: 1200 }, (_, index) => `(${index + 7000}, 'x')`);
    await client.query(`INSERT INTO others VALUES ${many.join(', ')}`);
    await expect(client.query('SELECT COUNT(DISTINCT note) FROM others')).rejects.toMatchObject({
      errno: 1104,
    });
    // A condition on the table alone is tested where the rows are.
    const [rows] = await client.query(
      'SELECT COUNT(DISTINCT note) AS n FROM others WHERE id < 7000',
    );
    expect(rows).toEqual([{ n: ROWS }]);
    await client.query('DELETE FROM others WHERE id >= 7000');
  });

  test('many at once, some ended by their clients, leave every connection usable', async () => {
    const clients = await Promise.all(
      Array.from({ length: 12 }, () => proxy.connect({ database: SHARDED })),
    );
    const slow = clients.slice(0, 4);
    for (const one of slow) {
      one.query('SELECT SLEEP(5), COUNT(DISTINCT o.note) FROM others o').catch(() => undefined);
    }
    const answers = clients.slice(4).map(async (one) => {
      const [rows] = await one.query(
        'SELECT COUNT(DISTINCT o.note) AS n FROM others o JOIN things t',
      );
      return rows;
    });
    for (const one of slow) one.destroy();

    expect(await Promise.all(answers)).toEqual(answers.map(() => [{ n: ROWS }]));
    await expect.poll(stillRunning, { timeout: 4_000 }).toBe(0);
  });

  /** Connections of the proxy that sleep for clients who have gone. */
  async function stillRunning(): Promise<number> {
    const [rows] = await oracle.query(
      "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(5)%' AND ID <> CONNECTION_ID()",
    );
    return Number((rows as { n: number }[])[0]?.n);
  }

  test('a common table expression that is used twice works where a copy can be opened twice', async () => {
    const sql =
      'WITH n AS (SELECT id, note FROM others) SELECT COUNT(*) FROM n a JOIN n b ON a.id = b.id + 1';

    if (flavour === 'mariadb') await expectSame(sql);
    else {
      await expect(client.query(sql)).rejects.toMatchObject({
        errno: 1235,
        message: expect.stringContaining('used more than once'),
      });
    }
  });

  test("an error at the last server is the statement's own", async () => {
    const sql = 'SELECT o.note FROM others o JOIN things t ON t.id = (SELECT id FROM others)';

    expect(await answerOf(client, sql)).toEqual(await answerOf(oracle, sql));
    expect(await answerOf(client, 'SELECT COUNT(DISTINCT note) FROM others')).toMatchObject({
      rows: [[String(ROWS)]],
    });
  });

  test('EXPLAIN ROUTE shows what is fetched and where it ends', async () => {
    const [rows] = await client.query(
      'EXPLAIN ROUTE SELECT t.v, o.note FROM things t JOIN others o ON o.id = t.i WHERE t.id = 2 AND o.note > 5',
    );

    const steps = (rows as { plan: string; shard: string; keys: string; sql: string }[]).map(
      (row) => row,
    );
    expect(steps.map(({ plan }) => plan)).toEqual([
      'gather: fetch t',
      'gather: fetch o',
      'gather: fetch o',
      'gather: finish',
    ]);
    expect(steps[0]?.keys).toBe('2');
    expect(steps[0]?.sql).toMatch(
      /^SELECT .* FROM `gat_shop`.`things` AS `t` WHERE \(t.id = 2\) LIMIT \d+$/,
    );
    expect(steps[1]?.sql).toMatch(/AS `o` WHERE \(o.note > 5\) LIMIT/);
    expect(steps.at(-1)?.sql).toMatch(
      /^SELECT t.v, o.note FROM `gat_shop`.`shardgate_gather_1` AS `t` JOIN/,
    );
  });
});

const TYPES = `i BIGINT UNSIGNED, z INT(8) ZEROFILL, dec1 DECIMAL(65,30), f FLOAT, d DOUBLE, b BIT(64), y YEAR,
  dt DATE, dtt DATETIME(6), tm TIME(3), ts TIMESTAMP(3) NULL, c CHAR(5), v VARCHAR(20) COLLATE utf8mb4_general_ci,
  l VARCHAR(20) CHARACTER SET latin1, w VARCHAR(20) CHARACTER SET utf16, bi BINARY(4), vb VARBINARY(10),
  bl BLOB, tx TEXT, e ENUM('a','it''s','ü'), s SET('x','y','z'), g GEOMETRY,
  gen INT GENERATED ALWAYS AS (id * 2) STORED`;
const COLUMNS =
  'id, i, z, dec1, f, d, b, y, dt, dtt, tm, ts, c, v, l, w, bi, vb, bl, tx, e, s, g, j';
const VALUES = [
  `1, 18446744073709551615, 42, 12345678901234567890123456789012345.123456789012345678901234567890, 0.1, -0e0,
   x'ffffffffffffffff', 2024, '2024-02-31', '2024-01-01 01:02:03.456789', '-838:59:59', '2024-03-10 08:30:00.123',
   'a b', 'Zoë', 'é', 'é€', x'01000000', x'00ff', x'0d0a5c27001a', 'it''s \\\\ "x"', 'it''s', 'x,z',
   ST_GeomFromText('POINT(1 2)', 4326), '{"a": [1, 2.5, "x"]}'`,
  `2, 0, 0, -0.5, 16777217, 1.7976931348623157e308, 0, 1901, '0000-00-00', '0000-00-00 00:00:00', '00:00:00',
   '2038-01-19 03:14:07', '', '', '', '', '', '', '', '', 'ü', '', ST_GeomFromText('LINESTRING(0 0,1 1)'), '[]'`,
  `3${', NULL'.repeat(23)}`,
  `4, 1, 1, 1, 3.4e38, 4.9e-324, 1, 0, '2024-00-00', '1000-01-01', '23:59:59.999', '1970-01-02 00:00:01.001', '日本', 'ZOE',
   'ÿ', '😀', 'abcd', 'x', 'y', '日本語', 1, 'x,y,z', ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))'), '"text"'`,
];
