import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors/proxy-error.ts';
import { execute } from '../../../src/execute/execute.ts';
import type { ExecutionContext } from '../../../src/execute/execution.ts';
import { HIDDEN_BASE, type MergePlan, type ScatterPlan } from '../../../src/plan/plan.ts';
import { MYSQL_TYPE_LONGLONG, MYSQL_TYPE_VAR_STRING } from '../../../src/wire/column-types.ts';
import { column } from './rows-fixture.ts';
import { type Script, ScriptedShards } from './scripted-shards.ts';
import { bound, context, type RecordedReply, shardId, spanOf } from './statement-fixture.ts';

const id = column('id', MYSQL_TYPE_LONGLONG);
const name = column('name', MYSQL_TYPE_VAR_STRING);
const select = bound("SELECT id FROM t WHERE a > 'x' LIMIT 2");

function scatter(merge: Partial<MergePlan> = {}, more: Partial<ScatterPlan> = {}): ScatterPlan {
  return {
    kind: 'scatter',
    target: { kind: 'every', shards: ['s2', 's1', 's3'].map(shardId) },
    singleEdits: [],
    edits: [],
    merge: { kind: 'concat', keys: [], aggregates: [], hiddenColumns: 0, ...merge },
    locks: false,
    readsClock: false,
    ...more,
  };
}

const sorted: Partial<MergePlan> = { kind: 'sort', keys: [{ column: 0, descending: false }] };

function rowsBy(shards: Readonly<Record<string, readonly string[]>>): ScriptedShards {
  return new ScriptedShards((shard) => ({
    kind: 'rows',
    columns: [id],
    rows: (shards[shard] ?? []).map((value) => [value]),
    warningCount: 1,
  }));
}

async function run(
  plan: ScatterPlan,
  shards: ScriptedShards,
  more: Partial<ExecutionContext> = {},
): Promise<RecordedReply> {
  const made = context(shards, more);
  await execute(plan, select, made);
  return made.reply;
}

describe('a scatter', () => {
  test('merges the rows of all shards in order and gives the leases back', async () => {
    const shards = rowsBy({ s1: ['1', '4'], s2: ['2', '10'], s3: [] });

    const reply = await run(scatter(sorted), shards);

    expect(reply.columnNames).toEqual(['id']);
    expect(reply.rowValues).toEqual([['1'], ['2'], ['4'], ['10']]);
    expect(reply.ended).toEqual({ warningCount: 3 });
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('drops the columns that only the merge needed', async () => {
    const shards = new ScriptedShards((shard) => ({
      kind: 'rows',
      columns: [id, name, column('w', MYSQL_TYPE_VAR_STRING)],
      rows:
        shard === 's1'
          ? [['1', 'b', 'B']]
          : shard === 's2'
            ? [['2', null, null]]
            : [['3', 'a', 'A']],
    }));
    const keys = [{ column: 1, weightColumn: HIDDEN_BASE, descending: false }];

    const reply = await run(scatter({ kind: 'sort', keys, hiddenColumns: 1 }), shards);

    expect(reply.columnNames).toEqual(['id', 'name']);
    expect(reply.rowValues).toEqual([
      ['2', null],
      ['3', 'a'],
      ['1', 'b'],
    ]);
  });

  test('sends columns and an end when no shard has a row', async () => {
    const reply = await run(scatter(), rowsBy({}));

    expect(reply.columnNames).toEqual(['id']);
    expect(reply.rowValues).toEqual([]);
    expect(reply.ended).toBeDefined();
  });

  test('asks shards for limit and offset together and cuts the merged rows', async () => {
    const statement = bound("SELECT id FROM t WHERE a > 'x' LIMIT 1, 2");
    const limit = {
      count: { kind: 'literal', slot: 2 },
      offset: { kind: 'literal', slot: 1 },
    } as const;
    const plan = scatter(
      { ...sorted, limit },
      { edits: [{ kind: 'limit', span: spanOf(statement, 'LIMIT 1, 2'), ...limit }] },
    );
    const shards = rowsBy({ s1: ['1', '4'], s2: ['2', '10'], s3: ['3'] });
    const made = context(shards);

    await execute(plan, statement, made);

    expect(shards.texts('s2')).toEqual(["SELECT id FROM t WHERE a > 'x' LIMIT 3"]);
    expect(made.reply.rowValues).toEqual([['2'], ['3']]);
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('one shard with endless rows is closed when the limit has its rows', async () => {
    function* endless() {
      for (let at = 0; ; at++) yield [String(at)];
    }
    const shards = new ScriptedShards(() => ({ kind: 'rows', columns: [id], rows: endless() }));
    const limit = { count: { kind: 'constant', value: 3 } } as const;

    const reply = await run(scatter({ ...sorted, limit }), shards);

    expect(reply.rowValues).toEqual([['0'], ['0'], ['0']]);
    expect(shards.ends()).toEqual(['s1 destroyed', 's2 destroyed', 's3 destroyed']);
  });

  test('in a transaction the rest of the rows is read instead', async () => {
    const shards = new ScriptedShards(
      () => ({ kind: 'rows', columns: [id], rows: Array.from({ length: 500 }, () => ['1']) }),
      { inTransaction: true },
    );
    const limit = { count: { kind: 'constant', value: 1 } } as const;

    const reply = await run(scatter({ limit }), shards);

    expect(reply.rowValues).toEqual([['1']]);
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('relays the whole reply when the keys come out as one shard', async () => {
    const shards = rowsBy({ s2: ['1'] });
    const plan = scatter({}, { target: { kind: 'fixed', shard: shardId('s2') }, edits: [] });

    const reply = await run(plan, shards);

    expect(shards.texts('s2')).toEqual([select.text.toString()]);
    expect(reply.relayed.length).toBe(5); // count, column, EOF, row, EOF
    expect(shards.ends()).toEqual(['s2 released']);
  });

  test("one shard's error is the statement's, and no lease stays dirty", async () => {
    const shards = new ScriptedShards((shard): Script => {
      if (shard === 's2') return { kind: 'err', errno: 1146, message: "Table 't' doesn't exist" };
      return { kind: 'rows', columns: [id], rows: Array.from({ length: 100 }, () => ['1']) };
    });
    const made = context(shards);

    await expect(execute(scatter(), select, made)).rejects.toMatchObject({
      errno: 1146,
      shard: 's2',
    });

    expect(made.reply.started).toBe(false);
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('an error after rows were sent is thrown for the session to end the stream', async () => {
    const shards = new ScriptedShards(
      (shard): Script => ({
        kind: 'rows',
        columns: [id],
        rows: Array.from({ length: 20 }, () => ['1']),
        ...(shard === 's3' ? { error: { errno: 1317, message: 'interrupted' } } : {}),
      }),
    );
    const made = context(shards);

    await expect(execute(scatter(), select, made)).rejects.toMatchObject({ errno: 1317 });

    expect(made.reply.started).toBe(true);
    expect(made.reply.ended).toBeUndefined();
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('a lost connection names its shard', async () => {
    const shards = new ScriptedShards(
      (shard): Script =>
        shard === 's2'
          ? { kind: 'lost', columns: [id] }
          : { kind: 'rows', columns: [id], rows: [['1']] },
    );
    const made = context(shards);

    await expect(execute(scatter(), select, made)).rejects.toThrow(/ECONNRESET/);

    expect(shards.ends()).toEqual(['s1 released', 's2 destroyed', 's3 released']);
  });

  test('stops when the client has gone', async () => {
    const abort = new AbortController();
    const shards = new ScriptedShards(
      (shard): Script =>
        shard === 's1' ? { kind: 'silent' } : { kind: 'rows', columns: [id], rows: [['1']] },
    );
    const running = run(scatter(sorted), shards, { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);

    await expect(running).rejects.toMatchObject({ errno: 1317 });

    expect(shards.ends()[0]).toBe('s1 destroyed');
    expect(shards.ends()).not.toContain('s2 held');
  });

  test('stops in the middle of rows with the reason, whatever broke by it', async () => {
    const abort = new AbortController();
    const shards = new ScriptedShards(() => ({
      kind: 'rows',
      columns: [id],
      rows: [['1']],
      stalls: true,
    }));
    const made = context(shards, { signal: abort.signal });
    const running = execute(scatter(), select, made);
    running.catch(() => undefined);
    await waitFor(() => made.reply.rowValues.length === 3);
    abort.abort(new Error('the client has disconnected'));

    await expect(running).rejects.toMatchObject({ errno: 1317 });

    expect(shards.ends()).toEqual(['s1 destroyed', 's2 destroyed', 's3 destroyed']);
  });

  test('a single shard’s relay is stopped in the same way', async () => {
    const abort = new AbortController();
    const shards = new ScriptedShards(() => ({
      kind: 'rows',
      columns: [id],
      rows: [['1']],
      stalls: true,
    }));
    const plan = scatter({}, { target: { kind: 'fixed', shard: shardId('s2') } });
    const made = context(shards, { signal: abort.signal });
    const running = execute(plan, select, made);
    running.catch(() => undefined);
    await waitFor(() => made.reply.relayed.length > 3);
    abort.abort();

    await expect(running).rejects.toMatchObject({ errno: 1317 });

    expect(shards.ends()).toEqual(['s2 destroyed']);
  });

  test('a plan for one shard that comes out as several is refused', async () => {
    const shards = rowsBy({});
    const target = { kind: 'every', shards: ['s1', 's2'].map(shardId) } as const;
    const plan = { kind: 'single', target, edits: [], writes: false, locks: false } as const;

    await expect(execute(plan, select, context(shards))).rejects.toMatchObject({ errno: 1235 });

    expect(shards.sent).toEqual([]);
  });

  test('gives the reason when the statement has taken too long', async () => {
    const abort = new AbortController();
    const shards = new ScriptedShards(() => ({ kind: 'silent' }));
    const running = run(scatter(), shards, { signal: abort.signal });
    setTimeout(() => abort.abort(new ProxyError('ER_QUERY_TIMEOUT', 'too slow')), 20);

    await expect(running).rejects.toMatchObject({ errno: 3024 });

    expect(shards.ends()).toEqual(['s1 destroyed', 's2 destroyed', 's3 destroyed']);
  });

  test('a slow client holds the shards back', async () => {
    let made = 0;
    function* many() {
      for (let at = 0; at < 8_000; at++) {
        made += 1;
        yield ['x'.repeat(100)];
      }
    }
    const shards = new ScriptedShards(() => ({ kind: 'rows', columns: [name], rows: many() }));
    const prepared = context(shards);
    prepared.reply.slow = true;
    const running = execute(scatter(), select, prepared);
    await waitFor(
      () => prepared.reply.isWaitedFor && shards.leases.every((lease) => lease.isPaused),
    );
    const madeWhileSlow = made;
    prepared.reply.slow = false;
    prepared.reply.drain();
    await running;

    expect(madeWhileSlow).toBeLessThan(15_000);
    expect(prepared.reply.rowValues.length).toBe(24_000);
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test('all shards are given one clock, which is let go afterwards', async () => {
    const shards = rowsBy({ s1: ['1'] });

    await run(scatter({}, { readsClock: true }), shards);

    const [set, asked, reset] = shards.texts('s1');
    expect(set).toMatch(/^SET timestamp=\d+\.\d{6}$/);
    expect(asked).toBe(select.text.toString());
    expect(reset).toBe('SET timestamp=DEFAULT');
    expect(shards.texts('s2')[0]).toBe(set);
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });

  test("a session's own timestamp is left alone", async () => {
    const shards = rowsBy({ s1: ['1'] });
    const base = context(shards);

    await execute(scatter({}, { readsClock: true }), select, {
      ...base,
      facts: { ...base.facts, timestamp: '1' },
    });

    expect(shards.texts('s1')).toEqual([select.text.toString()]);
  });

  test('warnings are read before a lease goes back', async () => {
    const read: string[] = [];
    const shards = rowsBy({ s1: ['1'] });

    await run(scatter(), shards, {
      collectWarnings: async (lease) => {
        read.push(`${lease.shard} ${shards.ends().some((end) => end === `${lease.shard} held`)}`);
      },
    });

    expect(read.sort()).toEqual(['s1 true', 's2 true', 's3 true']);
  });

  test('shards whose columns differ are told apart', async () => {
    const shards = new ScriptedShards((shard) => ({
      kind: 'rows',
      columns: shard === 's3' ? [id, name] : [id],
      rows: [],
    }));

    await expect(run(scatter(), shards)).rejects.toThrow(
      /'s3' answers with other columns than 's1'/,
    );
    expect(shards.ends()).toEqual(['s1 released', 's2 released', 's3 released']);
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
