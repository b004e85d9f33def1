import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { freePort } from './free-port.ts';
import {
  type ProxyConfigOptions,
  proxyConfigText,
  TEST_PASSWORD,
  TEST_USER,
} from './test-proxy.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/** The proxy as a program of its own, for tests that measure or kill it. */
export interface ProxyProcess {
  readonly pid: number;
  readonly login: { host: string; port: number; user: string; password: string };
  readonly adminPort: number;
  readonly configPath: string;
  readonly exited: Promise<number | null>;
  residentBytes(): number;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export async function startProxyProcess(options: ProxyConfigOptions): Promise<ProxyProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'shardgate-process-'));
  const configPath = join(folder, 'shards.yaml');
  const [port, adminPort] = [await freePort(), await freePort()];
  await writeFile(
    configPath,
    proxyConfigText(options, { listen: `127.0.0.1:${port}`, admin: `127.0.0.1:${adminPort}` }),
  );
  const child = spawn(process.execPath, [MAIN, 'start', '--config', configPath], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const login = { host: '127.0.0.1', port, user: TEST_USER, password: TEST_PASSWORD };
  await answers(login, child);
  return {
    pid: child.pid as number,
    login,
    adminPort,
    configPath,
    exited,
    residentBytes: () => residentBytes(child.pid as number),
    kill: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096;
}

/** Waits for a first login: the condition itself, not a guess of how long it takes. */
async function answers(login: ProxyProcess['login'], child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the proxy ended with ${child.exitCode}`);
    try {
      const connection = await createConnection(login);
      await connection.end();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(20);
    }
  }
}
