import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';
import { type RunningProxy, startProxy } from '../../src/proxy.ts';

export interface BackendAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface ProxyConfigOptions {
  readonly servers: readonly BackendAddress[];
  /** The `databases:` block of shards.yaml, indented by two. Shards are named s1, s2, … */
  readonly databases: string;
  /** Further settings of every shard: `connections_max: 8`. */
  readonly shardSettings?: string;
  /** Further top-level lines of shards.yaml. */
  readonly extra?: string;
  /** Further lines of the `users:` block, indented by two. */
  readonly moreUsers?: string;
}

export interface TestProxyOptions extends ProxyConfigOptions {
  /** Created empty on every shard first, and dropped at the end. */
  readonly createDatabases: readonly string[];
}

/** A proxy in this process in front of real servers, and ways to talk to it and to them. */
export interface TestProxy {
  readonly proxy: RunningProxy;
  readonly configPath: string;
  /** An ordinary mysql2 client of the proxy. Ended with the proxy at the latest. */
  connect(options?: ConnectionOptions): Promise<Connection>;
  /** A client of one shard itself: 0 is s1. */
  connectShard(index: number, options?: ConnectionOptions): Promise<Connection>;
  stop(): Promise<void>;
}

export const TEST_USER = 'app';
export const TEST_PASSWORD = 'app-secret';

export async function startTestProxy(options: TestProxyOptions): Promise<TestProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'shardgate-test-'));
  const configPath = join(folder, 'shards.yaml');
  await writeFile(
    configPath,
    proxyConfigText(options, { listen: '127.0.0.1:0', admin: '127.0.0.1:0' }),
  );
  await onEachServer(options.servers, async (connection) => {
    for (const name of options.createDatabases) {
      await connection.query(`DROP DATABASE IF EXISTS \`${name}\``);
      await connection.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`);
    }
  });
  const proxy = await startProxy({ configPath, logLevel: 'warn' });
  const open: Connection[] = [];
  const opened = async (connection: Promise<Connection>): Promise<Connection> => {
    open.push(await connection);
    return connection;
  };
  return {
    proxy,
    configPath,
    connect: (more = {}) =>
      opened(
        createConnection({
          host: proxy.address.host,
          port: proxy.address.port,
          user: TEST_USER,
          password: TEST_PASSWORD,
          ...more,
        }),
      ),
    connectShard: (index, more = {}) =>
      opened(createConnection({ ...login(options.servers[index]), ...more })),
    async stop() {
      for (const connection of open) connection.destroy();
      await proxy.stop();
      await onEachServer(options.servers, async (connection) => {
        for (const name of options.createDatabases) {
          await connection.query(`DROP DATABASE IF EXISTS \`${name}\``);
        }
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The text of a shards.yaml for these servers, with one user. */
export function proxyConfigText(
  options: ProxyConfigOptions,
  addresses: { readonly listen: string; readonly admin: string },
): string {
  const settings = options.shardSettings === undefined ? '' : `, ${options.shardSettings}`;
  const shards = options.servers.map(
    (server, index) =>
      `  s${index + 1}: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "${server.password}"${settings} }`,
  );
  return [
    // Test files share servers, and each has a map of its own.
    ...(/^cluster:/m.test(options.extra ?? '') ? [] : [`cluster: ${randomUUID()}`]),
    `listen: ${addresses.listen}`,
    `admin: { listen: ${addresses.admin} }`,
    'users:',
    `  ${TEST_USER}: { password: ${TEST_PASSWORD} }`,
    options.moreUsers ?? '',
    'shards:',
    ...shards,
    'databases:',
    options.databases,
    options.extra ?? '',
    '',
  ].join('\n');
}

function login(server: BackendAddress | undefined): ConnectionOptions {
  if (server === undefined) throw new Error('there is no such server');
  const { host, port, user, password } = server;
  return { host, port, user, password };
}

/** Servers may be slow to answer the first time; one that is down (a test killed it) is passed over. */
async function onEachServer(
  servers: readonly BackendAddress[],
  action: (connection: Connection) => Promise<void>,
): Promise<void> {
  for (const server of servers) {
    const connection = await createConnection(login(server)).catch(() => undefined);
    if (connection === undefined) continue;
    await action(connection);
    await connection.end();
  }
}
