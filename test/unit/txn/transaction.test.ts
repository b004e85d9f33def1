import { expect, test } from 'vitest';
import type { Lease } from '../../../src/backend/lease.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { type LeftBranches, XaCoordinator } from '../../../src/txn/commit-coordinator.ts';
import { COMMIT_LIMITS } from '../../../src/txn/commit-limits.ts';
import type { CommitStepHook } from '../../../src/txn/commit-steps.ts';
import { Transaction, type TransactionOptions } from '../../../src/txn/transaction.ts';
import { GtridSource } from '../../../src/txn/xid.ts';
import { FakeShards, shardId } from './fake-shards.ts';

function arrange(options: TransactionOptions = {}, atStep: CommitStepHook = () => {}) {
  const shards = new FakeShards();
  const left: LeftBranches[] = [];
  const coordinator = new XaCoordinator({
    gtrids: new GtridSource('test'),
    control: shards,
    clock: systemClock,
    logger: silentLogger,
    onLeft: (branches) => left.push(branches),
    atStep,
    limits: { ...COMMIT_LIMITS, rollBackTimeoutMs: 100, resolveTimeoutMs: 250 },
  });
  const transaction = new Transaction(coordinator, shards, options);
  const [s1, s2, s3] = [shards.shard('s1'), shards.shard('s2'), shards.shard('s3')];
  return { shards, left, coordinator, transaction, s1, s2, s3 };
}

/** Runs a statement as the executor does; rejects with the shard's error or the loss. */
function runOn(transaction: Transaction, shard: string, sql: string): Promise<void> {
  const lease = transaction.tryLease(shardId(shard));
  if (lease === undefined) return transaction.lease(shardId(shard)).then((got) => run(got, sql));
  return run(lease, sql);
}

function run(lease: Lease, sql: string): Promise<void> {
  return new Promise((resolve, reject) => {
    lease.send(Buffer.concat([Buffer.from([3]), Buffer.from(sql)]), {
      onReplyBytes: () => {},
      onReplyEnd: (end) => (end.error ? reject(end.error) : resolve()),
      onReplyLost: reject,
    });
    lease.release();
  });
}

const XID = /'sg1\.test\.s1\.[\w-]+','s\d',1397178708/;

function verbs(sent: readonly string[]): readonly string[] {
  return sent.map((sql) =>
    sql.replace(XID, 'xid').replace(/^INSERT INTO shardgate.*/, 'INSERT decision'),
  );
}

test('a transaction on one shard is BEGIN and COMMIT, without XA', async () => {
  const { transaction, s1 } = arrange();

  await runOn(transaction, 's1', 'UPDATE a');
  await runOn(transaction, 's1', 'UPDATE b');
  await transaction.commit();

  expect(s1.sent).toEqual(['BEGIN', 'UPDATE a', 'UPDATE b', 'COMMIT']);
  expect(s1.leased).toBe(0);
  expect(transaction.isOver).toBe(true);
});

test('a lease tells how long its BEGIN is under way', async () => {
  const { transaction } = arrange();

  const lease = transaction.tryLease(shardId('s1'));
  expect(lease?.opening).toBeInstanceOf(Promise);
  await lease?.opening;
  expect(lease?.opening).toBeUndefined();

  expect(transaction.tryLease(shardId('s1'))?.opening).toBeUndefined();
});

test('writes on several shards are prepared, decided on the first one and then committed', async () => {
  const { transaction, s1, s2, s3, left } = arrange();

  for (const shard of ['s1', 's2', 's3']) await runOn(transaction, shard, `UPDATE ${shard}`);
  await transaction.commit();

  expect(verbs(s1.sent)).toEqual(['BEGIN', 'UPDATE s1', 'INSERT decision', 'COMMIT']);
  const branch = ['XA START xid', 'XA END xid', 'XA PREPARE xid', 'XA COMMIT xid'];
  expect(verbs(s2.sent)).toEqual([branch[0], 'UPDATE s2', ...branch.slice(1)]);
  expect(s3.committed).toEqual(['UPDATE s3']);
  expect([...s1.decisions.values()]).toEqual(['commit']);
  expect(left).toEqual([]);
  expect(s1.leased + s2.leased + s3.leased).toBe(0);
});

test('the characteristics of BEGIN reach branches of both kinds', async () => {
  const { transaction, s1, s2 } = arrange({ isolation: 'READ COMMITTED', readOnly: true });

  await runOn(transaction, 's1', 'SELECT 1');
  await runOn(transaction, 's2', 'SELECT 1');

  const set = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY';
  expect(s1.sent.slice(0, 2)).toEqual([set, 'BEGIN']);
  expect(verbs(s2.sent).slice(0, 2)).toEqual([set, 'XA START xid']);
});

test('a branch that only read is not prepared, and one writer commits alone', async () => {
  const { transaction, s1, s2, s3 } = arrange();

  await runOn(transaction, 's1', '/* c */ (SELECT 1)');
  await runOn(transaction, 's2', 'UPDATE a');
  await runOn(transaction, 's3', 'SELECT 1 FOR UPDATE');
  await transaction.commit();

  expect(verbs(s1.sent)).toEqual(['BEGIN', '/* c */ (SELECT 1)', 'COMMIT']);
  expect(verbs(s2.sent).slice(2)).toEqual(['XA END xid', 'XA COMMIT xid ONE PHASE']);
  // Its lock must be known to have lasted until the other shard committed.
  expect(verbs(s3.sent).slice(2)).toEqual(['DO 0', 'XA END xid', 'XA COMMIT xid ONE PHASE']);
  expect(s2.committed).toEqual(['UPDATE a']);
});

test('a decision shard that only read still decides for two writers', async () => {
  const { transaction, s1, s2, s3 } = arrange();

  await runOn(transaction, 's1', 'SELECT 1');
  await runOn(transaction, 's2', 'UPDATE a');
  await runOn(transaction, 's3', 'UPDATE b');
  await transaction.commit();

  expect([...s1.decisions.values()]).toEqual(['commit']);
  expect([...s2.committed, ...s3.committed]).toEqual(['UPDATE a', 'UPDATE b']);
});

test('a first shard that cannot be reached leaves the next one to be the first', async () => {
  const { transaction, shards, s1, s2 } = arrange();
  s1.reachable = false;
  shards.makeLeasesSlow();

  await expect(runOn(transaction, 's1', 'UPDATE a')).rejects.toThrow('down');
  await runOn(transaction, 's2', 'UPDATE a');
  await transaction.commit();

  expect(s2.sent).toEqual(['BEGIN', 'UPDATE a', 'COMMIT']);
});

test('a decision shard that could not be reached at first is asked again at COMMIT', async () => {
  for (const isBack of [true, false]) {
    const { transaction, shards, s1, s2, s3 } = arrange();
    shards.makeLeasesSlow();
    s1.reachable = false;
    const results = await Promise.allSettled(
      ['s1', 's2', 's3'].map((name) => runOn(transaction, name, `UPDATE ${name}`)),
    );
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    s1.reachable = isBack;

    if (isBack) await transaction.commit();
    else await expect(transaction.commit()).rejects.toThrow('rolled back on every shard');

    expect([...s2.committed, ...s3.committed]).toHaveLength(isBack ? 2 : 0);
    expect(s1.decisions.size).toBe(isBack ? 1 : 0);
    expect(s1.leased + s2.leased + s3.leased).toBe(0);
  }
});

test('a shard that is silent does not keep a failed commit for long', async () => {
  const { transaction, s1, s2, s3, left } = arrange();
  for (const shard of ['s1', 's2', 's3']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s2.hold('XA');
  s3.failOn('XA PREPARE', { errno: 1614 });

  await expect(transaction.commit()).rejects.toMatchObject({ errno: 1213 });

  expect(left).toEqual([{ gtrid: transaction.id, shards: ['s2'] }]);
  expect([...s1.committed, ...s3.committed]).toEqual([]);
});

test.each(['XA PREPARE', 'XA END'])('a branch that fails at %s rolls all back', async (verb) => {
  const { transaction, s1, s2, s3 } = arrange();
  for (const shard of ['s1', 's2', 's3']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s3.failOn(verb, { errno: 1614 });

  await expect(transaction.commit()).rejects.toMatchObject({ errno: 1213, sqlState: '40001' });

  expect([...s1.committed, ...s2.committed, ...s3.committed]).toEqual([]);
  expect([s2.prepared.size, s3.prepared.size, s1.decisions.size]).toEqual([0, 0, 0]);
  expect(s1.leased + s2.leased + s3.leased).toBe(0);
});

test('COMMIT waits for the decision row and for every prepare', async () => {
  for (const { shard, command } of [
    { shard: 's1', command: 'INSERT INTO shardgate' },
    { shard: 's2', command: 'XA PREPARE' },
  ]) {
    const { transaction, shards, s1 } = arrange();
    for (const name of ['s1', 's2']) await runOn(transaction, name, `UPDATE ${name}`);
    shards.shard(shard).hold(command);
    const commit = transaction.commit();
    await new Promise((resolve) => setImmediate(resolve));
    expect(s1.sent).not.toContain('COMMIT');

    shards.shard(shard).letGo();
    await commit;
    expect(s1.sent).toContain('COMMIT');
  }
});

test('a COMMIT whose answer is lost is looked up: it was committed', async () => {
  const { transaction, coordinator, s1, s2 } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s1.failOn('COMMIT', 'lost-after');

  await transaction.commit();

  expect([...s1.committed, ...s2.committed]).toEqual(['UPDATE s1', 'UPDATE s2']);
  expect(coordinator.counters.resolved).toBe(1);
});

test('a COMMIT that was lost before it arrived is looked up: it is rolled back for good', async () => {
  const { transaction, s1, s2 } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s1.failOn('COMMIT', 'lost');

  await expect(transaction.commit()).rejects.toMatchObject({
    errno: 1213,
    message: expect.stringContaining('rolled back on every shard'),
  });

  expect([...s1.committed, ...s2.committed]).toEqual([]);
  expect([...s1.decisions.values()]).toEqual(['abort']);
  expect(s2.prepared.size).toBe(0);
});

test('an outcome that nobody can tell is an error with the id, and recovery gets the branches', async () => {
  const { transaction, s1, s2, left } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s1.failOn('COMMIT', 'lost');
  const commit = transaction.commit();
  s1.reachable = false;

  await expect(commit).rejects.toMatchObject({
    errno: 1180,
    message: expect.stringContaining(`'${transaction.id}'`),
  });
  expect(left).toEqual([{ gtrid: transaction.id, shards: ['s2'] }]);
  expect(s2.prepared.size).toBe(1);
  // MariaDB lets recovery finish the branch only when the connection that prepared it is gone.
  expect(s2.destroyed).toBe(1);
});

test('a failure of the second phase is recovery’s, not the client’s', async () => {
  const { transaction, s1, s2, left } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s2.failOn('XA COMMIT', 'lost');

  await transaction.commit();

  expect(s1.committed).toEqual(['UPDATE s1']);
  expect(left).toEqual([{ gtrid: transaction.id, shards: ['s2'] }]);
});

test('recovery that was first makes a late COMMIT a deadlock error', async () => {
  const { transaction, s1, s2 } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s1.decisions.set(transaction.id ?? '', 'abort');

  await expect(transaction.commit()).rejects.toMatchObject({ errno: 1213 });

  expect([...s1.committed, ...s2.committed]).toEqual([]);
});

test('a lost COMMIT on one shard alone is an unknown outcome; one never sent is a rollback', async () => {
  const one = arrange();
  await runOn(one.transaction, 's1', 'UPDATE a');
  one.s1.failOn('COMMIT', 'lost');
  await expect(one.transaction.commit()).rejects.toMatchObject({ errno: 1180 });

  const two = arrange();
  await runOn(two.transaction, 's1', 'UPDATE a');
  two.transaction.tryLease(shardId('s1'))?.destroy();
  await expect(two.transaction.commit()).rejects.toMatchObject({ errno: 1402 });
});

test('a deadlock on one shard ends the transaction on all of them', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  await runOn(transaction, 's2', 'UPDATE b');
  s1.failOn('UPDATE c', { errno: 1213, rollsBack: true });

  await expect(runOn(transaction, 's1', 'UPDATE c')).rejects.toMatchObject({ errno: 1213 });
  await transaction.afterError();

  expect(transaction.isOver).toBe(true);
  expect(verbs(s2.sent).slice(-2)).toEqual(['XA END xid', 'XA ROLLBACK xid']);
  expect(s1.leased + s2.leased).toBe(0);
  await transaction.commit(); // As on one server, where it would be outside of a transaction.
  expect([...s1.committed, ...s2.committed]).toEqual([]);
});

test('a deadlock is one too for what was sent behind the statement', async () => {
  const { transaction, s1 } = arrange();
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, 'UPDATE a');
  s1.failOn('UPDATE c', { errno: 1213, rollsBack: true });

  const both = [runOn(transaction, 's1', 'UPDATE c'), runOn(transaction, 's1', 'SET timestamp=1')];
  expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
  ]);
  await transaction.afterError();
  expect(transaction.isOver).toBe(true);
});

test('a duplicate key fails the statement only', async () => {
  const { transaction, s1 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  s1.failOn('INSERT b', { errno: 1062 });

  await expect(runOn(transaction, 's1', 'INSERT b')).rejects.toMatchObject({ errno: 1062 });
  await runOn(transaction, 's1', 'UPDATE c');
  await transaction.commit();

  expect(s1.committed).toEqual(['UPDATE a', 'UPDATE c']);
});

test('an error after which the server is out of the transaction ends it: nothing runs outside', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's2', 'UPDATE a');
  await runOn(transaction, 's1', 'UPDATE b');
  s2.failOn('UPDATE c', { errno: 1205, rollsBack: true });

  await expect(runOn(transaction, 's2', 'UPDATE c')).rejects.toMatchObject({ errno: 1205 });
  await expect(runOn(transaction, 's2', 'UPDATE d')).rejects.toMatchObject({ errno: 1402 });

  expect(transaction.isOver).toBe(true);
  expect([...s1.committed, ...s2.committed]).toEqual([]);
});

test('a lost connection rolls back everywhere; until ROLLBACK nothing else is accepted', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  await runOn(transaction, 's2', 'UPDATE b');
  s2.failOn('UPDATE c', 'lost');

  await expect(runOn(transaction, 's2', 'UPDATE c')).rejects.toThrow('dead');
  await expect(runOn(transaction, 's1', 'UPDATE d')).rejects.toMatchObject({ errno: 1402 });
  expect(transaction.isOver).toBe(false);
  expect(s1.sent.at(-1)).toBe('ROLLBACK');

  await expect(transaction.commit()).rejects.toMatchObject({ errno: 1402 });
  expect(transaction.isOver).toBe(true);
  expect([...s1.committed, ...s2.committed]).toEqual([]);
});

test('an opening that fails fails the transaction', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  s2.failOn('XA START', { errno: 1440 });
  await runOn(transaction, 's2', 'SELECT b').catch(() => undefined);

  await expect(transaction.commit()).rejects.toMatchObject({ errno: 1402 });
  expect(s1.committed).toEqual([]);
});

test('a statement that fails on one shard is undone on the others and the transaction goes on', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  transaction.beginStatement();
  s2.failOn('UPDATE x', { errno: 1062 });
  await runOn(transaction, 's1', 'UPDATE x');
  await expect(runOn(transaction, 's2', 'UPDATE x')).rejects.toMatchObject({ errno: 1062 });
  await transaction.undoStatement();

  const savepoint = 'SAVEPOINT shardgate_statement';
  expect(s1.sent.slice(2)).toEqual([savepoint, 'UPDATE x', `ROLLBACK TO ${savepoint}`]);
  expect(verbs(s2.sent)).toEqual([
    'XA START xid',
    savepoint,
    'UPDATE x',
    'DO 0',
    `ROLLBACK TO ${savepoint}`,
  ]);
  expect(transaction.isOver).toBe(false);
});

test('savepoints reach every branch, those that open later too', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  await transaction.savepoint('One');
  await transaction.savepoint('two');
  await runOn(transaction, 's2', 'UPDATE b');
  await transaction.rollbackTo('öne');

  expect(s1.sent.slice(2)).toEqual([
    'SAVEPOINT shardgate_1',
    'SAVEPOINT shardgate_2',
    'ROLLBACK TO SAVEPOINT shardgate_1',
  ]);
  expect(verbs(s2.sent).slice(1, 3)).toEqual(['SAVEPOINT shardgate_1', 'SAVEPOINT shardgate_2']);
  await expect(transaction.rollbackTo('two')).rejects.toMatchObject({
    errno: 1305,
    message: 'SAVEPOINT two does not exist',
  });
  await transaction.releaseSavepoint('ONE');
  await expect(transaction.releaseSavepoint('one')).rejects.toMatchObject({ errno: 1305 });
});

test('a savepoint that a shard refuses ends the transaction everywhere', async () => {
  const { transaction, s1, s2 } = arrange();
  await runOn(transaction, 's1', 'UPDATE a');
  await runOn(transaction, 's2', 'UPDATE b');
  s2.failOn('SAVEPOINT', 'lost');

  await expect(transaction.savepoint('p')).rejects.toMatchObject({ errno: 1402 });
  expect(s1.sent.at(-1)).toBe('ROLLBACK');
});

test('a decision shard that is known to be gone before COMMIT is sent cannot have decided', async () => {
  const { transaction, coordinator, s1, s2 } = arrange({}, async (step) => {
    if (step === 'all-prepared') s1.cutLines();
  });
  for (const shard of ['s1', 's2']) await runOn(transaction, shard, `UPDATE ${shard}`);
  s1.reachable = false;

  await expect(transaction.commit()).rejects.toThrow('rolled back on every shard');

  expect(coordinator.counters).toMatchObject({ unknown: 0, resolved: 0, rolledBack: 1 });
  expect(s2.prepared.size).toBe(0);
});

test.each([
  ['BEGIN', 's1'],
  ['XA START', 's2'],
])('a statement behind a %s that fails is never told as done', async (opening, shard) => {
  const { transaction, shards } = arrange();
  if (shard !== 's1') await runOn(transaction, 's1', 'UPDATE first');
  shards.shard(shard).failOn(opening, { errno: 1317 });

  await expect(runOn(transaction, shard, 'UPDATE a')).rejects.toThrow();
  await transaction.afterError();

  await expect(transaction.commit()).rejects.toThrow();
  expect(shards.shard('s1').committed).toEqual([]);
});
