import { randomBytes } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { XID_FORMAT } from '../../src/txn/xid.ts';
import { eventually } from '../faults/txn-cluster.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'txn_operator';
const DATABASES = `  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: range, ranges: [{ below: 100, shard: s1 }, { shard: s2 }] }
    tables:
      accounts: { key: id, strategy: by_id }
`;

await describeServers('an operator and transactions in doubt', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let deployment: string;

  beforeAll(async () => {
    const servers = await useServers({ count: 2, flavour });
    proxy = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    client = await proxy.connect({ database: DATABASE });
    await client.query('CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)');
    const direct = await proxy.connectShard(0);
    const [rows] = await direct.query<RowDataPacket[]>('SELECT id FROM shardgate.deployment');
    deployment = String(rows[0]?.id);
  });
  afterAll(() => proxy?.stop());
  beforeEach(async () => {
    await client.query('REPLACE INTO accounts VALUES (1, 0), (101, 0)');
  });

  /** Adds 1 to the account of s2 in a branch that is left prepared. */
  async function leavePrepared(decisionShard: string): Promise<string> {
    const gtrid = `sg1.${deployment}.${decisionShard}.${randomBytes(6).toString('hex')}`;
    const xid = `'${gtrid}','s2',${XID_FORMAT}`;
    const shard = await proxy.connectShard(1, { database: DATABASE });
    await shard.query(`XA START ${xid}`);
    await shard.query('UPDATE accounts SET balance = balance + 1 WHERE id = 101');
    await shard.query(`XA END ${xid}`);
    await shard.query(`XA PREPARE ${xid}`);
    await shard.end(); // MariaDB lets nobody else finish it before.
    return gtrid;
  }

  async function inDoubt(gtrid: string): Promise<boolean> {
    const [rows] = await client.query<RowDataPacket[]>('SHOW TRANSACTIONS IN DOUBT');
    return rows.some((row) => row.transaction === gtrid);
  }

  async function balance(): Promise<number> {
    const sql = 'SELECT balance FROM accounts WHERE id = 101';
    const [rows] = await client.query<RowDataPacket[]>(sql);
    return Number(rows[0]?.balance);
  }

  test.each([
    { statement: 'COMMIT', expected: 1 },
    { statement: 'ROLLBACK', expected: 0 },
  ])('$statement IN DOUBT ends what was decided on a shard that is no more', async (one) => {
    const gtrid = await leavePrepared('gone');
    await eventually(() => inDoubt(gtrid));
    await eventually(async () => {
      // Until the server has noticed that the connection is gone.
      await client.query(`${one.statement} IN DOUBT '${gtrid}'`);
      return true;
    });

    expect(await balance()).toBe(one.expected);
    await client.query('UPDATE accounts SET balance = 5 WHERE id = 101');
    await eventually(async () => !(await inDoubt(gtrid)));
  });

  test('what the decision shard says is never contradicted', async () => {
    const shard = await proxy.connectShard(0);
    const gtrid = await leavePrepared('s1');
    await shard.query(
      "INSERT INTO shardgate.decisions (gtrid, decision, participants) VALUES (?, 'commit', 's2')",
      [gtrid],
    );
    const refused = client.query(`ROLLBACK IN DOUBT '${gtrid}'`);
    // Recovery may have been faster: then there is nothing in doubt any more.
    await expect(refused).rejects.toMatchObject({ errno: expect.toSatisfy(isRefusal) });
    await eventually(async () => (await balance()) === 1);
  });

  test('an id that nobody knows is 1397', async () => {
    await expect(client.query("COMMIT IN DOUBT 'sg1.x.s1.y'")).rejects.toMatchObject({
      errno: 1397,
    });
  });

  test.each(['XA START "a"', "XA COMMIT 'a'", 'XA RECOVER'])(
    '%s of a client is 1399',
    async (xa) => {
      await expect(client.query(xa)).rejects.toMatchObject({ errno: 1399, sqlState: 'XAE07' });
    },
  );

  test('the metrics page counts commits and shows what is in doubt', async () => {
    await client.query('UPDATE accounts SET balance = balance + 1');
    const { host, port } = proxy.proxy.adminAddress ?? { host: '', port: 0 };
    const page = await (await fetch(`http://${host}:${port}/metrics`)).text();

    expect(page).toMatch(/shardgate_commits_total\{kind="twoPhase"\} [1-9]/);
    expect(page).toMatch(/shardgate_transactions_in_doubt \d/);
  });
});

function isRefusal(errno: unknown): boolean {
  return errno === 1399 || errno === 1397;
}
