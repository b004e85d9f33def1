import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Lease, SessionState } from '../../src/backend/lease.ts';
import { Pool } from '../../src/backend/pool.ts';
import { queryRows } from '../../src/backend/row-reply.ts';
import { runCommand } from '../../src/backend/run-command.ts';
import { internState, withDatabase, withVariable } from '../../src/backend/session-states.ts';
import { connectToShard, queryCommand } from '../../src/backend/shard-connection.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import { COM_PING, COM_STATISTICS, COM_STMT_PREPARE } from '../../src/wire/flags.ts';
import { decodeColumnDefinition, decodeTextRow } from '../../src/wire/result-set-packets.ts';
import {
  describeServers,
  type ServerAddress,
  startOwnServer,
  useServers,
} from '../support/mysql-servers.ts';

const PLAIN = internState({ database: undefined, variables: new Map(), foundRows: false });
const DATABASE = 'backend_test';

await describeServers('a pool of a real server', (flavour) => {
  let server: ServerAddress;
  let pool: Pool;
  let lease: Lease;

  beforeAll(async () => {
    [server] = (await useServers({ count: 1, flavour })) as [ServerAddress];
    pool = poolOf(server);
    lease = await pool.acquire(PLAIN);
    await run(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`);
    await run(`CREATE TABLE IF NOT EXISTS ${DATABASE}.t (id INT PRIMARY KEY, v VARCHAR(20))`);
    await run(`REPLACE INTO ${DATABASE}.t VALUES (1, 'one'), (2, NULL), (3, 'größe')`);
  });

  afterAll(async () => {
    await run(`DROP DATABASE ${DATABASE}`);
    lease.release();
    pool.stop();
  });

  const run = (sql: string) => runCommand(lease, queryCommand(sql));

  test('rows and columns arrive as the server has them', async () => {
    const result = await queryRows(lease, `SELECT id, v FROM ${DATABASE}.t ORDER BY id`);
    if (result.kind !== 'rows') throw new Error('no rows');
    const rows = await all(result.batches);

    expect(result.columns.map((column) => decodeColumnDefinition(column).name)).toEqual([
      'id',
      'v',
    ]);
    expect(rows).toEqual([
      ['1', 'one'],
      ['2', undefined],
      ['3', 'größe'],
    ]);
    expect(result.end()).toMatchObject({ kind: 'rows', warningCount: 0 });
  });

  test('an OK brings affected rows, warnings and info', async () => {
    const result = await queryRows(lease, `UPDATE ${DATABASE}.t SET v = 'uno' WHERE id < 3`);

    expect(result).toMatchObject({ kind: 'ok', end: { affectedRows: 2 } });
    expect(result.kind === 'ok' && result.end.info).toBe(
      'Rows matched: 2  Changed: 2  Warnings: 0',
    );
  });

  test("an error is the server's own, and the connection goes on", async () => {
    await expect(queryRows(lease, 'SELECT * FROM no_such.t')).rejects.toMatchObject({
      name: 'ShardError',
      shard: 's1',
    });
    await expect(queryRows(lease, 'SELEC')).rejects.toMatchObject({
      errno: 1064,
      sqlState: '42000',
    });
    await expect(run('DO 1')).resolves.toMatchObject({ kind: 'ok' });
  });

  test('an error in the middle of rows is thrown by the iteration', async () => {
    const failing = `SELECT id, IF(id = 3, (SELECT id FROM ${DATABASE}.t), 0) FROM ${DATABASE}.t ORDER BY id`;
    const read = queryRows(lease, failing).then((result) =>
      result.kind === 'rows' ? all(result.batches) : [],
    );

    await expect(read).rejects.toMatchObject({ errno: 1242 });
  });

  test('commands are pipelined and their answers come in order', async () => {
    const ends = await Promise.all([
      run('DO 1'),
      runCommand(lease, Buffer.from([COM_PING])),
      runCommand(lease, Buffer.from([COM_STATISTICS])),
      run(`SELECT * FROM ${DATABASE}.t`),
      runCommand(lease, Buffer.concat([Buffer.from([COM_STMT_PREPARE]), Buffer.from('SELECT ?')])),
      run(`UPDATE ${DATABASE}.t SET v = v WHERE id = 1`),
    ]);

    expect(ends.map(({ kind }) => kind)).toEqual(['ok', 'ok', 'ok', 'rows', 'ok', 'ok']);
  });

  test('a slow reader pauses the shard and loses nothing', async () => {
    const result = await queryRows(lease, millionBytes(40));
    if (result.kind !== 'rows') throw new Error('no rows');
    let bytes = 0;
    for await (const batch of result.batches) {
      for (const row of batch) bytes += row.length;
      await new Promise((resolve) => setImmediate(resolve));
    }

    // Each row is a million bytes and four of length.
    expect(bytes).toBe(40 * 1_000_004);
  });

  test('a reader that stops early leaves the connection usable', async () => {
    const result = await queryRows(lease, millionBytes(5));
    if (result.kind !== 'rows') throw new Error('no rows');
    for await (const batch of result.batches) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }

    await expect(run('DO 1')).resolves.toMatchObject({ kind: 'ok' });
  });

  test('an aborted reader ends the statement on the server, too', async () => {
    const own = await pool.acquire(PLAIN);
    const abort = new AbortController();
    const asked = queryRows(own, 'SELECT SLEEP(100)', abort.signal);
    abort.abort(new Error('nobody waits'));

    await expect(asked).rejects.toThrow('nobody waits');
    own.release();
    await gone(own.serverThreadId);
  });

  test('database and variables follow the session, and defaults come back', async () => {
    const state = withVariable(
      withVariable(withDatabase(PLAIN, DATABASE), 'sql_mode', "'ANSI_QUOTES'"),
      '@x',
      '42',
    );
    const first = await pool.acquire(state);
    expect(await row(first, 'SELECT DATABASE(), @@sql_mode, @x')).toEqual([
      DATABASE,
      'ANSI_QUOTES',
      '42',
    ]);
    first.release();
    const other = withDatabase(PLAIN, 'information_schema');
    const second = await pool.acquire(other);

    expect(second.serverThreadId).toBe(first.serverThreadId);
    expect(await row(second, 'SELECT DATABASE(), @x, @@sql_mode = @@global.sql_mode')).toEqual([
      'information_schema',
      undefined,
      '1',
    ]);
    second.release();
    expect(pool.tryAcquire(state)).toBeUndefined();
    const again = pool.tryAcquire(other);
    expect(again?.serverThreadId).toBe(first.serverThreadId);
    again?.release();
  });

  test('character sets are always set together', async () => {
    const latin = setAll(PLAIN, {
      character_set_client: "'latin1'",
      character_set_connection: "'latin1'",
      character_set_results: "'latin1'",
      collation_connection: "'latin1_german2_ci'",
    });
    const asked =
      'SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection';

    expect(await once(pool, latin, asked)).toEqual([
      'latin1',
      'latin1',
      'latin1',
      'latin1_german2_ci',
    ]);
    expect(await once(pool, PLAIN, asked)).toEqual([
      'utf8mb4',
      'utf8mb4',
      'utf8mb4',
      'utf8mb4_general_ci',
    ]);
  });

  test('an unknown database is 1049 and costs no connection', async () => {
    const before = pool.stats().connected;

    await expect(pool.acquire(withDatabase(PLAIN, 'no_such_db'))).rejects.toMatchObject({
      name: 'ShardError',
      errno: 1049,
    });
    expect(pool.stats().connected).toBeGreaterThanOrEqual(before);
  });

  test('a variable that the server refuses leaves no trace', async () => {
    const wrong = setAll(PLAIN, { lock_wait_timeout: '7', sql_mode: "'NO_SUCH_MODE'" });
    await expect(pool.acquire(wrong)).rejects.toMatchObject({ errno: 1231 });

    expect(
      await once(pool, PLAIN, 'SELECT @@lock_wait_timeout = @@global.lock_wait_timeout'),
    ).toEqual(['1']);
  });

  test('a transaction left open is rolled back before others get the connection', async () => {
    const own = poolOf(server, { connections_max: 1 });
    const first = await own.acquire(withDatabase(PLAIN, DATABASE));
    await runCommand(first, queryCommand('BEGIN'));
    await runCommand(first, queryCommand("UPDATE t SET v = 'lost' WHERE id = 1"));
    await runCommand(first, queryCommand('SET @left = 1'));
    first.release();

    expect(own.tryAcquire(withDatabase(PLAIN, DATABASE))).toBeUndefined();
    expect(
      await once(
        own,
        withDatabase(PLAIN, DATABASE),
        "SELECT COUNT(*), @left FROM t WHERE v = 'lost'",
      ),
    ).toEqual(['0', undefined]);
    own.stop();
  });

  test('rows found are counted instead of rows changed where the client asked for that', async () => {
    const found = internState({ database: DATABASE, variables: new Map(), foundRows: true });
    const asked = "UPDATE t SET v = 'same' WHERE id = 1";
    const affected: (number | bigint)[] = [];
    for (const state of [found, found, withDatabase(PLAIN, DATABASE)]) {
      const own = await pool.acquire(state);
      affected.push((await runCommand(own, queryCommand(asked))).affectedRows);
      own.release();
    }

    expect(affected).toEqual([1, 1, 0]);
  });

  test('a session without a database never meets one', async () => {
    const own = poolOf(server, { connections_max: 1 });
    expect(await once(own, withDatabase(PLAIN, DATABASE), 'SELECT DATABASE()')).toEqual([DATABASE]);
    expect(await once(own, PLAIN, 'SELECT DATABASE()')).toEqual([undefined]);
    expect(own.stats().connected).toBe(1);
    own.stop();
  });

  test('an idle connection that the server closed is replaced without an error', async () => {
    const own = poolOf(server);
    const state = withDatabase(PLAIN, DATABASE);
    const first = await own.acquire(state);
    first.release();
    await run(`KILL ${first.serverThreadId}`);

    expect(await once(own, PLAIN, 'SELECT 1')).toEqual(['1']);
    own.stop();
  });

  test('a wrong password names the shard and is no 1045 of the client', async () => {
    const own = poolOf(server, { password: 'wrong' });

    await expect(own.acquire(PLAIN)).rejects.toMatchObject({
      code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      message: expect.stringMatching(/shard s1 \(127\.0\.0\.1:\d+\): Access denied/),
    });
    own.stop();
  });

  test('an account with a password logs in again and again', async () => {
    await run(`CREATE USER IF NOT EXISTS backend_pw IDENTIFIED BY 'größe'`);
    const account = { user: 'backend_pw', password: 'größe' };

    // caching_sha2_password: the whole way by RSA at first, then from the server's cache.
    for (let login = 0; login < 2; login++) {
      const own = poolOf(server, account);
      expect(await once(own, PLAIN, 'SELECT 1')).toEqual(['1']);
      own.stop();
    }
    const wrong = poolOf(server, { ...account, password: 'grösse' });
    await expect(wrong.acquire(PLAIN)).rejects.toThrow('Access denied');
    wrong.stop();
    await run('DROP USER backend_pw');
  });

  test('statements and rows beyond 16 MiB', async () => {
    const text = 'x'.repeat(0xffffff + 100);
    const large = await startOwnServer({ flavour, options: ['--max-allowed-packet=64M'] });
    const own = poolOf(large.address);
    const [field] = (await once(own, PLAIN, `SELECT '${text}'`)) ?? [];
    own.stop();
    await large.stop();

    expect(field === text).toBe(true);
  });

  async function gone(threadId: number): Promise<void> {
    const asked = `SELECT COUNT(*) FROM information_schema.processlist WHERE id = ${threadId}`;
    await expect.poll(() => row(lease, asked), { timeout: 10_000 }).toEqual(['0']);
  }
});

function poolOf(server: ServerAddress, changes: Partial<ShardConfig> = {}): Pool {
  const config: ShardConfig = {
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    replicas: [],
    connections_max: 4,
    ...changes,
  };
  return new Pool({
    address: { shard: 's1' as ShardId, config },
    limits: {
      connect_timeout_ms: 5_000,
      acquire_timeout_ms: 5_000,
      waiters_max: 10,
      backend_idle_timeout_ms: 60_000,
    },
    clock: systemClock,
    connect: connectToShard,
  });
}

function millionBytes(rows: number): string {
  const numbers = Array.from({ length: rows }, () => 'SELECT 1').join(' UNION ALL ');
  return `SELECT REPEAT('x', 1000000) FROM (${numbers}) AS n`;
}

function setAll(state: SessionState, values: Readonly<Record<string, string>>): SessionState {
  return Object.entries(values).reduce(
    (next, [name, value]) => withVariable(next, name, value),
    state,
  );
}

async function once(pool: Pool, state: SessionState, sql: string) {
  const lease = await pool.acquire(state);
  const found = await row(lease, sql);
  lease.release();
  return found;
}

async function row(lease: Lease, sql: string): Promise<(string | undefined)[] | undefined> {
  const result = await queryRows(lease, sql);
  return result.kind === 'rows' ? (await all(result.batches))[0] : undefined;
}

async function all(batches: AsyncIterable<Buffer[]>): Promise<(string | undefined)[][]> {
  const rows: (string | undefined)[][] = [];
  for await (const batch of batches) {
    for (const raw of batch) rows.push(decodeTextRow(raw).map((field) => field?.toString()));
  }
  return rows;
}
