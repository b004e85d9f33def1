/** Who gets in, by which client and plugin, over clear sockets and TLS. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nativeVerifier, sha2Verifier } from '../../src/wire/scramble.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const run = promisify(execFile);
const DATABASE = 'login_test';
const DATABASES = `
  ${DATABASE}:
    default: s1`;

const USERS = `
tls: { self_signed: true }
server_version: 8.0.39-shardgate`;

const MORE_USERS = [
  `  native: { password_native: "*${nativeVerifier('pw').toString('hex')}" }`,
  `  sha2: { password_sha2: ${sha2Verifier('pw').toString('hex')} }`,
  '  nopassword: { password: "" }',
  '  secure: { password: pw, tls: required }',
  '  elsewhere: { password: pw, hosts: [10.9.8.7] }',
  '  reader: { password: pw, read_only: true }',
].join('\n');

const TLS = { rejectUnauthorized: false };

await describeServers('login', (flavour) => {
  let proxy: TestProxy;

  beforeAll(async () => {
    const servers = await useServers({ count: 1, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [DATABASE],
      extra: USERS,
      moreUsers: MORE_USERS,
    });
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function logIn(options: ConnectionOptions): Promise<string> {
    const { address } = proxy.proxy;
    try {
      const client = await createConnection({ ...address, database: DATABASE, ...options });
      const [rows] = await client.query<RowDataPacket[]>('SELECT CURRENT_USER() AS me');
      await client.end();
      return String(rows[0]?.me);
    } catch (error) {
      const { errno, message } = error as NodeJS.ErrnoException; // mysql2 rejects with these
      return `${errno} ${message}`;
    }
  }

  test.each<[string, ConnectionOptions, string]>([
    ['the right password', { user: 'app', password: 'app-secret' }, 'app@%'],
    ['the right password over TLS', { user: 'app', password: 'app-secret', ssl: TLS }, 'app@%'],
    [
      'a wrong password',
      { user: 'app', password: 'nope' },
      "1045 Access denied for user 'app'@'127.0.0.1' (using password: YES)",
    ],
    [
      'no password',
      { user: 'app' },
      "1045 Access denied for user 'app'@'127.0.0.1' (using password: NO)",
    ],
    [
      'an unknown user',
      { user: 'nobody', password: 'x' },
      "1045 Access denied for user 'nobody'@'127.0.0.1' (using password: YES)",
    ],
    [
      'a user from elsewhere',
      { user: 'elsewhere', password: 'pw' },
      "1045 Access denied for user 'elsewhere'@'127.0.0.1' (using password: YES)",
    ],
    ['an empty password', { user: 'nopassword' }, 'nopassword@%'],
    ['only a SHA-2 hash known', { user: 'sha2', password: 'pw' }, 'sha2@%'],
    [
      'only a native hash known, the password by RSA',
      { user: 'native', password: 'pw' },
      'native@%',
    ],
    [
      'only a native hash known, the password over TLS',
      { user: 'native', password: 'pw', ssl: TLS },
      'native@%',
    ],
    [
      'only a native hash known, wrong password',
      { user: 'native', password: 'wp' },
      "1045 Access denied for user 'native'@'127.0.0.1' (using password: YES)",
    ],
    ['TLS required and given', { user: 'secure', password: 'pw', ssl: TLS }, 'secure@%'],
    [
      'TLS required and not given',
      { user: 'secure', password: 'pw' },
      '3159 Connections using insecure transport are prohibited for this user: connect with TLS',
    ],
    [
      'an unknown database',
      { user: 'app', password: 'app-secret', database: 'nosuch' },
      "1049 Unknown database 'nosuch'",
    ],
    [
      'an unknown database and a wrong password',
      { user: 'app', password: 'x', database: 'nosuch' },
      "1045 Access denied for user 'app'@'127.0.0.1' (using password: YES)",
    ],
  ])('%s', async (_title, options, expected) => {
    expect(await logIn(options)).toBe(expected);
  });

  test('COM_CHANGE_USER logs in anew and forgets the session', async () => {
    const client = await proxy.connect({ database: DATABASE });
    await client.query("SET time_zone = '+03:00', @x = 5");
    await client.query('BEGIN');
    await client.changeUser({ user: 'reader', password: 'pw', database: DATABASE });
    const [rows] = await client.query<RowDataPacket[]>(
      'SELECT CURRENT_USER() AS me, @@time_zone AS zone, @x AS x',
    );

    expect(rows).toEqual([{ me: 'reader@%', zone: 'SYSTEM', x: null }]);
    await expect(client.query('CREATE TABLE t (a INT)')).rejects.toMatchObject({ errno: 1290 });
    await expect(client.changeUser({ user: 'app', password: 'x' })).rejects.toMatchObject({
      errno: 1045,
    });
  });

  test('the greeting shows the version of the config and only what works', async () => {
    const greeting = await firstPacket(proxy.proxy.address);
    const version = greeting.toString('latin1', 5, greeting.indexOf(0, 5));
    const rest = greeting.indexOf(0, 5) + 1 + 4 + 8 + 1;
    const capabilities = greeting.readUInt16LE(rest) | (greeting.readUInt16LE(rest + 5) << 16);

    expect(version).toBe('8.0.39-shardgate');
    // COMPRESS, LOCAL_FILES, DEPRECATE_EOF, ZSTD, QUERY_ATTRIBUTES.
    for (const bit of [5, 7, 24, 26, 27]) expect(capabilities & (1 << bit)).toBe(0);
    // CONNECT_WITH_DB, PROTOCOL_41, SSL, MULTI_STATEMENTS, PLUGIN_AUTH, SESSION_TRACK.
    for (const bit of [3, 9, 11, 16, 19, 23]) expect(capabilities & (1 << bit)).not.toBe(0);
  });

  test.skipIf(!existsSync('/usr/bin/mariadb'))('the command-line client', async () => {
    const { host, port } = proxy.proxy.address;
    const base = [
      '--no-defaults',
      '-h',
      host,
      '-P',
      String(port),
      '-uapp',
      '-papp-secret',
      '-N',
      '-B',
    ];
    const sql =
      'CREATE TABLE cli (a INT PRIMARY KEY); INSERT INTO cli VALUES (1),(2); SELECT SUM(a) FROM cli';
    const { stdout } = await run('mariadb', [...base, DATABASE, '-e', sql]);
    expect(stdout).toBe('3\n');

    const overTls = await run('mariadb', [
      ...base,
      '--ssl',
      '--ssl-verify-server-cert=0',
      '-e',
      'SELECT 5',
    ]);
    expect(overTls.stdout).toBe('5\n');
  });

  test.skipIf(!existsSync('/usr/lib/python3/dist-packages/pymysql'))('PyMySQL', async () => {
    const { host, port } = proxy.proxy.address;
    const script = `
import pymysql
c = pymysql.connect(host='${host}', port=${port}, user='app', password='app-secret', database='${DATABASE}')
cur = c.cursor()
cur.execute('CREATE TABLE py (id INT AUTO_INCREMENT PRIMARY KEY, x INT)')
cur.execute('INSERT INTO py (x) VALUES (%s)', (5,))
print(cur.lastrowid, cur.rowcount, c.get_autocommit())
c.rollback()
cur.execute('SELECT COUNT(*) FROM py'); print(cur.fetchall())
c.autocommit(True); print(c.get_autocommit())
cur.execute('INSERT INTO py (x) VALUES (%s)', (6,)); c.rollback()
cur.execute('SELECT x FROM py'); print(cur.fetchall())
c.ping(); c.close()
try: pymysql.connect(host='${host}', port=${port}, user='app', password='x')
except pymysql.err.OperationalError as e: print(e.args[0])
`;
    const { stdout } = await run('/usr/bin/python3', ['-c', script]);
    expect(stdout.trim().split('\n')).toEqual(['1 1 False', '((0,),)', 'True', '((6,),)', '1045']);
  });
});

function firstPacket(address: { readonly host: string; readonly port: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    socket.once('data', (bytes) => {
      socket.destroy();
      resolve(bytes);
    });
    socket.once('error', reject);
  });
}
