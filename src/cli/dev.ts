import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { type RunningProxy, startProxy } from '../proxy.ts';
import { type ClientConnection, connectClient } from './client-connection.ts';
import { type Command, EXIT, type Terminal } from './command.ts';
import { type DevServer, freePort, type ServerAddress } from './dev-servers.ts';
import { asText, CHECKS, fillShop, SAMPLE_STATEMENTS, SHOP_CONFIG } from './sample-shop.ts';
import { findServerSources, type ServerSource } from './server-sources.ts';
import { reasonOf, untilToldToStop } from './start.ts';

const SHARDS = ['s1', 's2', 's3', 's4'] as const;
const PREFERRED_PORT = 3307;
const PREFERRED_ADMIN_PORT = 8307;

export const devCommand: Command = {
  summary: 'a sharded sample shop on throwaway servers, ready to connect to',
  help: `Usage: shardgate dev [--port PORT] [--once]

Starts four throwaway MySQL or MariaDB servers with small memory on free loopback ports, writes a shards.yaml, starts
the proxy, and creates and fills a sample shop through it. Ctrl-C ends the servers and removes their files.
Servers come from: mysqld or mariadbd on the PATH, the MySQL that scripts/get-mysql unpacked, Docker. With both kinds
there, SHARDGATE_SERVERS_FLAVOUR=mysql or mariadb chooses.

  --port PORT   where the proxy listens (default ${PREFERRED_PORT}, or a free port when that is taken)
  --once        build everything, check its answers, take it down; exit code 0 when all were right`,
  async run(args, terminal) {
    const { values } = parseArgs({
      args: [...args],
      options: { port: { type: 'string' }, once: { type: 'boolean', default: false } },
    });
    const cleanUp: (() => Promise<unknown>)[] = [];
    // From here on neither Ctrl-C nor a closed terminal may leave servers behind, however far we are.
    const told = untilToldToStop(terminal, ['SIGTERM', 'SIGINT', 'SIGHUP']);
    try {
      const demo = build(values.port, terminal, cleanUp);
      const built = await Promise.race([demo, told]);
      if (built === undefined) {
        await demo.catch(() => undefined); // What it had started is in `cleanUp` by now.
        return EXIT.failed;
      }
      await introduce(built, terminal);
      if (values.once) return (await check(built, terminal)) ? EXIT.ok : EXIT.failed;
      terminal.out('\nCtrl-C ends the proxy and the four servers and removes their files.');
      await told;
      return EXIT.ok;
    } catch (error) {
      terminal.say(`shardgate dev: ${reasonOf(error)}`);
      return EXIT.failed;
    } finally {
      terminal.say('stopping the proxy and the servers');
      for (const step of cleanUp.reverse()) await step();
    }
  },
};

interface Demo {
  readonly servers: readonly ServerAddress[];
  readonly proxy: RunningProxy;
  readonly shop: ClientConnection;
  readonly configPath: string;
}

async function build(
  wantedPort: string | undefined,
  terminal: Terminal,
  cleanUp: (() => Promise<unknown>)[],
): Promise<Demo> {
  const source = await chooseSource(terminal);
  terminal.say(`starting four servers: ${source.description}`);
  const started = await Promise.allSettled(SHARDS.map(() => source.start({ env: terminal.env })));
  const servers: DevServer[] = [];
  for (const start of started) if (start.status === 'fulfilled') servers.push(start.value);
  cleanUp.push(() => Promise.all(servers.map((server) => server.stop())));
  for (const start of started) if (start.status === 'rejected') throw start.reason;

  const addresses = servers.map(({ address }) => address);
  const folder = await mkdtemp(join(tmpdir(), 'shardgate-dev-'));
  cleanUp.push(() => rm(folder, { recursive: true, force: true }));
  const configPath = join(folder, 'shards.yaml');
  const port = wantedPort ?? String(await preferPort(PREFERRED_PORT));
  await writeFile(configPath, configText(addresses, port, await preferPort(PREFERRED_ADMIN_PORT)));

  terminal.say('starting the proxy');
  const proxy = await startProxy({ configPath, env: terminal.env, logLevel: 'warn' });
  cleanUp.push(() => proxy.stop());

  terminal.say('creating and filling the sample shop through the proxy');
  const shop = await openShop(proxy);
  cleanUp.push(() => shop.end());
  await fillShop(shop);
  return { servers: addresses, proxy, shop, configPath };
}

async function chooseSource(
  terminal: Terminal,
): Promise<ServerSource & { readonly kind: 'startable' }> {
  terminal.say('looking for a MySQL-compatible server on this machine');
  const wanted = terminal.env.SHARDGATE_SERVERS_FLAVOUR;
  for (const [flavour, source] of await findServerSources(terminal.env)) {
    if (source.kind === 'startable' && (wanted ?? flavour) === flavour) return source;
  }
  throw new Error(
    'no mysqld or mariadbd here and no Docker: install one (Debian: apt-get install mariadb-server), or run scripts/demo',
  );
}

function configText(servers: readonly ServerAddress[], port: string, adminPort: number): string {
  const shards = servers.map(
    (server, index) =>
      `  ${SHARDS[index]}: { host: ${server.host}, port: ${server.port}, user: ${server.user}, password: "${server.password}" }`,
  );
  return [
    '# Written by `shardgate dev`, and removed with everything else when it ends.',
    `listen: 127.0.0.1:${port}`,
    `admin: { listen: 127.0.0.1:${adminPort} }`,
    'tls: { self_signed: true }',
    'users:',
    '  app: { password: app }',
    'shards:',
    ...shards,
    SHOP_CONFIG,
  ].join('\n');
}

async function openShop(proxy: RunningProxy): Promise<ClientConnection> {
  const login = { ...proxy.address, user: 'app', password: 'app' };
  const client = await connectClient(login);
  await client.query('CREATE DATABASE shop CHARACTER SET utf8mb4');
  await client.end();
  return connectClient({ ...login, database: 'shop' });
}

async function introduce({ proxy, shop, configPath }: Demo, terminal: Terminal): Promise<void> {
  const { host, port } = proxy.address;
  terminal.out(`\nThe shop is open. It looks like one MySQL and is four:

    mysql -h ${host} -P ${port} -u app -papp shop      (or mariadb, or any MySQL driver)

The config: ${configPath}`);
  if (proxy.adminAddress !== undefined) {
    terminal.out(
      `For operators: http://${proxy.adminAddress.host}:${proxy.adminAddress.port}/metrics`,
    );
  }
  terminal.out('\nThree statements to try, and where each one goes:');
  for (const { sql } of SAMPLE_STATEMENTS) {
    const route = await shop.query(`EXPLAIN ROUTE ${sql}`);
    terminal.out(`\n    ${sql};\n${describeRoute(route, sql)}`);
  }
}

/** One line for the shards together, and the text they get where it is not the client's own. */
function describeRoute(rows: readonly Readonly<Record<string, unknown>>[], sql: string): string {
  const [first] = rows;
  const shards = rows.map(({ shard }) => shard).join(', ');
  const keys = first?.keys === null || first?.keys === undefined ? '' : `, key ${first.keys}`;
  const texts = new Set(rows.map((row) => String(row.sql)).filter((text) => text !== sql));
  return [
    `      -> ${first?.plan}: ${shards}${keys}`,
    ...[...texts].map((text) => `         as ${text}`),
  ].join('\n');
}

/** Compares what the proxy answers with what one server would, and counts the rows on every shard. */
async function check({ servers, shop }: Demo, terminal: Terminal): Promise<boolean> {
  const wrong: string[] = [];
  for (const { sql, expected } of CHECKS) {
    const answer = asText(await shop.query(sql));
    if (isDeepStrictEqual(answer, expected)) continue;
    wrong.push(
      `${sql}\n  answered ${JSON.stringify(answer)}\n  expected ${JSON.stringify(expected)}`,
    );
  }
  const orders = await shop.query('SELECT id FROM orders');
  const ids = new Set(orders.map(({ id }) => id));
  if (ids.size !== orders.length) wrong.push(`${orders.length} orders have ${ids.size} ids`);
  const users = await Promise.all(servers.map((server) => countRows(server, 'users')));
  const countries = await Promise.all(servers.map((server) => countRows(server, 'countries')));
  if (users.some((count) => count === 0)) wrong.push(`users on the four shards: ${users}`);
  if (new Set(countries).size !== 1) wrong.push(`countries on the four shards: ${countries}`);
  for (const complaint of wrong) terminal.say(`WRONG: ${complaint}`);
  terminal.out(
    `\nChecked: ${CHECKS.length} answers, ${wrong.length} wrong; users per shard: ${users.join(', ')}`,
  );
  return wrong.length === 0;
}

async function countRows(server: ServerAddress, table: string): Promise<number> {
  const direct = await connectClient({ ...server, database: 'shop' });
  try {
    const [row] = await direct.query(`SELECT COUNT(*) AS count FROM ${table}`);
    return Number(row?.count);
  } finally {
    await direct.end();
  }
}

/** The port people know, or a free one when it is taken. */
async function preferPort(port: number): Promise<number> {
  return freePort(port).catch(() => freePort());
}
