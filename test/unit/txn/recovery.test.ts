import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/observability/logger.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import { RECOVERY_LIMITS, Recovery } from '../../../src/txn/recovery.ts';
import { type Gtrid, GtridSource, xidSql } from '../../../src/txn/xid.ts';
import { FakeShards, refusal, shardId } from './fake-shards.ts';

const SHARDS = ['s1', 's2', 's3'].map(shardId);

class HandClock implements Clock {
  nowMs = 0;
  now(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
  after(): () => void {
    return () => {};
  }
}

function arrange() {
  const shards = new FakeShards();
  const clock = new HandClock();
  const recovery = new Recovery({
    control: shards,
    shards: () => SHARDS,
    deployment: 'test',
    clock,
    logger: silentLogger,
    limits: { ...RECOVERY_LIMITS, forgetIntervalMs: Number.POSITIVE_INFINITY },
  });
  const gtrid = new GtridSource('test').next(shardId('s1'));
  const prepare = (...names: readonly string[]): void => {
    for (const name of names) {
      shards.shard(name).prepared.set(xidSql(gtrid, name), [`UPDATE ${name}`]);
    }
  };
  /** A first look, and the one after the time of courtesy. */
  const scanTwice = async (): Promise<void> => {
    await recovery.scan();
    clock.nowMs += RECOVERY_LIMITS.courtesyMs;
    await recovery.scan();
  };
  return { shards, clock, recovery, gtrid, prepare, scanTwice };
}

test('a branch without a decision is rolled back, and the mark stops whoever comes late', async () => {
  const { shards, recovery, gtrid, prepare, scanTwice } = arrange();
  prepare('s2', 's3');

  await scanTwice();

  expect(shards.shard('s1').decisions.get(gtrid)).toBe('abort');
  expect([shards.shard('s2').committed, shards.shard('s2').prepared.size]).toEqual([[], 0]);
  expect(recovery.counters).toMatchObject({ rolledBack: 2, committed: 0 });
  expect(recovery.inDoubt()).toEqual([]);
});

test('a branch with a decision to commit is committed', async () => {
  const { shards, recovery, gtrid, prepare, scanTwice } = arrange();
  prepare('s2');
  shards.shard('s1').decisions.set(gtrid, 'commit');

  await scanTwice();

  expect(shards.shard('s2').committed).toEqual(['UPDATE s2']);
  expect(recovery.counters).toMatchObject({ rolledBack: 0, committed: 1 });
});

test('a branch just seen is left to its coordinator, unless that has given it up', async () => {
  const { shards, recovery, gtrid, prepare } = arrange();
  prepare('s2');

  await recovery.scan();
  expect(recovery.inDoubt()).toMatchObject([{ gtrid, waitsFor: 'its coordinator' }]);
  expect(shards.shard('s1').decisions.size).toBe(0);

  recovery.takeOver({ gtrid, shards: [shardId('s2')] });
  await recovery.scan();
  expect(shards.shard('s2').prepared.size).toBe(0);
});

test('nothing is done while the decision shard does not answer', async () => {
  const { shards, recovery, prepare, scanTwice } = arrange();
  prepare('s2');
  shards.shard('s1').reachable = false;

  await scanTwice();
  expect(shards.shard('s2').prepared.size).toBe(1);
  expect(recovery.inDoubt()).toMatchObject([{ waitsFor: 'shard s1: s1 is down' }]);
  expect([...recovery.unreachable().keys()]).toEqual(['s1']);

  shards.shard('s1').reachable = true;
  await recovery.scan();
  expect(shards.shard('s2').prepared.size).toBe(0);
});

test('a decision shard that the config does not name any more is told to the operator', async () => {
  const { shards, recovery, scanTwice } = arrange();
  const gtrid = 'sg1.test.gone.abc' as Gtrid;
  shards.shard('s2').prepared.set(xidSql(gtrid, 's2'), []);

  await scanTwice();

  expect(recovery.inDoubt()).toMatchObject([
    { decisionShard: undefined, preparedOn: ['s2'], waitsFor: expect.stringContaining('config') },
  ]);
});

test('an unknown XID is no success: the branch is looked at again', async () => {
  const { shards, recovery, prepare, scanTwice } = arrange();
  prepare('s2');
  const s2 = shards.shard('s2');
  const control = s2.control.bind(s2);
  s2.control = (sql, params) => {
    if (sql.startsWith('XA ROLLBACK')) throw refusal(1397, s2.name);
    return control(sql, params);
  };

  await scanTwice();
  expect(recovery.counters).toMatchObject({ rolledBack: 0, foundFinished: 1 });
  expect(recovery.inDoubt()).toHaveLength(1);

  s2.control = control;
  await recovery.scan();
  expect(recovery.counters.rolledBack).toBe(1);
});
