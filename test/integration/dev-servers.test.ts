import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { readGreeting } from '../../src/cli/server-greeting.ts';
import { describeServers } from '../support/mysql-servers.ts';

const SOURCES = new URL('../../src/cli/server-sources.ts', import.meta.url);

/** A program that starts a server, prints its port, and stays. */
const OWNER = `
import { findServerSources } from '${SOURCES}';
const source = (await findServerSources(process.env)).get(process.argv[1]);
const server = await source.start({ env: process.env });
console.log(server.address.port);
setInterval(() => {}, 1_000);
`;

await describeServers('throwaway servers', (flavour) => {
  test.skipIf(process.env.SHARDGATE_SERVERS_FROM === 'docker')(
    'a server and its files are gone when its owner is killed hard',
    async () => {
      const place = await mkdtemp(join(tmpdir(), 'shardgate-owner-'));
      const owner = spawn(process.execPath, ['--input-type=module', '-e', OWNER, flavour], {
        env: { ...process.env, TMPDIR: place },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = await firstLines(owner.stdout);
      const address = { host: '127.0.0.1', port: Number(line) };
      expect(await readGreeting(address, 5_000)).toMatchObject({ flavour });

      owner.kill('SIGKILL');

      await expect.poll(() => readGreeting(address, 1_000), { timeout: 20_000 }).toBeUndefined();
      await expect.poll(() => readdir(place), { timeout: 20_000 }).toEqual([]);
      await rm(place, { recursive: true });
    },
  );
});

async function firstLines(input: NodeJS.ReadableStream): Promise<readonly string[]> {
  for await (const line of createInterface({ input })) return [line];
  return [];
}
