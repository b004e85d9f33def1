import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerBinary, ServerFlavour } from './server-binaries.ts';
import { readGreeting, type ServerGreeting } from './server-greeting.ts';
import { copyDataDirectory, fileOptions, userOptions } from './server-template.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const START_TRIES_MAX = 3;

/** A MySQL-compatible server that answers, and how to log in to it. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly flavour: ServerFlavour;
  readonly version: string;
}

/** A throwaway server of our own. It ends with this process, even when that is killed hard. */
export interface DevServer {
  readonly address: ServerAddress;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
  /** Ends it as a power cut would; its files stay. */
  kill(): Promise<void>;
  /** Starts it again on the same files and the same port. */
  restart(): Promise<void>;
}

export interface DevServerOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Further options of the server program. */
  readonly options?: readonly string[];
}

/** Starts a server on a fresh data directory, on a free port of loopback, and waits until it answers. */
export async function startDevServer(
  binary: ServerBinary,
  options: DevServerOptions,
): Promise<DevServer> {
  const folder = await mkdtemp(join(tmpdir(), 'shardgate-server-'));
  try {
    await mkdir(join(folder, 'tmp'));
    await copyDataDirectory(binary, join(folder, 'data'), options.env);
    return await startOnFreePort(binary, folder, options);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startOnFreePort(
  binary: ServerBinary,
  folder: string,
  options: DevServerOptions,
): Promise<DevServer> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const start = (): Promise<ServerProcess> =>
      startProcess(serverCommand(binary, { folder, port, more: options.options ?? [] }), {
        folder,
        port,
      });
    try {
      return devServer(await start(), { binary, folder, port, start });
    } catch (error) {
      // Somebody else may have taken the port between our look at it and the server's.
      if (tries === START_TRIES_MAX) throw error;
    }
  }
}

function devServer(
  first: ServerProcess,
  place: {
    readonly binary: ServerBinary;
    readonly folder: string;
    readonly port: number;
    readonly start: () => Promise<ServerProcess>;
  },
): DevServer {
  let current = first;
  const { flavour, version } = place.binary;
  return {
    address: { host: '127.0.0.1', port: place.port, user: 'root', password: '', flavour, version },
    async stop() {
      // An orderly end would only write files that are removed a moment later.
      await current.end('SIGKILL');
      await rm(place.folder, { recursive: true, force: true });
    },
    kill: () => current.end('SIGKILL'),
    async restart() {
      await current.end('SIGTERM');
      current = await place.start();
    },
  };
}

function serverCommand(
  binary: ServerBinary,
  place: { readonly folder: string; readonly port: number; readonly more: readonly string[] },
): readonly string[] {
  const flavoured =
    binary.flavour === 'mysql'
      ? ['--mysqlx=OFF', '--secure-file-priv=NULL', '--performance-schema-max-thread-instances=200']
      : ['--performance-schema=OFF'];
  return [
    ...binary.command,
    '--no-defaults', // Must come first of all options.
    ...binary.options,
    ...userOptions(),
    `--datadir=${join(place.folder, 'data')}`,
    `--tmpdir=${join(place.folder, 'tmp')}`,
    `--pid-file=${join(place.folder, 'server.pid')}`,
    '--socket=server.sock', // Relative to the data directory: a long path would not fit into a socket's name.
    `--port=${place.port}`,
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    `--server-id=${place.port}`,
    ...fileOptions(binary),
    '--innodb-flush-log-at-trx-commit=2', // Survives the death of the process, which is all that tests ask for.
    '--sync-binlog=0',
    '--max-connections=500',
    '--table-open-cache=400',
    ...flavoured,
    ...place.more,
  ];
}

/** A loopback port that was free a moment ago: the wanted one, or any. Rejects when the wanted one is taken. */
export function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/**
 * Runs the server as a child and a watcher beside it. The watcher reads from a pipe that this process holds open: when it
 * closes, this process is gone, so the server is ended and its files are removed. A server that ends by itself takes its
 * watcher along, and its files stay.
 */
const WATCHED_SERVER = `
exec 3<&0
folder=$1; shift
"$@" </dev/null >>"$folder/server.log" 2>&1 3<&- &
server=$!
echo "$server"
exec >/dev/null
{
  read -r word <&3
  trap '' TERM
  kill -TERM "$server" 2>/dev/null
  for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.25
  done
  kill -KILL "$server" 2>/dev/null
  rm -rf "$folder"
} &
watcher=$!
exec 3<&-
wait "$server"
kill -TERM "$watcher" 2>/dev/null
`;

interface ServerProcess {
  /** Resolves when the server is gone; ended harder when it does not go in time. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

async function startProcess(
  command: readonly string[],
  place: { readonly folder: string; readonly port: number },
): Promise<ServerProcess> {
  // A process group of its own: Ctrl-C at the terminal is for this process, which then stops its servers in order.
  const child = spawn(
    '/bin/sh',
    ['-c', WATCHED_SERVER, 'shardgate-server', place.folder, ...command],
    {
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  child.unref();
  let running = true;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => {
      running = false;
      resolve();
    });
  });
  const pid = await readPid(child);
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (!running) return;
    signalProcess(pid, signal);
    const tooLong = setTimeout(() => signalProcess(pid, 'SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(tooLong);
  };
  try {
    await untilAnswering(place, () => running);
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
  return { end };
}

async function readPid(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('the server was started without a pipe');
  for await (const line of createInterface({ input: child.stdout })) return Number(line);
  throw new Error('the shell that watches a server ended at once');
}

function signalProcess(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, which is what was wanted.
  }
}

/** Waits until a MySQL-compatible server answers at an address. */
export async function untilGreeting(
  address: { readonly host: string; readonly port: number },
  timeoutMs: number,
): Promise<ServerGreeting> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    const greeting = await readGreeting(address, 1_000);
    if (greeting !== undefined) return greeting;
    await delay(50);
  }
  throw new Error(`no MySQL server answers at ${address.host}:${address.port}`);
}

async function untilAnswering(
  place: { readonly folder: string; readonly port: number },
  isRunning: () => boolean,
): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (isRunning() && Date.now() < deadline) {
    const greeting = await readGreeting({ host: '127.0.0.1', port: place.port }, 1_000);
    // The second look: on a port of somebody else's our own server has ended by now.
    if (greeting !== undefined && isRunning()) return;
    await delay(25);
  }
  const log = await readFile(join(place.folder, 'server.log'), 'utf8').catch(() => '');
  const lastWords = log.trim().split('\n').slice(-8).join('\n');
  throw new Error(`the database server did not start on port ${place.port}:\n${lastWords}`);
}
