/** check, rollback and rebalance against a cluster that is at work. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/main.ts';
import { makeSelfSignedCertificate } from '../../src/listener/self-signed-certificate.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startProxyProcess } from '../support/proxy-process.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'live_cli';
const DATABASES = `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
      by_tenant: { type: directory, shards: [s1, s2], pins: { a: s1, b: s1, c: s1 } }
    tables:
      users: { key: id, strategy: by_id }`;

await describeServers('commands on a live cluster', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let text: string;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [DATABASE],
    });
    text = await readFile(proxy.configPath, 'utf8');
    client = await proxy.connect({ database: DATABASE });
    await client.query('CREATE TABLE users (id INT NOT NULL PRIMARY KEY)');
    await client.query(
      `INSERT INTO users VALUES ${Array.from({ length: 100 }, (_, id) => `(${id})`)}`,
    );
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function run(...args: readonly string[]): Promise<{ code: number; said: string }> {
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const code = await runCommandLine(args, { env: {}, out: say, say });
    return { code, said: lines.join('\n') };
  }

  async function checkText(content: string): Promise<{ code: number; said: string }> {
    const path = `${proxy.configPath}.next`;
    await writeFile(path, content);
    return run('check', path);
  }

  test('check FILE says what saving it would do, and does nothing', async () => {
    expect((await checkText(text)).said).toMatch(/says the same as version 1/);
    const good = await checkText(
      text.replace('tables:', 'tables:\n      later: { key: id, strategy: by_id }'),
    );
    expect(good).toMatchObject({
      code: 0,
      said: expect.stringContaining('saving it would move no row'),
    });
    expect(good.said).toContain(`+ databases.${DATABASE}.tables.later.key: id`);

    const bad = await checkText(
      text.replace('hash, shards: [s1, s2]', 'hash, shards: [s1, s2, s3]'),
    );
    expect(bad.code).toBe(1);
    expect(bad.said).toMatch(new RegExp(`${DATABASE}.users +s1 +s3 +\\d+`));
    expect(bad.said).toMatch(new RegExp(`${DATABASE}.users +s2 +s3 +\\d+`));
    expect(bad.said).toMatch(/saving it would be refused/);
    const [[config]] = await client.query<RowDataPacket[]>('SHOW CONFIG');
    expect(Number(config?.version)).toBe(1);
  });

  test('check --distribution counts rows, or places keys', async () => {
    const rows = await run('check', '--distribution', '--config', proxy.configPath);
    expect(rows.code).toBe(0);
    const counts = [...rows.said.matchAll(/^s\d +(\d+)/gm)].map(([, count]) => Number(count));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100);

    const keys = await run('check', '--distribution', '--keys', '10000', '-c', proxy.configPath);
    const placed = [...keys.said.matchAll(/^s\d +(\d+)/gm)].map(([, count]) => Number(count));
    expect(placed.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    expect(Math.max(...placed)).toBeLessThan(5_750);
  });

  test('rebalance --plan names the fullest shard and what would even it out', async () => {
    const { code, said } = await run('rebalance', '--plan', '-c', proxy.configPath);

    expect(code).toBe(0);
    expect(said).toMatch(/has 2.00 times its part/);
    expect(said).toMatch(/1 keys from s1 to s2/);
  });

  test('SIGHUP reads the certificate again, and the proxy goes on', async () => {
    const servers = await useServers({ count: 2, flavour });
    const folder = await mkdtemp(join(tmpdir(), 'shardgate-hup-'));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const renew = async () => {
      const made = makeSelfSignedCertificate({ now: Date.now() });
      await writeFile(cert, made.certificatePem);
      await writeFile(key, made.keyPem);
    };
    await renew();
    const extra = `tls: { cert: ${cert}, key: ${key} }`;
    const other = await startProxyProcess({ servers, databases: DATABASES, extra });
    const fingerprint = async (): Promise<string> => {
      const connection = await createConnection({
        ...other.login,
        ssl: { rejectUnauthorized: false },
      });
      const socket = (connection as unknown as { connection: { stream: TLSSocket } }).connection
        .stream;
      const { fingerprint256 } = socket.getPeerCertificate();
      await connection.end();
      return fingerprint256;
    };
    const before = await fingerprint();
    await renew();
    expect(await fingerprint()).toBe(before);
    other.kill('SIGHUP');

    await expect.poll(fingerprint, { timeout: 5_000 }).not.toBe(before);
    await other.stop();
    await rm(folder, { recursive: true });
  });

  test('rollback saves an earlier version, which comes into force as a new one', async () => {
    await writeFile(
      proxy.configPath,
      text.replace('users:\n', 'users:\n  guest: { password: x }\n'),
    );
    const version = async () => {
      const [[row]] = await client.query<RowDataPacket[]>('SHOW CONFIG');
      return Number(row?.version);
    };
    await expect.poll(version, { timeout: 5_000 }).toBe(2);

    const { code, said } = await run('rollback', '1', '-c', proxy.configPath);
    expect(said).toContain('in force as version 3');
    expect(code).toBe(0);
    expect(await readFile(proxy.configPath, 'utf8')).toBe(text);
    expect((await run('rollback', '77', '-c', proxy.configPath)).said).toContain('no version 77');
  });
});
