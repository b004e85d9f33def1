import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type DevServer, startDevServer } from '../src/cli/dev-servers.ts';
import { findServerBinaries } from '../src/cli/server-binaries.ts';
import type { SysbenchTarget } from './sysbench.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/** Something that answers MySQL clients; `pid` is absent where no proxy stands in between. */
export interface BenchTarget extends SysbenchTarget {
  readonly name: string;
  readonly pid?: number;
}

/** Everything one benchmark run starts, ended together. */
export class BenchRig {
  readonly #folder: string;
  readonly #servers: DevServer[] = [];
  readonly #children: ChildProcess[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<BenchRig> {
    return new BenchRig(await mkdtemp(join(tmpdir(), 'shardgate-bench-')));
  }

  /** Servers with room for the benchmark's data in memory and durable commits, as in production. */
  async startServers(count: number): Promise<readonly DevServer[]> {
    const [binary] = await findServerBinaries(process.env);
    if (binary === undefined) throw new Error('no mysqld or mariadbd on this machine');
    const options = [
      '--innodb-buffer-pool-size=256M',
      '--innodb-flush-log-at-trx-commit=1',
      '--max-connections=1000',
    ];
    for (let started = 0; started < count; started += 1) {
      this.#servers.push(await startDevServer(binary, { env: process.env, options }));
    }
    return this.#servers;
  }

  async startHaproxy(backend: SysbenchTarget): Promise<BenchTarget> {
    const port = await freePort();
    const config = [
      'global',
      '  nbthread 1',
      '  maxconn 4096',
      'defaults',
      '  mode tcp',
      '  timeout connect 5s',
      '  timeout client 10m',
      '  timeout server 10m',
      'listen mysql',
      `  bind 127.0.0.1:${port}`,
      `  server s1 ${backend.host}:${backend.port}`,
      '',
    ].join('\n');
    const path = join(this.#folder, 'haproxy.cfg');
    await writeFile(path, config);
    return this.#start('haproxy', 'haproxy', ['-db', '-f', path], { ...backend, port });
  }

  /** Shardgate with `sbtest.sbtest1` sharded by id over the given servers. */
  async startShardgate(name: string, backends: readonly SysbenchTarget[]): Promise<BenchTarget> {
    const [port, adminPort] = [await freePort(), await freePort()];
    const path = join(this.#folder, `${name}.yaml`);
    await writeFile(path, shardsYaml({ port, adminPort, backends }));
    const target = { host: '127.0.0.1', port, user: 'bench', password: 'bench' };
    return this.#start(name, process.execPath, [MAIN, 'start', '--config', path], target);
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    await Promise.all(this.#servers.map((server) => server.stop()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start(
    name: string,
    command: string,
    parameters: readonly string[],
    target: SysbenchTarget,
  ): Promise<BenchTarget> {
    const child = spawn(command, parameters, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#children.push(child);
    await answers(target.port, child);
    return { ...target, name, pid: child.pid as number };
  }
}

function shardsYaml(options: {
  readonly port: number;
  readonly adminPort: number;
  readonly backends: readonly SysbenchTarget[];
}): string {
  const names = options.backends.map((_, index) => `s${index + 1}`);
  const shards = options.backends.map(
    (backend, index) =>
      `  ${names[index]}: { host: ${backend.host}, port: ${backend.port}, user: ${backend.user}, password: "${backend.password}", connections_max: 300 }`,
  );
  return [
    `listen: 127.0.0.1:${options.port}`,
    `admin: { listen: 127.0.0.1:${options.adminPort} }`,
    'users:',
    '  bench: { password: bench }',
    'shards:',
    ...shards,
    'databases:',
    '  sbtest:',
    '    default: s1',
    '    strategies:',
    `      by_id: { type: hash, shards: [${names.join(', ')}] }`,
    '    tables:',
    '      sbtest1: { key: id, strategy: by_id, generate: { id: sequence } }',
    '',
  ].join('\n');
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`a proxy ended at once with ${child.exitCode}`);
    if (await accepts(port)) return;
    await delay(20);
  }
  throw new Error(`nothing answers on port ${port} after ${START_TIMEOUT_MS} ms`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
