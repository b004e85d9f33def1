/** KILL QUERY at any moment of a statement, also while its transaction is being opened on the shards. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'txn_kill_test';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2, s3, s4] }
    tables:
      marks: { key: id, strategy: by_id }`;
const ROUNDS = 150;
const ROWS = 8;

await describeServers('KILL QUERY', (flavour) => {
  let proxy: TestProxy;
  let killer: Connection;
  let victim: Connection;
  let victimId: number;

  beforeAll(async () => {
    const servers = await useServers({ count: 4, flavour });
    proxy = await startTestProxy({ servers, databases: DATABASES, createDatabases: [DATABASE] });
    killer = await proxy.connect({ database: DATABASE });
    victim = await proxy.connect({ database: DATABASE });
    const [rows] = await victim.query<RowDataPacket[]>('SELECT CONNECTION_ID() AS id');
    victimId = rows[0]?.id;
    await killer.query('CREATE TABLE marks (id INT PRIMARY KEY, v INT)');
    await killer.query('INSERT INTO marks VALUES (1,0),(2,0),(3,0),(4,0),(5,0),(6,0),(7,0),(8,0)');
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  /** Whether the statement went well, though it was killed a little after it was sent. */
  async function killed(sql: string, round: number): Promise<boolean> {
    const outcome = victim.query(sql).then(
      () => true,
      () => false,
    );
    await new Promise((resolve) => setImmediate(resolve));
    const until = performance.now() + (round % 20) * 0.1;
    while (performance.now() < until);
    await killer.query(`KILL QUERY ${victimId}`);
    return outcome;
  }

  async function rowsWith(value: number): Promise<number> {
    const [rows] = await killer.query<RowDataPacket[]>(
      `SELECT COUNT(*) AS n FROM marks WHERE v = ${value}`,
    );
    return rows[0]?.n;
  }

  test('leaves all rows changed or none', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      const wentWell = await killed(`UPDATE marks SET v = ${round}`, round);
      expect(await rowsWith(round), `round ${round}`).toBe(wentWell ? ROWS : 0);
    }
  }, 60_000);

  test('leaves nothing behind that ROLLBACK does not take back', async () => {
    await killer.query('UPDATE marks SET v = 0');
    for (let round = 1; round <= ROUNDS; round++) {
      await victim.query('BEGIN');
      await killed(`UPDATE marks SET v = ${round} WHERE id = 3`, round);
      await victim.query('ROLLBACK');
      expect(await rowsWith(round), `round ${round}`).toBe(0);
    }
  }, 60_000);
});
