import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DevServer, describeServers, startOwnServer } from '../support/mysql-servers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';
import { Bank, type BankReport } from './bank.ts';
import { eventually } from './txn-cluster.ts';

/** SHARDGATE_BANK_MS makes it longer: five minutes is what a release is tried with. */
const DURATION_MS = Number(process.env.SHARDGATE_BANK_MS ?? 10_000);
/** Milliseconds between two faults, at random. */
const PAUSE_MS = { min: 500, max: 2_000 };
const CLEAN_WITHIN_MS = 30_000;
const WRITERS = 16;
const SHARDS = 4;
const ACCOUNTS = 200;
const DATABASE = 'txn_bank';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 50, shard: s1 }, { below: 100, shard: s2 }, { below: 150, shard: s3 }, { shard: s4 }] }
    tables:
      accounts: { key: id, strategy: by_id }
      ledger: { key: account, strategy: by_id }
`;

await describeServers('a bank on four shards, everything killed at random', (flavour) => {
  let servers: readonly DevServer[] = [];
  const proxies: ProxyProcess[] = [];
  const start = (): Promise<ProxyProcess> =>
    startProxyProcess({ servers: servers.map(({ address }) => address), databases: DATABASES });

  beforeAll(async () => {
    servers = await Promise.all(Array.from({ length: SHARDS }, () => startOwnServer({ flavour })));
    // Before the proxies start: both know the tables then.
    for (const server of servers) {
      await onServer(server, async (shard) => {
        await shard.query(`CREATE DATABASE ${DATABASE}`);
        await shard.query(
          `CREATE TABLE ${DATABASE}.accounts (id INT PRIMARY KEY, balance INT NOT NULL)`,
        );
        await shard.query(
          `CREATE TABLE ${DATABASE}.ledger (transfer VARCHAR(32), account INT, amount INT, PRIMARY KEY (transfer, account))`,
        );
      });
    }
    proxies.push(await start(), await start());
    const client = await createConnection({ ...loginOf(0), database: DATABASE });
    const rows = Array.from({ length: ACCOUNTS }, (_, id) => `(${id}, 0)`);
    await client.query(`INSERT INTO accounts VALUES ${rows.join(', ')}`);
    await client.end();
  }, 120_000);

  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  function loginOf(index: number): ProxyProcess['login'] {
    const proxy = proxies[index % proxies.length];
    if (proxy === undefined) throw new Error('no such proxy');
    return proxy.login;
  }

  test(
    'loses no transfer, doubles none and leaves no branch',
    async () => {
      const bank = new Bank({
        login: loginOf,
        database: DATABASE,
        accounts: ACCOUNTS,
        writers: WRITERS,
      });
      const deadline = Date.now() + DURATION_MS;
      const work = bank.workUntil(deadline);
      const faults = await killUntil(deadline);
      const lastFault = Date.now();
      const report = await work;

      await eventually(nothingIsLeft, CLEAN_WITHIN_MS);
      tell(report, { faults, cleanAfterMs: Date.now() - lastFault });
      const ledger = await rowsOf('SELECT transfer, account, amount FROM ledger');
      const perTransfer = Map.groupBy(ledger, (row) => String(row.transfer));
      const incomplete = [...perTransfer.values()].filter((rows) => rows.length !== 2);
      expect(incomplete).toEqual([]);
      expect(report.acknowledged.filter((transfer) => !perTransfer.has(transfer))).toEqual([]);
      const accounts = await rowsOf('SELECT id, balance FROM accounts');
      expect(accounts).toHaveLength(ACCOUNTS);
      const perAccount = Map.groupBy(ledger, (row) => Number(row.account));
      for (const { id, balance } of accounts) {
        const moved = perAccount.get(Number(id)) ?? [];
        expect({ id, balance }).toEqual({
          id,
          balance: moved.reduce((sum, row) => sum + Number(row.amount), 0),
        });
      }
      expect(report.snapshotSums.filter((sum) => sum !== 0)).toEqual([]);
      expect(report.acknowledged.length, report.failures.join('\n')).toBeGreaterThan(WRITERS);
      expect(report.snapshotSums.length, report.failures.join('\n')).toBeGreaterThan(0);
    },
    DURATION_MS + 120_000,
  );

  /** Kills a proxy or a shard every now and then and starts it again. */
  async function killUntil(deadline: number): Promise<number> {
    let faults = 0;
    for (; Date.now() < deadline; faults++) {
      await delay(PAUSE_MS.min + Math.random() * (PAUSE_MS.max - PAUSE_MS.min));
      if (Math.random() < 0.5) {
        const index = faults % proxies.length;
        proxies[index]?.kill('SIGKILL');
        await proxies[index]?.exited;
        proxies[index] = await start();
      } else {
        const server = servers[Math.floor(Math.random() * servers.length)];
        await server?.kill();
        await delay(Math.random() * 500);
        await server?.restart();
      }
    }
    return faults;
  }

  /** No prepared branch, and every row can be locked at once. */
  async function nothingIsLeft(): Promise<boolean> {
    const prepared = await onAll((shard) => shard.query<RowDataPacket[]>('XA RECOVER'));
    if (prepared.some(([rows]) => rows.length > 0)) return false;
    await onAll(async (shard) => {
      await shard.query('SET SESSION innodb_lock_wait_timeout = 1');
      await shard.query(`UPDATE ${DATABASE}.accounts SET balance = balance + 0`);
    });
    return true;
  }

  async function rowsOf(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const qualified = sql.replace('FROM ', `FROM ${DATABASE}.`);
    const answers = await onAll((shard) => shard.query<RowDataPacket[]>(qualified));
    return answers.flatMap(([rows]) => rows);
  }

  function onAll<Result>(work: (shard: Connection) => Promise<Result>): Promise<Result[]> {
    return Promise.all(servers.map((server) => onServer(server, work)));
  }
});

async function onServer<Result>(
  { address: { host, port, user, password } }: DevServer,
  work: (shard: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await createConnection({ host, port, user, password });
  try {
    return await work(connection);
  } finally {
    connection.destroy();
  }
}

function tell(
  report: BankReport,
  faults: { readonly faults: number; readonly cleanAfterMs: number },
) {
  const { acknowledged, attempts, snapshotSums, failures } = report;
  process.stderr.write(
    `bank: ${acknowledged.length} of ${attempts} transfers acknowledged, ${snapshotSums.length} snapshots, ` +
      `${faults.faults} faults, clean ${faults.cleanAfterMs} ms after the last one; ` +
      `kinds of failure:\n  ${failures.slice(0, 20).join('\n  ')}\n`,
  );
}
