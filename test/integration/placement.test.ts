/** Each row sits on exactly the shard that EXPLAIN ROUTE names, whichever client wrote it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flavours, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, TEST_PASSWORD, TEST_USER, type TestProxy } from '../support/test-proxy.ts';

const run = promisify(execFile);
const DATABASE = 'placement';
const SHARDS = ['s1', 's2', 's3', 's4'];

const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2, s3, s4] }
      by_day: { type: range, ranges: [{ below: 2024-01-01, shard: s2 }, { below: 2025-01-01, shard: s3 }, { shard: s4 }] }
      by_name: { type: directory, shards: [s1, s2, s3, s4], pins: { acme: s3 }, assign: least-loaded }
    tables:
      people: { key: id, strategy: by_id, generate: { id: sequence } }
      days: { key: at, strategy: by_day }
      tenants: { key: name, strategy: by_name }
      words: { key: word, strategy: by_id }
      codes: reference`;

const TABLES = [
  'CREATE TABLE people (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40))',
  'CREATE TABLE days (at DATE NOT NULL PRIMARY KEY, what VARCHAR(40))',
  'CREATE TABLE tenants (name VARCHAR(40) NOT NULL PRIMARY KEY, plan VARCHAR(40))',
  'CREATE TABLE words (word VARCHAR(40) NOT NULL PRIMARY KEY, n INT)',
  'CREATE TABLE codes (code CHAR(2) NOT NULL PRIMARY KEY)',
];

describe.each(await flavours())('on %s', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 4, flavour });
    proxy = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    client = await proxy.connect({ database: DATABASE });
    for (const sql of TABLES) await client.query(sql);
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function shardsHolding(table: string, where: string): Promise<string[]> {
    const holders: string[] = [];
    for (const [index, shard] of SHARDS.entries()) {
      const connection = await proxy.connectShard(index, { database: DATABASE });
      const [rows] = await connection
        .query<RowDataPacket[]>(`SELECT 1 FROM ${table} WHERE ${where}`)
        // A strategy that leaves this shard out has no such table there.
        .catch(() => [[]] as [RowDataPacket[]]);
      if (rows.length > 0) holders.push(shard);
      await connection.end();
    }
    return holders;
  }

  async function namedByExplain(sql: string): Promise<string[]> {
    const [rows] = await client.query<RowDataPacket[]>(`EXPLAIN ROUTE ${sql}`);
    return rows.map((row) => String(row.shard));
  }

  test.each([
    ['people', 'id', ['1', '2', '3', '17', '1000', '-5', '4503599627370497']],
    ['days', 'at', ["'1999-12-31'", "'2024-01-01'", "'2024-12-31'", "'2025-01-01'"]],
    ['tenants', 'name', ["'acme'", "'globex'", "'initech'"]],
    ['words', 'word', ["'a'", "'Ö'", "'日本'", "'x y'", "''"]],
  ])('%s: rows written with mysql2', async (table, key, values) => {
    for (const value of values) {
      await client.query(`INSERT INTO ${table} (${key}) VALUES (${value})`);

      const where = `${key} = ${value}`;
      const holders = await shardsHolding(table, where);
      expect(holders, where).toHaveLength(1);
      expect(await namedByExplain(`SELECT * FROM ${table} WHERE ${where}`)).toEqual(holders);
    }
  });

  test('a multi-row insert is split by row', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => index + 5000);
    await client.query(`INSERT INTO people (id, name) VALUES ${ids.map((id) => `(${id}, 'x')`)}`);

    const used = new Set<string>();
    for (const id of ids) {
      const holders = await shardsHolding('people', `id = ${id}`);
      expect(holders).toEqual(await namedByExplain(`SELECT * FROM people WHERE id = ${id}`));
      used.add(holders.join());
    }
    expect(used.size).toBe(SHARDS.length);
  });

  test('ids from the sequence are consecutive within a statement and LAST_INSERT_ID is the first', async () => {
    const [result] = await client.query("INSERT INTO people (name) VALUES ('a'), ('b'), ('c')");
    const first = (result as { insertId: number }).insertId;

    const [rows] = await client.query<RowDataPacket[]>(
      `SELECT id FROM people WHERE id IN (${first}, ${first + 1}, ${first + 2}) ORDER BY id`,
    );
    expect(rows.map((row) => row.id)).toEqual([first, first + 1, first + 2]);
    const [[last]] = await client.query<RowDataPacket[]>('SELECT LAST_INSERT_ID() AS id');
    expect(last?.id).toBe(first);
  });

  test('a reference table has every row on every shard', async () => {
    await client.query("INSERT INTO codes VALUES ('de'), ('fr')");

    expect(await shardsHolding('codes', "code = 'fr'")).toEqual(SHARDS);
  });

  test('words that the collation calls equal have one home', async () => {
    await client.query("INSERT INTO words VALUES ('Straße', 1)");
    const [rows] = await client.query<RowDataPacket[]>(
      "SELECT n FROM words WHERE word = 'STRASSE'",
    );
    const oracle = await proxy.connectShard(0);
    const [[equal]] = await oracle.query<RowDataPacket[]>(
      `SELECT CONVERT('Straße' USING utf8mb4) COLLATE ${await columnCollation()} = 'STRASSE' AS same`,
    );

    expect(rows.length).toBe(Number(equal?.same));
    expect(
      (await client.query<RowDataPacket[]>("SELECT n FROM words WHERE word = 'STRAßE'"))[0],
    ).toEqual([{ n: 1 }]);
  });

  async function columnCollation(): Promise<string> {
    const shard = await proxy.connectShard(0);
    const [[row]] = await shard.query<RowDataPacket[]>(
      "SELECT COLLATION_NAME AS c FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'words' AND COLUMN_NAME = 'word'",
      [DATABASE],
    );
    return String(row?.c);
  }

  test('the mariadb command-line client writes and reads through the proxy', async () => {
    const output = await commandLineClient(
      'mariadb',
      "INSERT INTO people (id, name) VALUES (7001, 'cli'), (7002, 'cli'); SELECT id, name FROM people WHERE id >= 7001 AND id < 7003 ORDER BY id;",
    );

    expect(output).toBe('id\tname\n7001\tcli\n7002\tcli\n');
    expect(await shardsHolding('people', 'id = 7001')).toEqual(
      await namedByExplain('SELECT * FROM people WHERE id = 7001'),
    );
  });

  async function commandLineClient(program: string, sql: string): Promise<string> {
    const { host, port } = proxy.proxy.address;
    const { stdout } = await run(program, [
      '--no-defaults',
      `--host=${host}`,
      `--port=${port}`,
      `--user=${TEST_USER}`,
      `--password=${TEST_PASSWORD}`,
      '--default-character-set=utf8mb4',
      DATABASE,
      '-B',
      '-e',
      sql,
    ]);
    return stdout;
  }

  test.skipIf(!existsSync('/usr/lib/python3/dist-packages/pymysql'))(
    'PyMySQL writes and reads through the proxy',
    async () => {
      const { host, port } = proxy.proxy.address;
      const script = `
import sys
sys.path.append('/usr/lib/python3/dist-packages')
import pymysql
c = pymysql.connect(host='${host}', port=${port}, user='${TEST_USER}', password='${TEST_PASSWORD}', database='${DATABASE}', autocommit=False)
with c.cursor() as cur:
    cur.executemany('INSERT INTO people (id, name) VALUES (%s, %s)', [(8001, 'py'), (8002, 'pÿ'), (8003, None)])
    c.commit()
    cur.execute('SELECT id, name FROM people WHERE id BETWEEN %s AND %s ORDER BY id', (8001, 8003))
    print(cur.fetchall())
c.close()
`;
      const { stdout } = await run('python3', ['-c', script]);

      expect(stdout.trim()).toBe("((8001, 'py'), (8002, 'pÿ'), (8003, None))");
      expect(await shardsHolding('people', 'id = 8002')).toEqual(
        await namedByExplain('SELECT * FROM people WHERE id = 8002'),
      );
    },
  );
});
