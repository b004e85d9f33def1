import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly complaints: string;
}

/** Runs the program to its end, as a shell would. */
function shardgate(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 120_000 };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, complaints) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, complaints });
    });
  });
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shardgate-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function configFile(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

describe('the command line', () => {
  test('without a command it explains itself', async () => {
    const { code, out } = await shardgate([]);

    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}start +start the proxy$/m);
  });

  test.each([
    [['strat'], /no command "strat"/],
    [['start', '--confg', 'x'], /--confg/],
    [['start', '--log-level', 'loud'], /debug, info, warn, error/],
    [['config'], /--defaults or --schema/],
    [['explain'], /one statement/],
  ])('%j is a usage error', async (args, words) => {
    const { code, complaints } = await shardgate(args);

    expect(code).toBe(2);
    expect(complaints).toMatch(words);
  });

  test('a wrong config stops the start with every problem by line', async () => {
    const config = await configFile(
      'wrong.yaml',
      'listn: 1\nusers: {}\nshards:\n  s1: { port: 0 }\n',
    );
    const { code, complaints } = await shardgate(['start', '--config', config]);

    expect(code).toBe(78);
    expect(complaints).toMatch(/wrong\.yaml:1:\d+: listn is not a setting/);
    expect(complaints).toMatch(/wrong\.yaml:4:\d+: shards\.s1\.host is missing/);
    expect(complaints).toMatch(/wrong\.yaml:4:\d+: shards\.s1\.port/);
  });

  test('a config that is not there is named', async () => {
    const { code, complaints } = await shardgate([
      'check',
      '--config',
      join(folder, 'absent.yaml'),
    ]);

    expect(code).toBe(78);
    expect(complaints).toMatch(/absent\.yaml/);
  });

  test('check counts what a right config holds', async () => {
    const config = await configFile(
      'right.yaml',
      'users: { app: { password: "${SECRET}" } }\nshards: { s1: { host: a } }\ndatabases: { d: { default: s1 } }\n',
    );
    const { code, out } = await shardgate(['check', '--config', config], { SECRET: 'hidden' });

    expect(code).toBe(0);
    expect(out).toMatch(/1 shard, 1 database, 0 tables named, 1 user/);
    expect(out).not.toMatch(/hidden/);
  });
});

await describeServers('the command line with servers', (flavour) => {
  test('a port in use is named', async () => {
    const [server] = await useServers({ count: 1, flavour });
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as AddressInfo; // A TCP server has no other kind of address.
    const config = await configFile(
      `taken-${flavour}.yaml`,
      `listen: 127.0.0.1:${port}\nusers: { app: { password: app } }\n` +
        `shards: { s1: { host: ${server?.host}, port: ${server?.port}, password: "${server?.password}" } }\n` +
        'databases: { taken_port: { default: s1 } }\n',
    );
    const { code, complaints } = await shardgate(['start', '--config', config]);
    occupant.close();

    expect(code).toBe(1);
    expect(complaints).toContain(`127.0.0.1:${port} is in use`);
  });

  test('the demo builds a shop, checks its answers and leaves nothing behind', async () => {
    // Both the servers and the config live below TMPDIR, so that this folder shows what is left.
    const place = await mkdtemp(join(folder, 'demo-'));
    const { code, out, complaints } = await shardgate(['dev', '--once'], {
      TMPDIR: place,
      SHARDGATE_SERVERS_FLAVOUR: flavour,
    });

    expect(complaints).not.toMatch(/WRONG/);
    expect(out).toMatch(/mysql -h 127\.0\.0\.1 -P \d+ -u app -papp shop/);
    expect(code).toBe(0);
    expect(await readdir(place)).toEqual([]);
  });
});
