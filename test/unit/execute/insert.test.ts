import { describe, expect, test } from 'vitest';
import { execute } from '../../../src/execute/execute.ts';
import type { ExecutionContext } from '../../../src/execute/execution.ts';
import { routedShards } from '../../../src/execute/routed-shards.ts';
import type { InsertPlan, InsertPlanRow, KeySource, ShardTarget } from '../../../src/plan/plan.ts';
import type { RoutingKey, Strategy } from '../../../src/topology/strategy.ts';
import type { TableSchema } from '../../../src/topology/table-schema.ts';
import type { Table } from '../../../src/topology/topology.ts';
import { MYSQL_TYPE_LONGLONG } from '../../../src/wire/column-types.ts';
import { column } from './rows-fixture.ts';
import { type Script, ScriptedShards } from './scripted-shards.ts';
import { bound, context, shardId, spanOf } from './statement-fixture.ts';

const shards = ['s1', 's2'].map(shardId);

/** Odd keys live on s1, even ones on s2. */
const strategy: Strategy = {
  name: 'by_parity',
  kind: 'hash',
  shards,
  shardOf: (key) => shards[Number(key) % 2 === 1 ? 0 : 1],
  shardsBetween: () => shards,
  selfContained: true,
};

const table: Table = {
  database: 'shop',
  name: 't',
  placement: {
    kind: 'sharded',
    strategy,
    keyColumns: ['k'],
    keyTypes: [{ kind: 'integer', unsigned: false, bytes: 4 }],
  },
  generated: new Set(['id']),
  schema: undefined,
};

const autoIncrement: TableSchema = {
  columns: [],
  primaryKey: ['id'],
  uniqueKeys: [],
  autoIncrementColumn: 'id',
  isView: false,
};

const target: ShardTarget = {
  kind: 'by-key',
  strategy,
  database: 'shop',
  condition: { kind: 'all' },
};

const literal = (slot: number): KeySource => ({
  kind: 'literal',
  slot,
  negated: false,
  table,
  keyIndex: 0,
});

/** An INSERT whose rows are given with their text and the slot of their key. */
function insert(
  sql: string,
  rows: readonly { readonly text: string; readonly slot: number; readonly idAt?: string }[],
  more: Partial<InsertPlan> = {},
) {
  const statement = bound(sql);
  let index = 0;
  const planned = rows.map(({ text, slot, idAt }): InsertPlanRow => {
    const span = spanOf(statement, text);
    const at = idAt === undefined ? undefined : span.start + text.indexOf(idAt);
    return {
      span,
      key: literal(slot),
      ...(at === undefined || idAt === undefined
        ? {}
        : {
            generatedAt: {
              span: { start: at, end: at + idAt.length },
              separator: '',
              index: index++,
            },
          }),
    };
  });
  const plan: InsertPlan = {
    kind: 'insert',
    table,
    target,
    edits: [],
    rows: planned,
    rowsSpan: { start: planned[0]?.span.start ?? 0, end: planned.at(-1)?.span.end ?? 0 },
    readsClock: false,
    ...(index === 0 ? {} : { generate: { column: 'id', count: index } }),
    ...more,
  };
  return { statement, plan };
}

async function run(
  { statement, plan }: ReturnType<typeof insert>,
  answer: (shard: string, sql: string) => Script,
  more: Partial<ExecutionContext> = {},
) {
  const scripted = new ScriptedShards(answer, { inTransaction: true });
  const made = context(scripted, more);
  const outcome = await execute(plan, statement, made);
  const texts = (shard: string) => scripted.texts(shard).filter((sql) => !sql.startsWith('SET'));
  return { outcome, ok: made.reply.okPacket, reply: made.reply, texts, scripted };
}

describe('an INSERT', () => {
  const three = insert(
    'INSERT INTO t (k, v) VALUES (1, 10), (2, 2000) ,(3, 30) ON DUPLICATE KEY UPDATE v = 5',
    [
      { text: '(1, 10)', slot: 0 },
      { text: '(2, 2000)', slot: 2 },
      { text: '(3, 30)', slot: 4 },
    ],
  );

  test('gives each shard its rows', async () => {
    const { texts } = await run(three, () => ({ kind: 'ok' }));

    expect(texts('s1')).toEqual([
      'INSERT INTO t (k, v) VALUES (1, 10), (3, 30) ON DUPLICATE KEY UPDATE v = 5',
    ]);
    expect(texts('s2')).toEqual([
      'INSERT INTO t (k, v) VALUES (2, 2000) ON DUPLICATE KEY UPDATE v = 5',
    ]);
  });

  test('of several rows says what one server would say, also when a shard got a single row', async () => {
    const { ok } = await run(
      three,
      (shard): Script =>
        shard === 's1'
          ? {
              kind: 'ok',
              affectedRows: 2,
              lastInsertId: 3,
              info: 'Records: 2  Duplicates: 0  Warnings: 0',
            }
          : { kind: 'ok', affectedRows: 1, lastInsertId: 2 },
    );

    expect(ok).toMatchObject({
      affectedRows: 3,
      lastInsertId: 3, // explicit ids: that of the last row
      info: 'Records: 3  Duplicates: 0  Warnings: 0',
    });
  });

  test('of rows for one shard is relayed as it is', async () => {
    const one = insert('INSERT INTO t (k) VALUES (1), (3)', [
      { text: '(1)', slot: 0 },
      { text: '(3)', slot: 1 },
    ]);

    const { texts, reply, scripted } = await run(one, () => ({ kind: 'ok', affectedRows: 2 }));

    expect(texts('s1')).toEqual(['INSERT INTO t (k) VALUES (1), (3)']);
    expect(reply.relayed).toHaveLength(1);
    expect(scripted.ends()).toEqual(['s1 released']);
  });

  test('changes inside of rows and around them reach the right shard', async () => {
    const { statement, plan } = insert(
      "REPLACE INTO t VALUES (1, f(), 'abc'), (2, f(), 'de') -- f()",
      [
        { text: "(1, f(), 'abc')", slot: 0 },
        { text: "(2, f(), 'de')", slot: 2 },
      ],
    );
    const edits = [0, 1].map((nth) => ({
      kind: 'session-value' as const,
      span: spanOf(statement, 'f()', nth),
      value: 'last_insert_id' as const,
    }));

    const { texts } = await run({ statement, plan: { ...plan, edits } }, () => ({ kind: 'ok' }));

    expect(texts('s1')).toEqual([`REPLACE INTO t VALUES (1, (7 | 0), 'abc') -- f()`]);
    expect(texts('s2')).toEqual([`REPLACE INTO t VALUES (2, (7 | 0), 'de') -- f()`]);
  });
});

test('what is put in where the rows begin is put in once', async () => {
  const { statement, plan } = insert('INSERT INTO t VALUES (1), (3)', [
    { text: '(1)', slot: 0 },
    { text: '(3)', slot: 1 },
  ]);
  const { start } = plan.rowsSpan;
  const edits = [{ kind: 'replace' as const, span: { start, end: start }, text: '/* here */ ' }];

  const { texts } = await run({ statement, plan: { ...plan, edits } }, () => ({ kind: 'ok' }));

  expect(texts('s1')).toEqual(['INSERT INTO t VALUES /* here */ (1), (3)']);
});

describe('an INSERT with ids from a sequence', () => {
  const two = insert('INSERT INTO t (id, k) VALUES (NULL, 1), (NULL, 2)', [
    { text: '(NULL, 1)', slot: 0, idAt: 'NULL' },
    { text: '(NULL, 2)', slot: 1, idAt: 'NULL' },
  ]);

  test('writes consecutive ids and reports the first one', async () => {
    const taken: unknown[] = [];
    const { texts, ok, outcome } = await run(
      two,
      (shard) => ({ kind: 'ok', affectedRows: 1, lastInsertId: shard === 's1' ? 100 : 101 }),
      {
        sequences: {
          take: (...request) => {
            taken.push(request);
            return Promise.resolve(100n);
          },
        },
      },
    );

    expect(taken).toEqual([['shop', 't', 'id', 2]]);
    expect(texts('s1')).toEqual(['INSERT INTO t (id, k) VALUES (100, 1)']);
    expect(texts('s2')).toEqual(['INSERT INTO t (id, k) VALUES (101, 2)']);
    expect(ok).toMatchObject({
      affectedRows: 2,
      lastInsertId: 100,
      info: 'Records: 2  Duplicates: 0  Warnings: 0',
    });
    expect(outcome.generatedId).toBe(100n);
  });

  test('on one shard is no relay, since the shard takes the id for an explicit one', async () => {
    const one = insert('INSERT INTO t (id, k) VALUES (NULL, 1)', [
      { text: '(NULL, 1)', slot: 0, idAt: 'NULL' },
    ]);

    const { ok, reply, scripted } = await run(one, () => ({ kind: 'ok', affectedRows: 1 }));

    expect(reply.relayed).toEqual([]);
    expect(ok).toMatchObject({ affectedRows: 1, lastInsertId: 100, info: '' });
    expect(scripted.texts('s1')).toHaveLength(1); // no clock for a single shard
  });

  test('adds the column and its values where the statement names none', async () => {
    const { statement, plan } = insert('INSERT INTO t (k) VALUES (1), (2)', [
      { text: '(1)', slot: 0 },
      { text: '(2)', slot: 1 },
    ]);
    const rows = plan.rows.map((row, index) => ({
      ...row,
      generatedAt: {
        span: { start: row.span.end - 1, end: row.span.end - 1 },
        separator: ', ',
        index,
      },
    }));
    const list = spanOf(statement, 'k)').start + 1;
    const edits = [{ kind: 'replace' as const, span: { start: list, end: list }, text: ', `id`' }];

    const { texts } = await run(
      { statement, plan: { ...plan, rows, edits, generate: { column: 'id', count: 2 } } },
      () => ({ kind: 'ok' }),
    );

    expect(texts('s1')).toEqual(['INSERT INTO t (k, `id`) VALUES (1, 100)']);
    expect(texts('s2')).toEqual(['INSERT INTO t (k, `id`) VALUES (2, 101)']);
  });

  test('routes by the generated id when that is the key', async () => {
    const { statement, plan } = insert('INSERT INTO t (id) VALUES (NULL), (NULL )', [
      { text: '(NULL)', slot: 0, idAt: 'NULL' },
      { text: '(NULL )', slot: 0, idAt: 'NULL' },
    ]);
    const rows = plan.rows.map((row, at) => ({
      ...row,
      key: { kind: 'generated' as const, row: at },
    }));

    const { texts } = await run({ statement, plan: { ...plan, rows } }, () => ({
      kind: 'ok',
      affectedRows: 1,
    }));

    expect(texts('s2')).toEqual(['INSERT INTO t (id) VALUES (100)']);
    expect(texts('s1')).toEqual(['INSERT INTO t (id) VALUES (101 )']);
  });

  test('asks the table which id got in when some rows did not', async () => {
    const { ok, outcome } = await run(two, (shard, sql): Script => {
      if (sql.startsWith('SELECT MIN(`id`) FROM `shop`.`t` WHERE `id` BETWEEN 100 AND 101')) {
        const rows = shard === 's1' ? [[null]] : [['101']];
        return { kind: 'rows', columns: [column('m', MYSQL_TYPE_LONGLONG)], rows };
      }
      return shard === 's1' ? { kind: 'ok', warningCount: 1 } : { kind: 'ok', affectedRows: 1 };
    });

    expect(ok).toMatchObject({ lastInsertId: 101, info: 'Records: 2  Duplicates: 1  Warnings: 1' });
    expect(outcome.generatedId).toBe(101n);
  });

  test('that changed nothing has no insert id', async () => {
    const { ok, outcome } = await run(two, () => ({ kind: 'ok', affectedRows: 0 }));

    expect(ok).toMatchObject({ affectedRows: 0, lastInsertId: 0 });
    expect(outcome.generatedId).toBeUndefined();
  });

  test.each<[string, Script, Partial<Table>, number | undefined]>([
    // CLIENT_FOUND_ROWS: a row that was found and not changed counts as 1.
    [
      'an AUTO_INCREMENT column tells',
      { kind: 'ok', affectedRows: 1 },
      { schema: autoIncrement },
      0,
    ],
    [
      'its id says new',
      { kind: 'ok', affectedRows: 1, lastInsertId: 100 },
      { schema: autoIncrement },
      100,
    ],
    [
      'a row was updated',
      { kind: 'ok', affectedRows: 2, lastInsertId: 33 },
      { schema: autoIncrement },
      33,
    ],
    ['the table has to be asked', { kind: 'ok', affectedRows: 1 }, {}, 0],
  ])('with ON DUPLICATE KEY UPDATE: %s', async (_, answer, more, insertId) => {
    const { statement, plan } = insert(
      'INSERT INTO t (id, k) VALUES (NULL, 1) ON Duplicate KEY UPDATE v = 1',
      [{ text: '(NULL, 1)', slot: 0, idAt: 'NULL' }],
    );

    const { ok, outcome } = await run(
      { statement, plan: { ...plan, table: { ...table, ...more } } },
      (_shard, sql) =>
        sql.startsWith('SELECT MIN')
          ? { kind: 'rows', columns: [column('m', MYSQL_TYPE_LONGLONG)], rows: [[null]] }
          : answer,
    );

    expect(ok?.lastInsertId).toBe(insertId);
    expect(outcome.generatedId).toBe(insertId === 100 ? 100n : undefined);
    expect(outcome.lastInsertId).toBe(insertId === 100 ? 100 : 0);
  });

  test('of a reference table writes the same ids everywhere', async () => {
    const { statement, plan } = insert(
      'INSERT INTO t (id, k) VALUES (NULL, 1)',
      [{ text: '(NULL, 1)', slot: 0, idAt: 'NULL' }],
      { target: { kind: 'every', shards } },
    );

    const { texts, ok } = await run({ statement, plan }, () => ({ kind: 'ok', affectedRows: 1 }));

    expect(texts('s1')).toEqual(['INSERT INTO t (id, k) VALUES (100, 1)']);
    expect(texts('s2')).toEqual(texts('s1'));
    expect(ok).toMatchObject({ affectedRows: 1, lastInsertId: 100, info: '' });
  });
});

describe('keys of a directory', () => {
  const homes = new Map<RoutingKey, string>([[1, 's2']]);
  const directory: Strategy = {
    ...strategy,
    name: 'by_tenant',
    kind: 'directory',
    shardOf: (key) => (homes.has(key) ? shardId(homes.get(key) as string) : undefined),
    selfContained: false,
  };
  const byKey = (values: readonly KeySource[]): ShardTarget => ({
    kind: 'by-key',
    strategy: directory,
    database: 'shop',
    condition: { kind: 'in', values },
  });

  test('are looked up when they are not known, and no row has a key without a home', async () => {
    const asked: unknown[] = [];
    const made = context(new ScriptedShards(() => ({ kind: 'ok' })), {
      lookups: {
        resolve: (lookups) => {
          asked.push(lookups);
          homes.set(5, 's1');
          return Promise.resolve(
            lookups.filter((one) => one.kind === 'directory' && one.key === 9),
          );
        },
      },
    });
    const statement = bound('SELECT 1, 5, 9');

    const found = await routedShards(byKey([literal(0), literal(1)]), statement, made);
    const homeless = await routedShards(byKey([literal(2)]), statement, made);

    expect([...found].sort()).toEqual(['s1', 's2']);
    expect(homeless).toEqual(['s1']);
    expect(asked).toHaveLength(2);
  });

  test('are not looked up for ever', async () => {
    const made = context(new ScriptedShards(() => ({ kind: 'ok' })));

    await expect(routedShards(byKey([literal(0)]), bound('SELECT 77'), made)).rejects.toMatchObject(
      {
        errno: 1526,
      },
    );
  });
});
