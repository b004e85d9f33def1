import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'txn_snapshot';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 100, shard: s1 }, { below: 200, shard: s2 }, { shard: s3 }] }
    tables:
      accounts: { key: id, strategy: by_id }
`;
const ACCOUNTS = [0, 1, 2, 100, 101, 102, 200, 201, 202];
const START = 1_000;
const WHOLE_SUM = ACCOUNTS.length * START;
const WRITERS = 6;

await describeServers('one snapshot over all shards', (flavour) => {
  let proxy: TestProxy;
  /** A process of its own: its commits are nothing that the first proxy could know of. */
  let other: ProxyProcess;
  let reader: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    proxy = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    reader = await proxy.connect({ database: DATABASE });
    await reader.query('CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)');
    const rows = ACCOUNTS.map((id) => `(${id}, ${START})`);
    await reader.query(`INSERT INTO accounts VALUES ${rows.join(', ')}`);
    other = await startProxyProcess({ servers, databases: DATABASES });
  });
  afterAll(async () => {
    await other?.stop();
    await proxy?.stop();
  });

  /** Money moves between shards through both proxies while `work` runs. */
  async function whileMoneyMoves(work: () => Promise<void>): Promise<number> {
    const running = { now: true };
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const client = await createConnection({
        ...(writer % 2 === 0 ? other.login : loginOf(proxy)),
        database: DATABASE,
      });
      let transfers = 0;
      for (; running.now; transfers++) {
        const from = ACCOUNTS[(writer + transfers) % 3] ?? 0;
        const to = from + 100 * (1 + (transfers % 2));
        await client.query('BEGIN');
        await client.query('UPDATE accounts SET balance = balance - 1 WHERE id = ?', [from]);
        await client.query('UPDATE accounts SET balance = balance + 1 WHERE id = ?', [to]);
        await client.query('COMMIT');
      }
      await client.end();
      return transfers;
    });
    try {
      await work();
    } finally {
      running.now = false;
    }
    return (await Promise.all(writers)).reduce((sum, one) => sum + one, 0);
  }

  async function sumsAfter(begin: string, count: number): Promise<readonly number[]> {
    const sums: number[] = [];
    for (let read = 0; read < count; read++) {
      await reader.query(begin);
      const [rows] = await reader.query<RowDataPacket[]>('SELECT SUM(balance) AS s FROM accounts');
      await reader.query('COMMIT');
      sums.push(Number(rows[0]?.s));
    }
    return sums;
  }

  test('never shows half of a transfer, where a plain transaction does', async () => {
    let plain: readonly number[] = [];
    let consistent: readonly number[] = [];
    const transfers = await whileMoneyMoves(async () => {
      // One transfer in many is caught half way.
      for (let tries = 0; tries < 20 && new Set(plain).size < 2; tries++) {
        plain = [...plain, ...(await sumsAfter('START TRANSACTION READ ONLY', 100))];
      }
      consistent = await sumsAfter('START TRANSACTION WITH CONSISTENT SNAPSHOT', 150);
    });

    expect(transfers).toBeGreaterThan(100);
    expect(plain.filter((sum) => sum !== WHOLE_SUM)).not.toEqual([]);
    expect(consistent.filter((sum) => sum !== WHOLE_SUM)).toEqual([]);
  }, 60_000);

  test("shardgate_read = 'consistent' gives the same to single statements", async () => {
    await reader.query("SET SESSION shardgate_read = 'consistent'");
    const sums: number[] = [];
    await whileMoneyMoves(async () => {
      for (let read = 0; read < 150; read++) {
        const [rows] = await reader.query<RowDataPacket[]>(
          'SELECT SUM(balance) AS s FROM accounts',
        );
        sums.push(Number(rows[0]?.s));
      }
    });
    await reader.query('SET SESSION shardgate_read = DEFAULT');
    await expect(reader.query('SET shardgate_read = 7')).rejects.toMatchObject({ errno: 1231 });

    expect(sums.filter((sum) => sum !== WHOLE_SUM)).toEqual([]);
  }, 60_000);

  test('stays as it was opened, and may be written from', async () => {
    const writer = await proxy.connect({ database: DATABASE });
    await reader.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    await writer.query('UPDATE accounts SET balance = balance + 5');
    const [rows] = await reader.query<RowDataPacket[]>('SELECT SUM(balance) AS s FROM accounts');
    await reader.query('UPDATE accounts SET balance = balance - 5');
    await reader.query('COMMIT');

    expect(Number(rows[0]?.s)).toBe(WHOLE_SUM);
    expect(await sumsAfter('BEGIN', 1)).toEqual([WHOLE_SUM]);
  });

  test('many clients may ask at once, and a proxy that dies with the gate does not keep it', async () => {
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => proxy.connect({ database: DATABASE })),
    );
    const direct = await proxy.connectShard(0);
    await direct.query('BEGIN');
    await direct.query('SELECT * FROM shardgate.commit_gate FOR UPDATE');
    const waiting = Promise.all(
      clients.map((client) => client.query('START TRANSACTION WITH CONSISTENT SNAPSHOT')),
    );
    direct.destroy();
    await waiting;
    await Promise.all(clients.map((client) => client.query('COMMIT')));

    await reader.query('UPDATE accounts SET balance = balance');
  });
});

function loginOf({ proxy }: TestProxy) {
  return { ...proxy.address, user: 'app', password: 'app-secret' };
}
