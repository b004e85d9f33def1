/**
 * The same statements on one server that holds all rows and through the proxy on four shards:
 * names, types, rows, order, affected rows, info, warnings and errors must agree.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type ConnectionOptions, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerOf, inAnyOrder, type Protocol } from '../support/answers.ts';
import { flavours, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const CASES = new URL('./cases/', import.meta.url);
const SHARDED = 'diff_shop';
/** On the first shard too, beside the sharded database: one server with all the rows. */
const ORACLE = 'diff_orac';

/** Values as the driver reads them, not rounded or moved to a time zone. */
const EXACT = { dateStrings: true, supportBigNumbers: true, bigNumberStrings: true };

const DATABASES = `
  ${SHARDED}:
    default: s1
    strategies:
      by_user: { type: hash, shards: [s1, s2, s3, s4] }
      by_day:
        type: range
        ranges:
          - { below: 2024-01-01, shard: s2 }
          - { below: 2024-04-01, shard: s3 }
          - { below: 2025-01-01, shard: s4 }
          - { shard: s1 }
      by_tenant: { type: directory, shards: [s1, s2, s3, s4], pins: { acme: s2 }, assign: least-loaded }
    tables:
      users: { key: id, strategy: by_user }
      orders: { key: user_id, strategy: by_user }
      events: { key: at, strategy: by_day }
      notes: { key: tenant, strategy: by_tenant }
      countries: reference`;

describe.each(await flavours())('on %s', (flavour) => {
  let proxy: TestProxy;
  let oracleLogin: ConnectionOptions;

  beforeAll(async () => {
    const servers = await useServers({ count: 4, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [SHARDED, ORACLE],
    });
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    const { host, port, user, password } = first;
    oracleLogin = { host, port, user, password, database: ORACLE, ...EXACT };
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  const runs = readdirSync(CASES).flatMap((file): [string, Protocol][] => [
    [file, 'text'],
    [file, 'prepared'],
  ]);

  test.each(runs)('%s, %s: every statement answers as one server does', async (file, protocol) => {
    const client = await proxy.connect({ database: SHARDED, ...EXACT });
    const oracle = await createConnection(oracleLogin);
    const fixture = statementsOf(readFileSync(new URL('../fixture.sql', CASES), 'utf8'));
    for (const name of ['users', 'orders', 'events', 'notes', 'countries', 'settings']) {
      for (const side of [client, oracle]) await side.query(`DROP TABLE IF EXISTS ${name}`);
    }
    for (const sql of fixture) {
      for (const side of [client, oracle]) await side.query(sql);
    }

    const differences: string[] = [];
    for (const sql of statementsOf(readFileSync(new URL(file, CASES), 'utf8'))) {
      const ordered = /ORDER BY/i.test(sql);
      const expected = await answerOf(oracle, sql, { protocol });
      const actual = withOracleNames(await answerOf(client, sql, { protocol }));
      const same = ordered
        ? isSame(actual, expected)
        : isSame(inAnyOrder(actual), inAnyOrder(expected));
      if (!same) {
        differences.push(
          `${sql}\n  one server: ${short(expected)}\n  shardgate:  ${short(actual)}`,
        );
      }
    }
    expect(differences.join('\n')).toBe('');
    await client.end();
    await oracle.end();
  });
});

function short(answer: unknown): string {
  return JSON.stringify(answer).slice(0, 600);
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The two databases have names of one length that differ: server texts that quote one must agree. */
function withOracleNames<T>(answer: T): T {
  return JSON.parse(JSON.stringify(answer).replaceAll(SHARDED, ORACLE)) as T;
}

/** Statements end with `;` at the end of a line; lines that begin with `--` are comments. */
function statementsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('--'))
    .join('\n')
    .split(/;\n/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
