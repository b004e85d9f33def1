import { expect, test } from 'vitest';
import type { Lease } from '../../../src/backend/lease.ts';
import { RunningStatement } from '../../../src/session/running-statement.ts';
import type { ShardId } from '../../../src/topology/strategy.ts';

const SHARD = 's1' as ShardId;

function leaseOf(serverThreadId: number, opening?: Promise<void>): Lease {
  return {
    shard: SHARD,
    serverThreadId,
    ...(opening === undefined ? {} : { opening }),
    send: () => {},
    pause: () => {},
    resume: () => {},
    release: () => {},
    destroy: () => {},
  };
}

function running(leases: readonly Lease[]) {
  const killed: number[] = [];
  const statement = new RunningStatement({
    killQuery: async (_shard, threadId) => {
      killed.push(threadId);
    },
  });
  statement.begin(Buffer.from('UPDATE t SET v = 1'), 0);
  for (const lease of leases) statement.works(lease);
  return { statement, killed };
}

test('KILL QUERY waits until the shard has answered BEGIN', async () => {
  const opening = Promise.withResolvers<void>();
  const { statement, killed } = running([leaseOf(1), leaseOf(2, opening.promise)]);

  statement.kill();
  await Promise.resolve();
  expect(killed).toEqual([1]);

  opening.resolve();
  await statement.killing;
  expect(killed).toEqual([1, 2]);
});

test('a statement that ends before is not killed any more', async () => {
  const opening = Promise.withResolvers<void>();
  const lease = leaseOf(1, opening.promise);
  const { statement, killed } = running([lease]);

  statement.kill();
  statement.rests(lease);
  opening.resolve();
  await statement.killing;

  expect(killed).toEqual([]);
});
