import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HealthChange, HealthCheck } from '../../src/backend/health.ts';
import { internState } from '../../src/backend/session-states.ts';
import { ShardPools } from '../../src/backend/shard-pools.ts';
import { DEFAULT_LIMITS, type ShardConfig } from '../../src/topology/config-schema.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import type { Topology } from '../../src/topology/topology.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ScriptedShard } from '../support/scripted-shard.ts';

const PLAIN = internState({ database: undefined, variables: new Map(), foundRows: false });
const S1 = 's1' as ShardId;
const S2 = 's2' as ShardId;

let one: ScriptedShard;
let two: ScriptedShard;
let clock: ManualClock;
let pools: ShardPools;

beforeEach(async () => {
  [one, two] = [await ScriptedShard.start(), await ScriptedShard.start()];
  clock = new ManualClock();
  pools = new ShardPools(topology({ s1: one.config, s2: two.config }), { clock });
});

afterEach(async () => {
  pools.stop();
  await Promise.all([one.stop(), two.stop()]);
});

test('leases come from the shard that was asked for, in the state of the session at that moment', async () => {
  let state = PLAIN;
  const leases = pools.leasesFor(() => state);
  (await leases.lease(S2)).release();
  state = internState({ ...PLAIN, database: 'shop' });
  (await leases.lease(S2)).release();

  expect(leases.tryLease(S1)).toBeUndefined();
  expect(leases.tryLease(S2)?.shard).toBe('s2');
  expect(two.statements).toEqual(['0273686f70']);
  expect(leases.inTransaction).toBe(false);
});

test('a shard that is not configured is refused by name', async () => {
  await expect(pools.leasesFor(() => PLAIN).lease('s9' as ShardId)).rejects.toMatchObject({
    code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
    message: expect.stringContaining('s9'),
  });
});

test('one shard that is away does not touch the other', async () => {
  await one.stop();
  const leases = pools.leasesFor(() => PLAIN);

  await expect(leases.lease(S1)).rejects.toMatchObject({ errno: 1429 });
  (await leases.lease(S2)).release();
  expect(pools.stats()).toMatchObject([
    { shard: 's1', up: false, lastError: expect.stringContaining('ECONNREFUSED') },
    { shard: 's2', up: true, connected: 1, idle: 1, connectionsMax: 2 },
  ]);
});

test('a swap keeps the pools of shards that stay and drains the others', async () => {
  const leases = pools.leasesFor(() => PLAIN);
  const [kept, left] = [await leases.lease(S1), await leases.lease(S2)];
  pools.swap(topology({ s1: { ...one.config, connections_max: 9 } }));

  expect(pools.stats()).toMatchObject([{ shard: 's1', connected: 1, connectionsMax: 9 }]);
  kept.release();
  expect(leases.tryLease(S1)?.serverThreadId).toBe(kept.serverThreadId);
  left.release();
  // A statement that began before the swap may still need the shard.
  (await leases.lease(S2)).release();
  clock.advance(10_000);
  await expect(leases.lease(S2)).rejects.toMatchObject({ errno: 1429 });
  await expect.poll(() => two.sockets.every((socket) => socket.destroyed)).toBe(true);
});

test('a shard that moved to another server gets new connections', async () => {
  const leases = pools.leasesFor(() => PLAIN);
  (await leases.lease(S1)).release();
  pools.swap(topology({ s1: two.config, s2: one.config }));
  (await leases.lease(S1)).release();

  expect(two.sockets.length).toBe(1);
  await expect.poll(() => one.sockets[0]?.destroyed).toBe(true);
});

test('shards that go away and come back are published once each', async () => {
  const changes: HealthChange[] = [];
  const health = new HealthCheck(pools, {
    clock,
    intervalMs: 1_000,
    pingTimeoutMs: 500,
    onChange: (change) => changes.push(change),
  });
  await health.start();
  expect(changes).toMatchObject([
    { shard: 's1', up: true },
    { shard: 's2', up: true },
  ]);

  const { port } = one.config;
  await one.stop();
  await expect.poll(() => pools.stats()[0]?.connected).toBe(0);
  clock.advance(1_000);
  await expect.poll(() => changes.length).toBe(3);
  expect(changes[2]).toMatchObject({ shard: 's1', up: false, reason: expect.any(String) });

  one = await ScriptedShard.start({}, port);
  const nextRound = (): number => {
    clock.advance(1_000);
    return changes.length;
  };
  await expect.poll(nextRound).toBe(4);
  expect(changes[3]).toEqual({ shard: 's1', up: true, reason: undefined });
  health.stop();
});

// The pools read no more of a topology than this.
function topology(shards: Readonly<Record<string, ShardConfig>>): Topology {
  const config = { limits: DEFAULT_LIMITS } as Topology['config'];
  const ids = Object.entries(shards).map(([name, shard]) => [name as ShardId, shard] as const);
  return { generation: 1, config, shards: new Map(ids), metadataShard: S1, databases: new Map() };
}
