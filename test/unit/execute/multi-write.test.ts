import { describe, expect, test } from 'vitest';
import { execute } from '../../../src/execute/execute.ts';
import type { ExecutionContext, StatementOutcome } from '../../../src/execute/execution.ts';
import { routeStatement, writesSeveralShards } from '../../../src/execute/routed-statement.ts';
import { mergeInfo } from '../../../src/execute/write-counts.ts';
import type { DdlPlan, ShardTarget, WritePlan } from '../../../src/plan/plan.ts';
import { MYSQL_TYPE_LONGLONG } from '../../../src/wire/column-types.ts';
import { column } from './rows-fixture.ts';
import { type Script, ScriptedShards } from './scripted-shards.ts';
import { bound, context, type RecordedReply, shardId } from './statement-fixture.ts';

const update = bound('UPDATE t SET a = 1');

function write(shards: readonly string[], more: Partial<WritePlan> = {}): WritePlan {
  const target: ShardTarget = { kind: 'every', shards: shards.map(shardId) };
  return { kind: 'write', target, edits: [], reference: false, readsClock: false, ...more };
}

async function run(
  plan: WritePlan | DdlPlan,
  shards: ScriptedShards,
  more: Partial<ExecutionContext> = {},
): Promise<{ outcome: StatementOutcome; reply: RecordedReply }> {
  const made = context(shards, more);
  const outcome = await execute(plan, update, made);
  return { outcome, reply: made.reply };
}

const inTransaction = { inTransaction: true };

describe('a write on several shards', () => {
  test('adds up what the shards have done', async () => {
    const shards = new ScriptedShards(
      (shard) => ({
        kind: 'ok',
        affectedRows: shard === 's1' ? 2 : 1,
        warningCount: 1,
        info: 'Rows matched: 3  Changed: 1  Warnings: 1',
      }),
      inTransaction,
    );

    const { outcome, reply } = await run(write(['s2', 's1']), shards);

    expect(reply.okPacket).toMatchObject({
      affectedRows: 3,
      warningCount: 2,
      info: 'Rows matched: 6  Changed: 2  Warnings: 2',
    });
    expect(outcome).toMatchObject({ kind: 'ok', affectedRows: 3 });
    expect(shards.ends()).toEqual(['s1 released', 's2 released']);
  });

  test('gives all shards one clock', async () => {
    const shards = new ScriptedShards(() => ({ kind: 'ok' }), inTransaction);

    await run(write(['s1', 's2']), shards);

    const [set, text, reset] = shards.texts('s1');
    expect([text, reset]).toEqual(['UPDATE t SET a = 1', 'SET timestamp=DEFAULT']);
    expect(set).toMatch(/^SET timestamp=[\d.]+$/);
    expect(shards.texts('s2')[0]).toBe(set);
  });

  test('never runs outside of a transaction', async () => {
    const shards = new ScriptedShards(() => ({ kind: 'ok' }));

    await expect(run(write(['s1', 's2']), shards)).rejects.toThrow(/runs in a transaction/);

    expect(shards.sent).toEqual([]);
  });

  test('is told from a write on one shard before anything is sent', async () => {
    const made = context(new ScriptedShards(() => ({ kind: 'ok' })));

    const several = await routeStatement(write(['s1', 's2']), update, made);
    const one = await routeStatement(write(['s2']), update, made);

    expect(writesSeveralShards(several)).toBe(true);
    expect(writesSeveralShards(one)).toBe(false);
    expect(one).toMatchObject({ kind: 'single', shard: 's2' });
  });

  test('fails with the shard’s error once every shard has answered', async () => {
    const shards = new ScriptedShards(
      (shard): Script =>
        shard === 's2' ? { kind: 'err', errno: 1062, message: 'Duplicate entry' } : { kind: 'ok' },
      inTransaction,
    );
    const made = context(shards);

    await expect(execute(write(['s1', 's2', 's3']), update, made)).rejects.toMatchObject({
      errno: 1062,
      shard: 's2',
    });

    expect(made.reply.started).toBe(false);
    expect(shards.texts('s2').at(-1)).toBe('SET timestamp=DEFAULT');
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('rows where an OK belongs are refused', async () => {
    const shards = new ScriptedShards(
      () => ({ kind: 'rows', columns: [column('id', MYSQL_TYPE_LONGLONG)], rows: [['1']] }),
      inTransaction,
    );

    await expect(run(write(['s1', 's2']), shards)).rejects.toMatchObject({ errno: 1235 });
  });
});

describe('a write of a reference table', () => {
  test('asks the first shard alone, then the others, and counts one copy', async () => {
    const order: string[] = [];
    const shards = new ScriptedShards((shard): Script => {
      order.push(
        `${shard} after ${shards.leases.filter((one) => one.state === 'released').length}`,
      );
      return { kind: 'ok', affectedRows: 2, info: 'Rows matched: 2  Changed: 2  Warnings: 0' };
    }, inTransaction);

    const { reply } = await run(write(['s1', 's2', 's3'], { reference: true }), shards);

    expect(order).toEqual(['s1 after 0', 's2 after 1', 's3 after 1']);
    expect(reply.okPacket).toMatchObject({
      affectedRows: 2,
      info: 'Rows matched: 2  Changed: 2  Warnings: 0',
    });
    expect(shards.texts('s3')[0]).toBe(shards.texts('s1')[0]);
  });

  test('fails when the copies turn out to differ', async () => {
    const shards = new ScriptedShards(
      (shard) => ({ kind: 'ok', affectedRows: shard === 's3' ? 1 : 2 }),
      inTransaction,
    );
    const made = context(shards);

    await expect(
      execute(write(['s1', 's2', 's3'], { reference: true }), update, made),
    ).rejects.toThrow(/2 rows on shard 's1' and 1 on 's3'/);
    expect(made.reply.started).toBe(false);
  });
});

test.each([
  [
    ['Records: 3  Duplicates: 0  Warnings: 0', 'Records: 2  Duplicates: 1  Warnings: 1'],
    'Records: 5  Duplicates: 1  Warnings: 1',
  ],
  [['', ''], ''],
  [['Rows matched: 1  Changed: 1  Warnings: 0', ''], 'Rows matched: 1  Changed: 1  Warnings: 0'],
  [['Records: 1', 'Rows: 1'], ''],
])('infos %j are together %j', (infos, together) => {
  expect(mergeInfo(infos)).toBe(together);
});

describe('a schema change', () => {
  const ddl: DdlPlan = {
    kind: 'ddl',
    shards: ['s1', 's2', 's3'].map(shardId),
    statement: { kind: 'ddl' } as unknown as DdlPlan['statement'], // not looked at
    database: 'shop',
    tables: ['t'],
  };

  test('is done on every shard', async () => {
    const shards = new ScriptedShards(() => ({ kind: 'ok', warningCount: 1 }));

    const { reply } = await run(ddl, shards);

    expect(shards.sent.map((one) => one.shard)).toEqual(['s1', 's2', 's3']);
    // All say the same, as one server would have said once.
    expect(reply.okPacket).toMatchObject({ affectedRows: 0, warningCount: 1 });
  });

  test('adds warnings up where shards have different ones', async () => {
    const shards = new ScriptedShards((shard) => ({
      kind: 'ok',
      warningCount: shard === 's2' ? 0 : 2,
    }));

    const { reply } = await run(ddl, shards);

    expect(reply.okPacket).toMatchObject({ warningCount: 4 });
  });

  test('that fails on one shard says where it is done', async () => {
    const shards = new ScriptedShards(
      (shard): Script =>
        shard === 's2'
          ? { kind: 'err', errno: 1060, message: "Duplicate column name 'a'" }
          : { kind: 'ok' },
    );

    await expect(run(ddl, shards)).rejects.toMatchObject({
      errno: 1105,
      message:
        "The schema change is done on 's1', 's3', but failed on 's2': Duplicate column name 'a'",
    });
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('that fails everywhere in the same way is the shards’ own error', async () => {
    const shards = new ScriptedShards(() => ({
      kind: 'err',
      errno: 1050,
      message: "Table 't' already exists",
    }));

    await expect(run(ddl, shards)).rejects.toMatchObject({
      errno: 1050,
      message: "Table 't' already exists",
    });
  });

  test('says so when a shard was lost on the way', async () => {
    const shards = new ScriptedShards(
      (shard): Script => (shard === 's3' ? { kind: 'lost' } : { kind: 'ok' }),
    );

    await expect(run(ddl, shards)).rejects.toThrow(
      /done on 's1', 's2', but failed on 's3': .*ECONNRESET/,
    );
  });
});
