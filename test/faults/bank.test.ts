import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, type ServerAddress, useServers } from '../support/mysql-servers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { eventually } from './txn-cluster.ts';

/** SHARDGATE_BANK_MS makes it longer: five minutes is what a release is tried with. */
const DURATION_MS = Number(process.env.SHARDGATE_BANK_MS ?? 8_000);
const WRITERS = 8;
const ACCOUNTS = 12;
const DATABASE = 'txn_bank';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 4, shard: s1 }, { below: 8, shard: s2 }, { shard: s3 }] }
    tables:
      accounts: { key: id, strategy: by_id }
      ledger: { key: account, strategy: by_id }
`;

await describeServers('a bank on three shards whose proxies are killed', (flavour) => {
  let servers: readonly ServerAddress[];
  let direct: readonly Connection[] = [];
  const proxies: ProxyProcess[] = [];
  const start = (): Promise<ProxyProcess> => startProxyProcess({ servers, databases: DATABASES });

  beforeAll(async () => {
    servers = await useServers({ count: 3, flavour });
    direct = await Promise.all(
      servers.map(({ host, port, user, password }) =>
        createConnection({ host, port, user, password }),
      ),
    );
    // Before the proxies start: both know the tables then.
    for (const shard of direct) {
      await shard.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await shard.query(`CREATE DATABASE ${DATABASE}`);
      await shard.query(
        `CREATE TABLE ${DATABASE}.accounts (id INT PRIMARY KEY, balance INT NOT NULL)`,
      );
      await shard.query(
        `CREATE TABLE ${DATABASE}.ledger (transfer VARCHAR(32), account INT, amount INT, PRIMARY KEY (transfer, account))`,
      );
    }
    proxies.push(await start(), await start());
    const client = await createConnection({ ...loginOf(0), database: DATABASE });
    const rows = Array.from({ length: ACCOUNTS }, (_, id) => `(${id}, 0)`);
    await client.query(`INSERT INTO accounts VALUES ${rows.join(', ')}`);
    await client.end();
  });

  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    for (const shard of direct) await shard.end();
  });

  function loginOf(index: number): ProxyProcess['login'] {
    const proxy = proxies[index];
    if (proxy === undefined) throw new Error('no such proxy');
    return proxy.login;
  }

  test(
    'loses no transfer, doubles none and leaves no branch',
    async () => {
      const acknowledged: string[] = [];
      const failures = new Set<string>();
      const deadline = Date.now() + DURATION_MS;
      const writers = Array.from({ length: WRITERS }, (_, writer) =>
        transferUntil(deadline, () => loginOf(writer % 2), { writer, acknowledged, failures }),
      );
      for (let kills = 0; Date.now() < deadline; kills++) {
        await delay(700 + 300 * (kills % 3));
        const victim = proxies[kills % 2];
        victim?.kill('SIGKILL');
        await victim?.exited;
        proxies[kills % 2] = await start();
      }
      await Promise.all(writers);

      await eventually(async () => (await preparedCount()) === 0, 30_000);
      const ledger = await rowsOf('SELECT transfer, account, amount FROM ledger');
      const perTransfer = Map.groupBy(ledger, (row) => String(row.transfer));
      const incomplete = [...perTransfer.values()].filter((rows) => rows.length !== 2);
      expect(incomplete).toEqual([]);
      expect(acknowledged.filter((transfer) => !perTransfer.has(transfer))).toEqual([]);
      for (const account of await rowsOf('SELECT id, balance FROM accounts')) {
        const moved = ledger.filter((row) => row.account === account.id);
        const expected = moved.reduce((sum, row) => sum + Number(row.amount), 0);
        expect(account).toEqual({ id: account.id, balance: expected });
      }
      expect(acknowledged.length, [...failures].join('\n')).toBeGreaterThan(WRITERS);
    },
    DURATION_MS + 90_000,
  );

  async function rowsOf(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const answers = await Promise.all(
      direct.map((one) => one.query<RowDataPacket[]>(sql.replace('FROM ', `FROM ${DATABASE}.`))),
    );
    return answers.flatMap(([rows]) => rows);
  }

  async function preparedCount(): Promise<number> {
    const answers = await Promise.all(
      direct.map((shard) => shard.query<RowDataPacket[]>('XA RECOVER')),
    );
    return answers.flatMap(([rows]) => rows).length;
  }
});

/** Moves money between accounts of different shards, whatever happens to the proxies. */
async function transferUntil(
  deadline: number,
  login: () => ProxyProcess['login'],
  record: {
    readonly writer: number;
    readonly acknowledged: string[];
    readonly failures: Set<string>;
  },
): Promise<void> {
  const { writer, acknowledged, failures } = record;
  let client: Connection | undefined;
  for (let count = 0; Date.now() < deadline; count++) {
    const transfer = `${writer}-${count}`;
    try {
      client ??= await connect(login());
      await move(client, transfer, writer + count);
      acknowledged.push(transfer);
    } catch (error) {
      failures.add(String(error));
      // Killed in the middle, or not up again yet: the next transfer has a new connection.
      client?.destroy();
      client = undefined;
      await delay(30);
    }
  }
  client?.destroy();
}

async function connect(login: ProxyProcess['login']): Promise<Connection> {
  const client = await createConnection({ ...login, database: DATABASE });
  client.on('error', () => undefined); // The same error fails the statement under way.
  return client;
}

async function move(client: Connection, transfer: string, at: number): Promise<void> {
  // In the order of the ids, so that no cycle of lock waits goes over several shards.
  const from = at % 8;
  const to = from < 4 ? 4 + ((at * 7) % 8) : 8 + ((at * 5) % 4);
  await client.query('BEGIN');
  for (const [account, amount] of [
    [from, -1],
    [to, 1],
  ]) {
    await client.query('UPDATE accounts SET balance = balance + ? WHERE id = ?', [amount, account]);
    await client.query('INSERT INTO ledger VALUES (?, ?, ?)', [transfer, account, amount]);
  }
  await client.query('COMMIT');
}
