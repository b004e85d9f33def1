/** shards.yaml edited while clients work: what is right takes effect, what is not changes nothing. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'live_config';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
      by_day: { type: range, ranges: [{ below: 2024-01-01, shard: s1 }, { shard: s2 }] }
      by_tenant: { type: directory, shards: [s1, s2], pins: { acme: s2, unused: s1 } }
    tables:
      users: { key: id, strategy: by_id }
      days: { key: at, strategy: by_day }
      notes: { key: tenant, strategy: by_tenant }
      codes: reference
      vacant: { key: id, strategy: by_id }
      single: { shard: s2 }`;
const TABLES = [
  'CREATE TABLE users (id INT NOT NULL PRIMARY KEY, other INT NOT NULL)',
  'CREATE TABLE days (at DATE NOT NULL PRIMARY KEY)',
  'CREATE TABLE notes (tenant VARCHAR(40) NOT NULL PRIMARY KEY)',
  'CREATE TABLE codes (code CHAR(2) NOT NULL PRIMARY KEY)',
  'CREATE TABLE vacant (id INT NOT NULL PRIMARY KEY)',
  'CREATE TABLE single (id INT NOT NULL PRIMARY KEY)',
  'CREATE TABLE whole (id INT NOT NULL PRIMARY KEY)',
  'CREATE TABLE later (id INT NOT NULL PRIMARY KEY)',
];

await describeServers('a live config', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let first: string;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    const options = { servers, databases: DATABASES, createDatabases: [DATABASE] };
    proxy = await startTestProxy(options);
    client = await proxy.connect({ database: DATABASE });
    first = await readFile(proxy.configPath, 'utf8');
    for (const sql of TABLES) await client.query(sql);
    const ids = Array.from({ length: 100 }, (_, index) => `(${index}, ${index + 1})`);
    await client.query(`INSERT INTO users VALUES ${ids}`);
    await client.query(
      "INSERT INTO days VALUES ('2023-05-05'), ('2024-05-05'), ('2024-06-06'), ('2024-07-07'), ('2024-08-08')",
    );
    await client.query("INSERT INTO notes VALUES ('acme'), ('globex')");
    await client.query("INSERT INTO codes VALUES ('de')");
    await client.query('INSERT INTO single VALUES (1), (2), (3), (4)');
    await client.query('INSERT INTO whole VALUES (1)');
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  interface ConfigRow extends RowDataPacket {
    readonly state: string;
    readonly version: number;
    readonly line: number;
    readonly path: string;
    readonly message: string;
  }

  async function showConfig(): Promise<readonly ConfigRow[]> {
    const [rows] = await client.query<ConfigRow[]>('SHOW CONFIG');
    return rows;
  }

  const version = async () => Number((await showConfig())[0]?.version);

  async function saveAndWait(text: string): Promise<void> {
    const before = await version();
    await writeFile(proxy.configPath, text);
    await expect.poll(version, { timeout: 5_000, interval: 20 }).toBe(before + 1);
  }

  async function saveAndBeRefused(text: string): Promise<readonly ConfigRow[]> {
    const before = await version();
    await writeFile(proxy.configPath, text);
    await expect
      .poll(async () => (await showConfig())[0]?.message, { timeout: 5_000, interval: 20 })
      .toBe('the last edit was refused');
    const rows = await showConfig();
    expect(rows[0]?.version).toBe(before);
    await writeFile(proxy.configPath, first);
    await expect
      .poll(async () => (await showConfig()).length, { timeout: 5_000, interval: 20 })
      .toBe(1);
    return rows.slice(1);
  }

  const edited = (from: string, to: string): string => {
    expect(first).toContain(from);
    return first.replace(from, to);
  };

  test('an edit that moves no row takes effect, is recorded, and so is its undoing', async () => {
    await saveAndWait(
      edited('codes: reference', 'codes: reference\n      later: { key: id, strategy: by_id }'),
    );
    const [[placed]] = await client.query<RowDataPacket[]>('SHOW SHARD MAP FOR later');
    expect(placed?.placement).toBe('sharded');
    await client.query('INSERT INTO later VALUES (1), (2), (3), (4), (5), (6), (7), (8)');
    const [[count]] = await client.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM later');
    expect(count?.n).toBe(8);
    await client.query('DELETE FROM later');

    await saveAndWait(first);
    const [versions] = await client.query<RowDataPacket[]>('SHOW CONFIG VERSIONS');
    expect(versions[0]?.difference).toContain(`- databases.${DATABASE}.tables.later.key: id`);
    expect(versions[1]?.difference).toContain(`+ databases.${DATABASE}.tables.later.key: id`);
    expect(versions.at(-1)?.author).toBe('first start');
  });

  test('users come, change and go', async () => {
    await saveAndWait(edited('users:\n', 'users:\n  guest: { password: one }\n'));
    const guest = await proxy.connect({ user: 'guest', password: 'one' });
    await guest.query('SELECT 1');
    await saveAndWait(edited('users:\n', 'users:\n  guest: { password: two }\n'));
    await guest.query('SELECT 1');
    await expect(proxy.connect({ user: 'guest', password: 'one' })).rejects.toThrow(/denied/);
    const closed = new Promise((resolve) => guest.once('end', resolve));
    await saveAndWait(first);
    await closed;
    await expect(proxy.connect({ user: 'guest', password: 'two' })).rejects.toThrow(/denied/);
    const [versions] = await client.query<RowDataPacket[]>('SHOW CONFIG VERSIONS');
    expect(JSON.stringify(versions)).toContain('users.guest.password: ***');
    expect(JSON.stringify(versions)).not.toMatch(/\btwo\b/);
  });

  test('an empty shard is given to tables that are empty, which are made there, and taken away', async () => {
    const withThird = edited(
      'by_id: {',
      'three: { type: hash, shards: [s3, s1] }\n      by_id: {',
    ).replace('vacant: { key: id, strategy: by_id }', 'vacant: { key: id, strategy: three }');
    const third = await proxy.connectShard(2);
    await third.query(`DROP DATABASE ${DATABASE}`);
    // Reference tables with rows would have to be copied there.
    const [problem] = await saveAndBeRefused(withThird);
    expect(problem?.message).toMatch(/^has rows that this would strand .* copied to/);
    await client.query('DELETE FROM codes');
    await saveAndWait(withThird);
    const ids = Array.from({ length: 50 }, (_, index) => `(${index})`);
    await client.query(`INSERT INTO vacant VALUES ${ids}`);
    const [[there]] = await third.query<RowDataPacket[]>(
      `SELECT COUNT(*) AS n FROM ${DATABASE}.vacant`,
    );
    expect(Number(there?.n)).toBeGreaterThan(5);

    await client.query('DELETE FROM vacant');
    await saveAndWait(first);
    await client.query("INSERT INTO codes VALUES ('de')");
  });

  test.each([
    [
      'a shard leaves the ring',
      'by_id: { type: hash, shards: [s1, s2] }',
      'by_id: { type: hash, shards: [s1] }',
      'users',
      /^has rows that this would strand \(moves: refuse\): \d+ rows on s2 would be at home on s1$/,
    ],
    [
      'weights',
      'by_id: { type: hash, shards: [s1, s2] }',
      'by_id: { type: hash, shards: [s1, s2], weights: { s1: 3 } }',
      'users',
      /on s2 would be at home on s1/,
    ],
    [
      'virtual nodes',
      'by_id: { type: hash, shards: [s1, s2] }',
      'by_id: { type: hash, shards: [s1, s2], virtual_nodes: 100 }',
      'users',
      /would be at home on/,
    ],
    [
      'a bound',
      'below: 2024-01-01',
      'below: 2023-01-01',
      'days',
      /1 row on s1 would be at home on s2/,
    ],
    [
      'another bound',
      'below: 2024-01-01',
      'below: 2024-05-06',
      'days',
      /1 row on s2 would be at home on s1/,
    ],
    ['a pin', 'acme: s2', 'acme: s1', 'notes', /1 row on s2 would be at home on s1/],
    ['an unpinned key', 'acme: s2, ', '', 'notes', /1 row on s2 would be any shard/],
    [
      'another key column',
      'users: { key: id',
      'users: { key: other',
      'users',
      /would be at home on/,
    ],
    [
      'another strategy',
      'days: { key: at, strategy: by_day',
      'days: { key: at, strategy: by_id',
      'days',
      /./,
    ],
    [
      'sharded becomes whole',
      'users: { key: id, strategy: by_id }',
      'users: { shard: s1 }',
      'users',
      /on s2 would be at home on s1|on s2 would be on s1/,
    ],
    [
      'reference becomes sharded',
      'codes: reference',
      'codes: { key: code, strategy: by_tenant }',
      'codes',
      /doubled/,
    ],
    [
      'sharded becomes reference',
      'days: { key: at, strategy: by_day }',
      'days: reference',
      'days',
      /copied/,
    ],
    [
      'whole moves',
      'single: { shard: s2 }',
      'single: { shard: s1 }',
      'single',
      /4 rows on s2 would be on s1/,
    ],
    [
      'whole becomes sharded',
      'single: { shard: s2 }',
      'single: { key: id, strategy: by_id }',
      'single',
      /./,
    ],
    [
      'the default',
      'default: s1',
      'default: s2',
      'default',
      /table whole .*1 row on s1 would be on s2/,
    ],
    [
      'a key column that does not exist',
      'users: { key: id',
      'users: { key: nope',
      'users',
      /no column/,
    ],
    ['a bound of another type', 'below: 2024-01-01', 'below: soon', 'by_day', /is not a value/],
    [
      'a setting that does not exist',
      'codes: reference',
      'codes: reference\n      wrong: { shrad: s1 }',
      'wrong',
      /not a setting/,
    ],
    [
      'a variable that is not set',
      'default: s1',
      'default: ${NOT_SET_ANYWHERE}',
      'default',
      /not set/,
    ],
    [
      'a listener address',
      'listen: 127.0.0.1:0',
      'listen: 127.0.0.1:1',
      'listen',
      /needs a restart/,
    ],
    [
      'a metadata shard',
      'databases:',
      'metadata: s2\ndatabases:',
      'metadata',
      /metadata from s1 to s2/,
    ],
    [
      'a server that is another shard',
      's1: { host: 127.0.0.1',
      's1: { host: localhost',
      'shards',
      /./,
    ],
    ['half a file', 'strategies:', 'strategies: {', '', /YAML/],
  ])('refused: %s', async (_title, from, to, path, message) => {
    if (from.startsWith('s1: {')) {
      // The addresses of the first two shards, exchanged.
      const ports = [...first.matchAll(/port: (\d+)/g)].map(([, port]) => port as string);
      const text = first
        .replace(`port: ${ports[0]}`, 'port: A')
        .replace(`port: ${ports[1]}`, `port: ${ports[0]}`)
        .replace('port: A', `port: ${ports[1]}`);
      const problems = await saveAndBeRefused(text);
      expect(problems.map((problem) => problem.message).join()).toMatch(
        /the address of the server of/,
      );
      return;
    }
    const text = edited(from, to);
    const problems = await saveAndBeRefused(text);

    expect(problems.map((problem) => problem.message).join('\n')).toMatch(message);
    expect(problems.map((problem) => problem.path).join()).toContain(path);
    const [problem] = problems;
    if (path !== '' && problem !== undefined) {
      expect(text.split('\n')[problem.line - 1]).toContain(path);
    }
    const [users] = await client.query<RowDataPacket[]>('SELECT id FROM users');
    expect(users).toHaveLength(100);
  });

  test('an edit is taken back when rows were written by the map before it, after the count', async () => {
    const writer = await proxy.connect({ database: DATABASE });
    await writer.query('BEGIN');
    // Uncommitted, so that nobody can count them yet.
    await writer.query('INSERT INTO vacant VALUES (1), (2), (3), (4), (5), (6), (7), (8)');
    const before = await version();
    await saveAndWait(edited('vacant: { key: id, strategy: by_id }', 'vacant: { shard: s1 }'));
    await writer.query('COMMIT');

    await expect.poll(version, { timeout: 10_000 }).toBe(before + 2);
    expect((await showConfig())[1]?.message).toMatch(/rows? on s2 would be on s1/);
    const [rows] = await client.query<RowDataPacket[]>('SELECT id FROM vacant');
    expect(rows).toHaveLength(8);
    await client.query('DELETE FROM vacant');
    await writeFile(proxy.configPath, first);
    await expect.poll(async () => (await showConfig()).length, { timeout: 5_000 }).toBe(1);
  });

  test('an unused pin may go anywhere', async () => {
    await saveAndWait(edited('unused: s1', 'unused: s2'));
    await client.query("INSERT INTO notes VALUES ('unused')");
    const second = await proxy.connectShard(1);
    const [there] = await second.query<RowDataPacket[]>(
      `SELECT tenant FROM ${DATABASE}.notes WHERE tenant = 'unused'`,
    );
    expect(there).toHaveLength(1);
    await client.query("DELETE FROM notes WHERE tenant = 'unused'");
    await saveAndWait(first);
  });
});
