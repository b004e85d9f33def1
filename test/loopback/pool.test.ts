import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../src/backend/lease.ts';
import { Pool } from '../../src/backend/pool.ts';
import { runCommand } from '../../src/backend/run-command.ts';
import { internState, withDatabase, withVariable } from '../../src/backend/session-states.ts';
import { connectToShard, queryCommand } from '../../src/backend/shard-connection.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import { SERVER_STATUS_AUTOCOMMIT, SERVER_STATUS_IN_TRANS } from '../../src/wire/flags.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { errPacket, okPacket, ScriptedShard } from '../support/scripted-shard.ts';

const PLAIN = internState({ database: undefined, variables: new Map(), foundRows: false });
const SHOP = withDatabase(PLAIN, 'shop');
const USE_SHOP = '0273686f70';
const RESET_CONNECTION = '1f';

let shard: ScriptedShard;
let clock: ManualClock;
let pool: Pool;
let tries: number;
let triesOver: number;

beforeEach(async () => {
  shard = await ScriptedShard.start();
  clock = new ManualClock();
  tries = 0;
  triesOver = 0;
  pool = new Pool({
    address: { shard: 's1' as ShardId, config: shard.config },
    limits: {
      connect_timeout_ms: 1_000,
      acquire_timeout_ms: 5_000,
      waiters_max: 2,
      backend_idle_timeout_ms: 60_000,
    },
    clock,
    connect: (options) => {
      tries += 1;
      return connectToShard(options).finally(() => {
        triesOver += 1;
      });
    },
  });
});

afterEach(async () => {
  pool.stop();
  await shard.stop();
});

describe('leases', () => {
  test('an idle connection in the right state is there at once and is sent nothing', async () => {
    expect(pool.tryAcquire(SHOP)).toBeUndefined();
    const first = await pool.acquire(SHOP);
    first.release();
    const before = shard.commands.length;
    const second = pool.tryAcquire(SHOP);

    expect(second?.serverThreadId).toBe(first.serverThreadId);
    expect(shard.commands.length).toBe(before);
    second?.release();
  });

  test('the connection that matches is preferred to one that would have to be changed', async () => {
    const [inShop, plain] = [await pool.acquire(SHOP), await pool.acquire(PLAIN)];
    inShop.release();
    plain.release();
    const again = await pool.acquire(SHOP);

    expect(again.serverThreadId).toBe(inShop.serverThreadId);
    expect(shard.statements).toEqual([USE_SHOP]);
    again.release();
  });

  test('database and variables are sent together, and awaited', async () => {
    const plain = await pool.acquire(PLAIN);
    plain.release();
    const answers: (() => void)[] = [];
    shard.script = {
      onQuery: (_sql, socket) => answers.push(() => socket.write(okPacket())) > 0,
    };
    let isThere = false;
    const asked = pool.acquire(withVariable(SHOP, 'sql_mode', "'ANSI'")).then((lease) => {
      isThere = true;
      return lease;
    });
    await expect
      .poll(() => shard.commands.slice(-2))
      .toEqual([USE_SHOP, "SET @@session.sql_mode='ANSI'"]);
    expect(isThere).toBe(false);
    answers[0]?.();

    (await asked).release();
    shard.script = {};
    (await pool.acquire(SHOP)).release();
    expect(shard.commands.at(-1)).toBe('SET @@session.sql_mode=DEFAULT');
  });

  test('a connection that breaks on the way to its state is replaced, since nothing was sent yet', async () => {
    (await pool.acquire(PLAIN)).release();
    shard.script = {
      onQuery: (sql, socket) => {
        if (!sql.includes('sql_mode') || shard.sockets.length > 1) return false;
        socket.destroy();
        return true;
      },
    };

    (await pool.acquire(withVariable(PLAIN, 'sql_mode', "''"))).release();
    expect(tries).toBe(2);
  });

  test('a change of one character set names them all, since one changes another', async () => {
    (await pool.acquire(withVariable(PLAIN, 'character_set_results', 'NULL'))).release();

    expect(shard.commands.at(-1)).toBe(
      "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci', @@session.character_set_results=NULL",
    );
  });

  test("a state that the shard refuses is the shard's error, and the connection stays", async () => {
    shard.script = {
      onQuery: (sql, socket) =>
        sql.includes('sql_mode=1') &&
        socket.write(errPacket({ errno: 1231, sqlState: '42000', message: 'no' })),
    };

    await expect(pool.acquire(withVariable(PLAIN, 'sql_mode', '1'))).rejects.toMatchObject({
      name: 'ShardError',
      errno: 1231,
    });
    // Nobody knows which of several assignments came to pass: reset before the next use.
    await expect.poll(() => pool.stats().idle).toBe(1);
    expect(shard.commands.slice(-2)[0]).toBe(RESET_CONNECTION);
    expect(tries).toBe(1);
  });

  test('a transaction left open is ended before the next use', async () => {
    const statusFlags = SERVER_STATUS_AUTOCOMMIT | SERVER_STATUS_IN_TRANS;
    shard.script = {
      onQuery: (sql, socket) => sql === 'BEGIN' && socket.write(okPacket(1, { statusFlags })),
    };
    const lease = await pool.acquire(SHOP);
    await runCommand(lease, queryCommand('BEGIN'));
    lease.release();

    expect(pool.tryAcquire(SHOP)).toBeUndefined();
    await expect.poll(() => pool.stats().idle).toBe(1);
    expect(shard.statements).toEqual([USE_SHOP, 'BEGIN', RESET_CONNECTION]);
  });

  test.each([
    ['SET sql_mode = 1', true],
    ['  use other', true],
    ['LOCK TABLES t READ', true],
    ['SELECT 1', false],
    ['SET timestamp=1.5', false],
    ['SET TRANSACTION READ ONLY', false],
    ['SETTLE', false],
  ])('after %s a reset is needed: %s', async (sql, isNeeded) => {
    const lease = await pool.acquire(PLAIN);
    await runCommand(lease, queryCommand(sql));
    lease.release();

    expect(pool.tryAcquire(PLAIN) === undefined).toBe(isNeeded);
  });

  test('a held lease can be brought to another state, also within a transaction', async () => {
    const lease = await pool.acquire(PLAIN);
    await lease.bringTo?.(SHOP);

    expect(shard.statements).toEqual([USE_SHOP]);
    lease.release();
    expect(pool.tryAcquire(SHOP)).toBeDefined();
  });

  test('a lease that is given back with a reply on its way is closed, and its statement killed', async () => {
    shard.script = { onQuery: (sql) => sql === 'SELECT SLEEP(9)' };
    const lease = await pool.acquire(PLAIN);
    const asked = runCommand(lease, queryCommand('SELECT SLEEP(9)'));
    lease.release();

    await expect(asked).rejects.toThrow('given up');
    await expect.poll(() => shard.commands.at(-1)).toBe(`KILL ${lease.serverThreadId}`);
  });

  test('a lease does nothing after it was given back', async () => {
    const lease = await pool.acquire(PLAIN);
    lease.release();
    lease.release();
    lease.destroy();

    expect(pool.stats()).toMatchObject({ connected: 1, idle: 1 });
    await expect(runCommand(lease, queryCommand('SELECT 1'))).rejects.toThrow('given back');
    expect(shard.statements).toEqual([]);
  });

  test('a paused connection is not given to the next one paused', async () => {
    const lease = await pool.acquire(PLAIN);
    lease.pause();
    lease.release();
    const next = pool.tryAcquire(PLAIN) as Lease;

    await expect(runCommand(next, queryCommand('SELECT 1'))).resolves.toMatchObject({ kind: 'ok' });
  });
});

describe('the waiting line', () => {
  test('there are never more connections than connections_max; the first who waits is the first served', async () => {
    const held = [await pool.acquire(PLAIN), await pool.acquire(PLAIN)];
    const order: string[] = [];
    const inTurn = async (name: string): Promise<Lease> => {
      const lease = await pool.acquire(SHOP);
      order.push(name);
      return lease;
    };
    const [third, fourth] = [inTurn('third'), inTurn('fourth')];

    expect(pool.stats()).toMatchObject({ connected: 2, waiting: 2 });
    held[0]?.release();
    (await third).release();
    (await fourth).release();
    expect(order).toEqual(['third', 'fourth']);
    expect(tries).toBe(2);
    expect(pool.stats()).toMatchObject({ connected: 2, waiting: 0 });
  });

  test('a line that is full refuses with 1040', async () => {
    const held = [await pool.acquire(PLAIN), await pool.acquire(PLAIN)];
    const waiting = [pool.acquire(PLAIN), pool.acquire(PLAIN)];

    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({
      code: 'ER_CON_COUNT_ERROR',
      message: expect.stringContaining('limits.waiters_max is 2'),
    });
    for (const lease of held) lease.release();
    for (const lease of await Promise.all(waiting)) lease.release();
  });

  test('waiting ends after acquire_timeout_ms', async () => {
    const held = [await pool.acquire(PLAIN), await pool.acquire(PLAIN)];
    const waiting = pool.acquire(PLAIN);
    clock.advance(5_000);

    await expect(waiting).rejects.toMatchObject({
      code: 'ER_CON_COUNT_ERROR',
      message: expect.stringContaining('5000 ms'),
    });
    expect(pool.stats().waiting).toBe(0);
    for (const lease of held) lease.release();
    expect(pool.stats().idle).toBe(2);
  });

  test('who gives up waiting leaves the line, and no connection is lost', async () => {
    const held = [await pool.acquire(PLAIN), await pool.acquire(PLAIN)];
    const abort = new AbortController();
    const waiting = pool.acquire(PLAIN, abort.signal);
    abort.abort(new Error('the client went away'));

    await expect(waiting).rejects.toThrow('the client went away');
    for (const lease of held) lease.release();
    expect(pool.stats()).toMatchObject({ idle: 2, waiting: 0 });
    expect(clock.alarms).toBe(0);
  });

  test('an idle connection that cannot be used makes way for one that can', async () => {
    const foundRows = internState({ ...PLAIN, foundRows: true });
    const held = [await pool.acquire(SHOP), await pool.acquire(SHOP)];
    for (const lease of held) lease.release();
    const found = await pool.acquire(foundRows);

    expect(pool.stats()).toMatchObject({ connected: 2, leased: 1 });
    expect(tries).toBe(3);
    found.release();
  });
});

describe('a shard that is away', () => {
  test('one try fails all who wait; then statements fail at once until it is tried again', async () => {
    await shard.stop();
    const both = await Promise.allSettled([pool.acquire(PLAIN), pool.acquire(SHOP)]);
    await expect.poll(() => triesOver).toBe(tries);
    const triesAtFirst = tries;

    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({
      code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      message: expect.stringContaining('shard s1 (127.0.0.1'),
    });
    expect(tries).toBe(triesAtFirst);
    expect(pool.stats()).toMatchObject({ up: false, waiting: 0 });

    // 250 ms after the first failure, 500 after the second.
    clock.advance(249);
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({ errno: 1429 });
    expect(tries).toBe(triesAtFirst);
    clock.advance(1);
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({ errno: 1429 });
    expect(tries).toBe(triesAtFirst + 1);
    clock.advance(499);
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({ errno: 1429 });
    expect(tries).toBe(triesAtFirst + 1);
  });

  test('it is used again when it came back', async () => {
    const { port } = shard.config;
    await shard.stop();
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({ errno: 1429 });
    shard = await ScriptedShard.start({}, port);
    clock.advance(5_000);

    (await pool.acquire(PLAIN)).release();
    expect(pool.stats()).toMatchObject({ up: true, lastError: undefined, idle: 1 });
  });

  test('a connection that the server closed while idle is forgotten', async () => {
    (await pool.acquire(PLAIN)).release();
    shard.sockets[0]?.end();

    await expect.poll(() => pool.stats().connected).toBe(0);
  });

  test('a server that speaks unasked is not believed', async () => {
    (await pool.acquire(PLAIN)).release();
    shard.sockets[0]?.write(errPacket({ errno: 1053, sqlState: '08S01', message: 'shutdown' }, 0));

    await expect.poll(() => pool.stats().connected).toBe(0);
  });

  test('a ping that is not answered in time marks the shard as down', async () => {
    (await pool.acquire(PLAIN)).release();
    expect(pool.stats().up).toBe(true);
    shard.sockets[0]?.pause();
    shard.script = { onConnect: () => {} };
    const pinged = pool.ping(500);
    clock.advance(500);
    await expect.poll(() => tries).toBe(2);
    await expect.poll(() => shard.sockets.length).toBe(2);
    clock.advance(1_000);
    await pinged;

    expect(pool.stats()).toMatchObject({ up: false, connected: 0 });
  });
});

describe('ageing and leaving', () => {
  test('what was idle for too long is closed, and pings do not keep it young', async () => {
    (await pool.acquire(PLAIN)).release();
    clock.advance(59_999);
    await pool.ping(500);
    pool.sweep();
    expect(pool.stats().idle).toBe(1);
    clock.advance(1);
    pool.sweep();

    expect(pool.stats().connected).toBe(0);
  });

  test('a drained pool closes connections as they come back and gives out none', async () => {
    const [one, two] = [await pool.acquire(PLAIN), await pool.acquire(PLAIN)];
    one.release();
    pool.drain();
    expect(pool.stats().connected).toBe(1);
    await expect(runCommand(two, queryCommand('SELECT 1'))).resolves.toMatchObject({ kind: 'ok' });
    two.release();

    expect(pool.stats().connected).toBe(0);
    expect(pool.tryAcquire(PLAIN)).toBeUndefined();
    await expect(pool.acquire(PLAIN)).rejects.toMatchObject({ errno: 1429 });
  });
});
