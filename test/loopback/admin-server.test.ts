import { afterEach, expect, test } from 'vitest';
import { AdminServer } from '../../src/admin/admin-server.ts';
import type { ShardStats } from '../../src/backend/shard-pools.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { createHotCounters, exposeHotCounters, Metrics } from '../../src/observability/metrics.ts';
import { shardIds } from '../../src/topology/strategy.ts';

let server: AdminServer | undefined;

afterEach(async () => {
  await server?.stop();
});

const DOWN: ShardStats = {
  shard: shardIds(['s<1>'])[0] ?? expect.fail(),
  host: '127.0.0.1',
  port: 1,
  connectionsMax: 5,
  connected: 0,
  idle: 0,
  leased: 0,
  waiting: 3,
  up: false,
  lastError: 'connect ECONNREFUSED',
  serverVersion: undefined,
};

async function start(isServing = true): Promise<{ url: string; port: number }> {
  const counters = createHotCounters();
  counters.statements.scatter = 7;
  const metrics = new Metrics({ processMetrics: false });
  exposeHotCounters(metrics, counters);
  server = new AdminServer({
    host: '127.0.0.1',
    port: 0,
    metrics,
    pools: { stats: () => [DOWN] },
    isServing: () => isServing,
    logger: silentLogger,
  });
  const port = await server.start();
  return { url: `http://127.0.0.1:${port}`, port };
}

test('/healthz is 200 with the state of each shard, and 503 while the proxy does not serve', async () => {
  const serving = await fetch(`${(await start()).url}/healthz`);
  expect(serving.status).toBe(200);
  expect(await serving.json()).toEqual({
    serving: true,
    shards: [
      {
        name: 's<1>',
        state: 'down',
        connected: 0,
        idle: 0,
        waiting: 3,
        lastError: 'connect ECONNREFUSED',
      },
    ],
  });
  await server?.stop();
  expect((await fetch(`${(await start(false)).url}/healthz`)).status).toBe(503);
});

test('/metrics tells what was counted until now', async () => {
  const { url } = await start();
  const text = await (await fetch(`${url}/metrics`)).text();

  expect(text).toContain('shardgate_statements_total{route="scatter"} 7');
  expect(text).toContain('# TYPE shardgate_statements_total counter');
});

test('the page escapes names, other paths are 404, other methods 405', async () => {
  const { url } = await start();

  expect(await (await fetch(url)).text()).toContain('s&#60;1&#62;');
  expect((await fetch(`${url}/etc/passwd`)).status).toBe(404);
  expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(405);
});

test('a port in use is named', async () => {
  const { port } = await start();
  const second = new AdminServer({
    host: '127.0.0.1',
    port,
    metrics: new Metrics({ processMetrics: false }),
    pools: { stats: () => [] },
    logger: silentLogger,
  });

  await expect(second.start()).rejects.toThrow(`port ${port} on 127.0.0.1 is in use`);
});
