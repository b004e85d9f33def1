/** What belongs to a session follows it, whatever connections its statements happen to run on. */
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'session_test';
/** On the first shard only. */
const BLOG = 'session_blog';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
    tables:
      users: { key: id, strategy: by_id, generate: { id: sequence } }
      countries: reference
  ${BLOG}:
    default: s1`;

const TABLES = [
  'CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40))',
  'CREATE TABLE countries (code CHAR(2) PRIMARY KEY)',
  'CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, x INT)',
];

await describeServers('a session', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 2, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [DATABASE, BLOG],
    });
    await (await proxy.connectShard(1)).query(`DROP DATABASE ${BLOG}`);
    const setup = await proxy.connect({ database: DATABASE });
    for (const sql of TABLES) await setup.query(sql);
    await setup.query("INSERT INTO users VALUES (1,'a'),(2,'b'),(3,'c'),(4,'d'),(5,'e')");
  });
  beforeEach(async () => {
    client = await proxy.connect({ database: DATABASE });
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function value(sql: string, on = client): Promise<unknown> {
    const [rows] = await on.query<RowDataPacket[]>({ sql, rowsAsArray: true });
    return rows[0]?.[0];
  }

  test('a shard without the database in use answers for qualified names', async () => {
    const blogger = await proxy.connect({ database: BLOG });
    await blogger.query('CREATE TABLE posts (id INT PRIMARY KEY)');
    await blogger.query('INSERT INTO posts VALUES (1)');
    const names = `SELECT COUNT(*) FROM ${DATABASE}.users`;

    expect(await value(names, blogger)).toBe(5);
    for (let id = 1; id <= 5; id++) {
      expect(await value(`${names} WHERE id = ${id}`, blogger)).toBe(1);
    }
    await blogger.beginTransaction();
    await blogger.query(`UPDATE ${DATABASE}.users SET name = name WHERE id <= 5`);
    await blogger.query(`USE ${BLOG}`);
    expect(await value('SELECT COUNT(*) FROM posts', blogger)).toBe(1);
    await blogger.commit();
    expect(await value('SELECT DATABASE()', blogger)).toBe(BLOG);
    await expect(
      blogger.query(`SELECT DATABASE(), name FROM ${DATABASE}.users WHERE id <= 5`),
    ).rejects.toMatchObject({ errno: 1049 });
    await blogger.end();
  });

  test('several statements in one text are answered one after the other', async () => {
    const several = await proxy.connect({ database: DATABASE, multipleStatements: true });
    const [results] = await several.query<RowDataPacket[]>(
      "SELECT 1 AS a; SELECT name FROM users WHERE id = 1; SET @x = ';'; SELECT @x;\n" +
        'SELECT COUNT(*) AS n FROM users; INSERT INTO plain (x) VALUES (1), (2); SELECT id FROM users ORDER BY id;;',
    );
    expect(results.map((one) => (Array.isArray(one) ? one : one.affectedRows))).toEqual([
      [{ a: 1 }],
      [{ name: 'a' }],
      0,
      [{ '@x': ';' }],
      [{ n: 5 }],
      2,
      [1, 2, 3, 4, 5].map((id) => ({ id })),
    ]);

    for (const wrong of ['SELECT nothing FROM users WHERE id = 1', 'SELECT nothing FROM users']) {
      const text = `INSERT INTO plain (x) VALUES (77); ${wrong}; DELETE FROM plain`;
      await expect(several.query(text)).rejects.toMatchObject({ errno: 1054 });
    }
    expect(await value('SELECT COUNT(*) FROM plain WHERE x = 77', several)).toBe(2);
    await several.query('DELETE FROM plain; DELETE FROM plain');
    await several.end();
    await expect(client.query('SELECT 1; SELECT 2')).rejects.toMatchObject({ errno: 1064 });
  });

  test('variables and user variables are the session’s own and reach every shard', async () => {
    await client.query("SET time_zone = '+03:00', @Greeting = CONCAT('it''s ', 40 + 2)");
    const other = await proxy.connect({ database: DATABASE });

    for (let round = 0; round < 5; round++) {
      expect(await value('SELECT @@time_zone')).toBe('+03:00');
      expect(await value('SELECT @@time_zone', other)).toBe('SYSTEM');
      expect(await value('SELECT @greeting FROM users WHERE id = 1')).toBe("it's 42");
      expect(await value('SELECT @greeting FROM users WHERE id = 2')).toBe("it's 42");
      expect(await value('SELECT @greeting', other)).toBeNull();
    }
    await client.query('SET time_zone = DEFAULT');
    expect(await value('SELECT @@time_zone')).toBe('SYSTEM');
  });

  test('user variables keep name and type', async () => {
    await client.query(
      "SET @d = 1e0, @n = 1.50, @`a b` = 2, @'it''s' = 0x4142, @nothing = NULL, @s = 'ä\\\\'",
    );
    const [rows] = await client.query<RowDataPacket[]>({
      sql: "SELECT @d / 3, @n, @`A B` + 1, @`it's`, @nothing, @s FROM users WHERE id = 4",
      rowsAsArray: true,
      typeCast: (field: { string(): string | null }) => field.string(),
    });

    expect(rows).toEqual([['0.3333333333333333', '1.50', '3', 'AB', null, 'ä\\']]);
  });

  test('a value may be computed from the variable it replaces', async () => {
    await client.query("SET sql_mode = 'ANSI_QUOTES'");
    await client.query("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_ZERO_DATE')");

    expect(await value('SELECT @@sql_mode')).toBe('ANSI_QUOTES,NO_ZERO_DATE');
    expect(await value('SELECT "name" FROM "users" WHERE "id" = 3')).toBe('c');
  });

  test('values that a server refuses are refused in its words and change nothing', async () => {
    await expect(client.query('SET nosuch = 1')).rejects.toMatchObject({ errno: 1193 });
    await expect(client.query("SET time_zone = 'Mars'")).rejects.toMatchObject({ errno: 1298 });
    await expect(client.query('SET NAMES nosuch')).rejects.toMatchObject({ errno: 1115 });
    await expect(client.query("SET time_zone = '+01:00', nosuch = 1")).rejects.toThrow('nosuch');

    expect(await value('SELECT @@time_zone')).toBe('SYSTEM');
  });

  test.each([
    'SET GLOBAL max_connections = 5',
    'SET NAMES gbk',
    'SET character_set_client = sjis',
    'SET insert_id = 5',
    'SET sql_select_limit = 5',
    'SET @x = (SELECT MAX(id) FROM users)',
    "SET @x = GET_LOCK('a', 1)",
    'LOCK TABLES plain READ',
    'SELECT SQL_CALC_FOUND_ROWS * FROM plain LIMIT 1',
  ])('%s is refused with 1235', async (sql) => {
    await expect(client.query(sql)).rejects.toMatchObject({ errno: 1235 });
    expect(await value('SELECT 1')).toBe(1);
  });

  test('SET NAMES sets what a server would', async () => {
    await client.query('SET NAMES latin1 COLLATE latin1_german1_ci');
    const [rows] = await client.query<RowDataPacket[]>({
      sql: 'SELECT @@character_set_client, @@character_set_results, @@collation_connection',
      rowsAsArray: true,
    });

    expect(rows[0]).toEqual(['latin1', 'latin1', 'latin1_german1_ci']);
  });

  test('a transaction spans shards, and ROLLBACK takes all of it back', async () => {
    await client.query('BEGIN');
    await client.query("UPDATE users SET name = 'x' WHERE id IN (1, 2, 3, 4, 5)");
    expect(await value("SELECT COUNT(*) FROM users WHERE name = 'x'")).toBe(5);
    await client.query('SAVEPOINT s');
    await client.query("UPDATE users SET name = 'y'");
    await client.query('ROLLBACK TO SAVEPOINT s');
    expect(await value("SELECT COUNT(*) FROM users WHERE name = 'x'")).toBe(5);
    await client.query('ROLLBACK');

    expect(await value("SELECT COUNT(*) FROM users WHERE name = 'x'")).toBe(0);
    await expect(client.query('ROLLBACK TO SAVEPOINT s')).rejects.toMatchObject({ errno: 1305 });
  });

  test('SET and USE inside a transaction reach the connections it holds, and no other session', async () => {
    await client.query('BEGIN');
    await client.query('INSERT INTO plain (x) VALUES (7)');
    await client.query("SET time_zone = '+05:00', @y = 9");
    expect(await value('SELECT CONCAT(@@time_zone, @y) FROM plain LIMIT 1')).toBe('+05:009');
    await client.query('USE information_schema');
    expect(await value('SELECT DATABASE()')).toBe('information_schema');
    expect(await value(`SELECT COUNT(*) FROM ${DATABASE}.plain WHERE x = 7`)).toBe(1);
    await client.query('ROLLBACK');

    const other = await proxy.connect({ database: DATABASE });
    for (let round = 0; round < 4; round++) {
      expect(await value('SELECT CONCAT(DATABASE(), @@time_zone)', other)).toBe(
        `${DATABASE}SYSTEM`,
      );
      expect(await value('SELECT @y', other)).toBeNull();
      expect(await value('SELECT COUNT(*) FROM plain WHERE x = 7', other)).toBe(0);
    }
  });

  test('autocommit = 0 begins transactions by itself, and turning it on commits', async () => {
    await client.query('SET autocommit = 0');
    expect(await value('SELECT @@autocommit')).toBe(0);
    await client.query('INSERT INTO plain (x) VALUES (11)');
    await client.query('ROLLBACK');
    await client.query('INSERT INTO plain (x) VALUES (12)');
    await client.query('SET autocommit = 1');
    await client.query('ROLLBACK');

    expect(await value('SELECT COUNT(*) FROM plain WHERE x = 11')).toBe(0);
    expect(await value('SELECT COUNT(*) FROM plain WHERE x = 12')).toBe(1);
  });

  test('BEGIN and schema changes commit what was open', async () => {
    await client.query('BEGIN');
    await client.query('INSERT INTO plain (x) VALUES (21)');
    await client.query('BEGIN');
    await client.query('INSERT INTO plain (x) VALUES (22)');
    await client.query('CREATE TABLE implicit_commit (a INT)');
    await client.query('ROLLBACK');

    expect(await value('SELECT COUNT(*) FROM plain WHERE x IN (21, 22)')).toBe(2);
    await client.query('INSERT INTO implicit_commit VALUES (1)');
    expect(await value('SELECT a FROM implicit_commit')).toBe(1);
    await client.query('DROP TABLE implicit_commit');
  });

  test('a read-only transaction refuses writes, and so does a one-shot SET TRANSACTION', async () => {
    await client.query('START TRANSACTION READ ONLY');
    await expect(client.query('INSERT INTO plain (x) VALUES (1)')).rejects.toMatchObject({
      errno: 1792,
    });
    await client.query('COMMIT');
    await client.query('SET TRANSACTION READ ONLY');
    await expect(client.query('INSERT INTO plain (x) VALUES (31)')).rejects.toMatchObject({
      errno: 1792,
    });
    // A write that was refused was no transaction; a read is one.
    await expect(client.query('INSERT INTO plain (x) VALUES (31)')).rejects.toMatchObject({
      errno: 1792,
    });
    expect(await value('SELECT COUNT(*) FROM plain WHERE x = 31')).toBe(0);
    await client.query('INSERT INTO plain (x) VALUES (32)');

    expect(await value('SELECT COUNT(*) FROM plain WHERE x = 32')).toBe(1);
  });

  test('a write on several shards that fails on one leaves nothing on the others', async () => {
    await expect(
      client.query(
        "INSERT INTO users VALUES (101,'n'),(102,'n'),(103,'n'),(104,'n'),(1,'duplicate')",
      ),
    ).rejects.toMatchObject({ errno: 1062 });

    expect(await value("SELECT COUNT(*) FROM users WHERE name = 'n'")).toBe(0);
  });

  test('LAST_INSERT_ID, ROW_COUNT and FOUND_ROWS answer as one server would', async () => {
    const [ok] = await client.query<ResultSetHeader>(
      "INSERT INTO users (name) VALUES ('p'),('q'),('r')",
    );
    expect(ok.affectedRows).toBe(3);
    expect(await value('SELECT LAST_INSERT_ID()')).toBe(ok.insertId);
    await client.query("SELECT id FROM users WHERE name IN ('p', 'q') ORDER BY id");
    expect(await value('SELECT FOUND_ROWS()')).toBe(2);
    await client.query("DELETE FROM users WHERE name IN ('p', 'q', 'r')");
    expect(await value('SELECT ROW_COUNT()')).toBe(3);
    expect(await value('SELECT ROW_COUNT()')).toBe(-1);
    expect(await value('SELECT LAST_INSERT_ID()')).toBe(ok.insertId);
  });

  test('ids that a client brings itself leave LAST_INSERT_ID as it was', async () => {
    await client.query('INSERT INTO plain (x) VALUES (41)');
    const generated = await value('SELECT LAST_INSERT_ID()');
    await client.query('INSERT INTO plain (id, x) VALUES (900, 42)');
    await client.query('INSERT INTO plain VALUES (901, 42)');
    await client.query('INSERT INTO plain SET id = 902, x = 42');
    expect(await value('SELECT LAST_INSERT_ID()')).toBe(generated);

    const [ok] = await client.query<ResultSetHeader>('INSERT INTO plain (id, x) VALUES (NULL, 43)');
    expect(ok.insertId).toBe(903);
    expect(await value('SELECT LAST_INSERT_ID()')).toBe(903);
    await client.query('DELETE FROM plain WHERE id >= 900');
  });

  test('warnings can be read after their connection went to somebody else', async () => {
    await client.query("SELECT 'a' + 1");
    const other = await proxy.connect({ database: DATABASE });
    await other.query('SELECT 1');
    const [warnings] = await client.query<RowDataPacket[]>('SHOW WARNINGS');

    expect(warnings).toMatchObject([{ Level: 'Warning', Code: 1292 }]);
    expect(await value('SHOW COUNT(*) WARNINGS')).toBe(1);
    await expect(client.query('SELECT * FROM nosuch')).rejects.toThrow();
    const [errors] = await client.query<RowDataPacket[]>('SHOW ERRORS');
    expect(errors).toMatchObject([{ Level: 'Error', Code: 1146 }]);
    await client.query('SELECT 1');
    expect((await client.query<RowDataPacket[]>('SHOW WARNINGS'))[0]).toEqual([]);
  });

  test('pipelined commands are answered in order', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => value(`SELECT ${index} FROM users WHERE id = 1`)),
    );

    expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  test('KILL QUERY ends the statement, KILL the session; the rest goes on', async () => {
    const victim = await proxy.connect({ database: DATABASE });
    const sleeping = victim.query('SELECT SLEEP(30), id FROM users');
    const ended = expect(sleeping).rejects.toMatchObject({ errno: 1317 });
    await until(async () => (await running(client)) === 1);
    await client.query(`KILL QUERY ${victim.threadId}`);
    await ended;

    expect(await value('SELECT 5', victim)).toBe(5);
    await client.query(`KILL ${victim.threadId}`);
    await expect(victim.query('SELECT 1')).rejects.toThrow();
    await expect(client.query('KILL 4294967295')).rejects.toMatchObject({ errno: 1094 });
  });

  test('a client that goes away leaves neither work nor locks behind', async () => {
    const gone = await proxy.connect({ database: DATABASE });
    await gone.query('BEGIN');
    await gone.query("UPDATE users SET name = 'lost' WHERE id IN (1, 2, 3)");
    gone.query('SELECT SLEEP(30), id FROM users').catch(() => {});
    await until(async () => (await running(client)) === 1);
    gone.destroy();
    await client.query("UPDATE users SET name = 'kept' WHERE id IN (1, 2, 3)");

    expect(await value("SELECT COUNT(*) FROM users WHERE name = 'lost'")).toBe(0);
  });

  test('packets beyond 16 MiB pass in both directions', async () => {
    const length = 17_000_000;
    const text = 'x'.repeat(length);
    try {
      expect(await value(`SELECT LENGTH('${text}')`)).toBe(length);
    } catch (error) {
      // The server's own max_allowed_packet may be less: then it says so.
      expect(error).toMatchObject({ errno: 1153 });
      return;
    }
    expect(String(await value(`SELECT REPEAT('y', ${length})`))).toHaveLength(length);
  });

  async function running(on: Connection): Promise<number> {
    const [rows] = await on.query<RowDataPacket[]>('SHOW PROCESSLIST');
    return rows.filter((row) => String(row.Info).includes('SLEEP(30)')).length;
  }
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition was not met within 10 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
