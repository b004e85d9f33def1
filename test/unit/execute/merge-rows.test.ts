import { describe, expect, test } from 'vitest';
import { type MergeOptions, mergeRows } from '../../../src/execute/merge-rows.ts';
import { MergeMemory } from '../../../src/execute/row-batches.ts';
import { HIDDEN_BASE, type MergePlan } from '../../../src/plan/plan.ts';
import { DEFAULT_LIMITS } from '../../../src/topology/config-schema.ts';
import {
  MYSQL_TYPE_DATE,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NEWDECIMAL,
  MYSQL_TYPE_VAR_STRING,
} from '../../../src/wire/column-types.ts';
import { batches, collected, column, row } from './rows-fixture.ts';

const concat: MergePlan = { kind: 'concat', keys: [], aggregates: [], hiddenColumns: 0 };

function options(more: Partial<MergeOptions>): MergeOptions {
  return {
    merge: concat,
    limit: undefined,
    columns: [],
    memory: new MergeMemory(DEFAULT_LIMITS),
    ...more,
  };
}

const text = column('name', MYSQL_TYPE_VAR_STRING, { collationId: 45 });
const weight = column('w', MYSQL_TYPE_VAR_STRING);
const count = column('COUNT(*)', MYSQL_TYPE_LONGLONG);
const textKey = { column: 0, weightColumn: HIDDEN_BASE, padWeight: '\x20', descending: false };

describe('rows of several shards become one result', () => {
  test('concatenated as they come', async () => {
    const merged = mergeRows([batches([['1']], [['2']]), batches([['3']]), batches()], options({}));

    expect((await collected(merged)).flat().sort()).toEqual(['1', '2', '3']);
  });

  test('with offset and limit over all of them', async () => {
    const merge: MergePlan = { ...concat, kind: 'sort', keys: [{ column: 0, descending: false }] };
    const merged = mergeRows(
      [batches([['1'], ['4']], [['5']]), batches([['2'], ['3'], ['6']])],
      options({
        merge,
        columns: [count],
        limit: { offset: 1, count: 3 },
      }),
    );

    expect(await collected(merged)).toEqual([['2'], ['3'], ['4']]);
  });

  test('with an offset that is longer than a batch', async () => {
    const merged = mergeRows(
      [batches([['1'], ['2']], [['3'], ['4']], [['5'], ['6']], [['7']])],
      options({ limit: { offset: 3, count: 3 } }),
    );

    expect(await collected(merged)).toEqual([['4'], ['5'], ['6']]);
  });

  test('ordered by the merged MAX of a text, by the weight that won', async () => {
    const merge: MergePlan = {
      ...concat,
      kind: 'group',
      keys: [{ column: 0, descending: false }],
      aggregates: [{ kind: 'max', column: 1, weightColumn: HIDDEN_BASE, padWeight: '\x20' }],
      orderAfterGroup: [
        { column: 1, weightColumn: HIDDEN_BASE, padWeight: '\x20', descending: false },
      ],
      hiddenColumns: 1,
    };
    const merged = mergeRows(
      [
        batches([
          ['1', 'a', 'A'],
          ['2', 'B', 'B'],
        ]),
        batches([['1', 'c', 'C']]),
      ],
      options({ merge, columns: [count, text, weight] }),
    );

    expect(await collected(merged)).toEqual([
      ['2', 'B', 'B'],
      ['1', 'c', 'C'],
    ]);
  });

  test('LIMIT 0 gives no row', async () => {
    const merged = mergeRows([batches([['1']])], options({ limit: { offset: 0, count: 0 } }));

    expect(await collected(merged)).toEqual([]);
  });

  test('grouped by collation: the first shard names the group', async () => {
    const merge: MergePlan = {
      ...concat,
      kind: 'group',
      keys: [textKey],
      aggregates: [{ kind: 'count', column: 1 }],
      orderAfterGroup: [{ column: 1, descending: true }, textKey],
      hiddenColumns: 1,
    };
    const merged = mergeRows(
      [
        batches([
          ['ann', '2', 'ANN'],
          ['Bob', '1', 'BOB'],
        ]),
        batches([['ANN ', '9007199254740993', 'ANN\x20']], [[null, '1', null]]),
        batches([[null, '3', null]]),
      ],
      options({ merge, columns: [text, count, weight] }),
    );

    expect(await collected(merged)).toEqual([
      ['ann', '9007199254740995', 'ANN'],
      [null, '4', null],
      ['Bob', '1', 'BOB'],
    ]);
  });

  test('SUM, MIN, MAX and AVG without GROUP BY, NULL where a shard has no rows', async () => {
    const merge: MergePlan = {
      ...concat,
      kind: 'group',
      aggregates: [
        { kind: 'sum', column: 0 },
        { kind: 'min', column: 1 },
        { kind: 'max', column: 2, weightColumn: HIDDEN_BASE + 2, padWeight: '\x20' },
        { kind: 'avg', column: 3, sumColumn: HIDDEN_BASE, countColumn: HIDDEN_BASE + 1 },
        { kind: 'sum', column: 4 },
      ],
      hiddenColumns: 3,
    };
    const columns = [
      column('SUM(p)', MYSQL_TYPE_NEWDECIMAL, { decimals: 2 }),
      column('MIN(d)', MYSQL_TYPE_DATE),
      column('MAX(name)', MYSQL_TYPE_VAR_STRING),
      column('AVG(n)', MYSQL_TYPE_NEWDECIMAL, { decimals: 4 }),
      column('SUM(f)', MYSQL_TYPE_DOUBLE, { decimals: 31 }),
      column('s', MYSQL_TYPE_NEWDECIMAL),
      count,
      weight,
    ];
    const merged = mergeRows(
      [
        batches([
          ['12345678901234567890.05', '2024-02-01', 'zoe', '1.5000', '0.1', '3', '2', 'ZOE'],
        ]),
        batches([[null, null, null, null, null, null, '0', null]]),
        batches([['-0.10', '2024-01-31', 'Äa', '2.0000', '0.2', '2', '1', 'AA']]),
      ],
      options({ merge, columns }),
    );

    const [only] = await collected(merged);
    expect(only?.slice(0, 5)).toEqual([
      '12345678901234567889.95',
      '2024-01-31',
      'zoe',
      '1.6667',
      '0.30000000000000004',
    ]);
  });

  test('aggregates over nothing at all stay NULL and 0', async () => {
    const merge: MergePlan = {
      ...concat,
      kind: 'group',
      aggregates: [
        { kind: 'sum', column: 0 },
        { kind: 'count', column: 1 },
        { kind: 'max', column: 2 },
      ],
    };
    const columns = [column('s', MYSQL_TYPE_NEWDECIMAL), count, column('m', MYSQL_TYPE_LONGLONG)];
    const none = () => batches([[null, '0', null]]);

    const merged = mergeRows([none(), none()], options({ merge, columns }));

    expect(await collected(merged)).toEqual([[null, '0', null]]);
  });

  test('DISTINCT by collation sends a value once', async () => {
    const merge: MergePlan = { ...concat, distinctKeys: [textKey], hiddenColumns: 1 };
    const merged = mergeRows(
      [
        batches([
          ['a', 'A'],
          [null, null],
        ]),
        batches([
          ['A ', 'A\x20'],
          ['b', 'B'],
          [null, null],
        ]),
      ],
      options({ merge, columns: [text, weight] }),
    );

    const names = (await collected(merged)).map(([name]) => name);
    expect(names).toHaveLength(3);
  });

  test('the end of the input order decides nothing: 20,000 groups come out sorted', async () => {
    const rows = Array.from({ length: 20_000 }, (_, at) => [String((at * 7919) % 20_000), '1']);
    const merge: MergePlan = {
      ...concat,
      kind: 'group',
      keys: [{ column: 0, descending: false }],
      aggregates: [{ kind: 'count', column: 1 }],
      orderAfterGroup: [{ column: 0, descending: false }],
    };

    const merged = await collected(
      mergeRows(
        [batches(rows), batches(rows.slice(0, 10))],
        options({ merge, columns: [count, count] }),
      ),
    );

    expect(merged.map(([key]) => Number(key))).toEqual(
      Array.from({ length: 20_000 }, (_, at) => at),
    );
    expect(merged.filter(([, n]) => n === '2')).toHaveLength(10);
  });

  test.each([
    ['scatter_rows_max', { scatter_rows_max: 2, scatter_bytes_max: 1e9 }],
    ['scatter_bytes_max', { scatter_rows_max: 1e9, scatter_bytes_max: 20 }],
  ])('too many groups end the statement with the name of %s', async (setting, limits) => {
    const merge: MergePlan = { ...concat, kind: 'group', keys: [{ column: 0, descending: false }] };
    const merged = mergeRows(
      [batches([['1111111'], ['2222222'], ['3333333']])],
      options({ merge, columns: [count], memory: new MergeMemory(limits) }),
    );

    await expect(collected(merged)).rejects.toThrow(`limits.${setting}`);
  });

  test('an input that fails ends the others', async () => {
    let ended = false;
    async function* patient() {
      try {
        for (;;) yield [row(['1'])];
      } finally {
        ended = true;
      }
    }
    async function* failing(): AsyncGenerator<readonly Buffer[]> {
      yield [row(['2'])];
      throw new Error('shard went away');
    }

    await expect(collected(mergeRows([patient(), failing()], options({})))).rejects.toThrow(
      'went away',
    );
    expect(ended).toBe(true);
  });
});
