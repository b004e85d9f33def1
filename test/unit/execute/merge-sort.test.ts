import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeSorted } from '../../../src/execute/merge-sort.ts';
import { RowFields } from '../../../src/execute/row-fields.ts';
import {
  compareSortKeys,
  equalityText,
  readSortKey,
  refuseInexactKeys,
  sortColumns,
} from '../../../src/execute/sort-values.ts';
import { HIDDEN_BASE, type MergeKey } from '../../../src/plan/plan.ts';
import {
  MYSQL_TYPE_BIT,
  MYSQL_TYPE_DATETIME,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_JSON,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NEWDECIMAL,
  MYSQL_TYPE_TIME,
  MYSQL_TYPE_VAR_STRING,
} from '../../../src/wire/column-types.ts';
import type { ColumnDefinition } from '../../../src/wire/result-set-packets.ts';
import { batches, collected, column, row, type Value } from './rows-fixture.ts';

const ascending = (index: number): MergeKey => ({ column: index, descending: false });

/** How two values of one column compare, as the sign. */
function order(type: ColumnDefinition, a: Value, b: Value, key: Partial<MergeKey> = {}): number {
  const columns = sortColumns([{ ...ascending(0), ...key }], [type], 0);
  const keyOf = (value: Value) => readSortKey(new RowFields(1).read(row([value])), columns);
  const sign = Math.sign(compareSortKeys(keyOf(a), keyOf(b), columns));
  const equal = equalityText(keyOf(a)) === equalityText(keyOf(b));
  expect(equal).toBe(sign === 0);
  return sign + 0; // no -0
}

describe('values of one column compare as the shards compare them', () => {
  test.each<[string, number, Value, Value]>([
    ['integers by value', MYSQL_TYPE_LONGLONG, '9', '10'],
    ['negative integers', MYSQL_TYPE_LONGLONG, '-10', '-9'],
    ['NULL before everything', MYSQL_TYPE_LONGLONG, null, '-9223372036854775808'],
    ['integers beyond 2^53', MYSQL_TYPE_LONGLONG, '9007199254740992', '9007199254740993'],
    ['a safe and a large one', MYSQL_TYPE_LONGLONG, '9007199254740991', '18446744073709551615'],
    [
      'decimals beyond doubles',
      MYSQL_TYPE_NEWDECIMAL,
      '1.00000000000000000001',
      '1.00000000000000000002',
    ],
    ['negative decimals', MYSQL_TYPE_NEWDECIMAL, '-10.5', '-9.5'],
    ['doubles', MYSQL_TYPE_DOUBLE, '1e-5', '2'],
    ['large doubles', MYSQL_TYPE_DOUBLE, '9.5', '1e15'],
    ['negative times', MYSQL_TYPE_TIME, '-838:59:59', '-00:00:01'],
    ['times of other lengths', MYSQL_TYPE_TIME, '99:00:00', '100:00:00'],
    ['fractions of times', MYSQL_TYPE_TIME, '-00:00:00.500000', '00:00:00.000000'],
    ['dates with times', MYSQL_TYPE_DATETIME, '2024-01-01 00:00:00', '2024-01-01 00:00:01'],
    ['zero dates', MYSQL_TYPE_DATETIME, '0000-00-00 00:00:00', '1000-01-01 00:00:00'],
    ['bytes', MYSQL_TYPE_VAR_STRING, 'z', '\xe4'],
    ['a prefix', MYSQL_TYPE_VAR_STRING, 'a', 'a\x00'],
    ['bits', MYSQL_TYPE_BIT, '\x00\x7f', '\x01\x00'],
  ])('%s', (_, type, less, more) => {
    expect(order(column('c', type), less, more)).toBe(-1);
    expect(order(column('c', type), more, less)).toBe(1);
    expect(order(column('c', type), less, more, { descending: true })).toBe(1);
  });

  test.each<[string, number, Value, Value]>([
    ['ZEROFILL', MYSQL_TYPE_LONGLONG, '007', '7'],
    ['negative zero', MYSQL_TYPE_DOUBLE, '-0', '0'],
    ['decimal zeros', MYSQL_TYPE_NEWDECIMAL, '-0.00', '0.00'],
    ['NULLs', MYSQL_TYPE_LONGLONG, null, null],
  ])('%s are equal', (_, type, a, b) => {
    expect(order(column('c', type), a, b)).toBe(0);
  });

  test('weights under PAD SPACE go on in spaces', () => {
    const text = column('c', MYSQL_TYPE_VAR_STRING);
    const padded = { weightColumn: 0, padWeight: '\x00\x20' };

    expect(order(text, '\x00A', '\x00A\x00\x20\x00\x20', padded)).toBe(0);
    expect(order(text, '\x00A\x00\x09', '\x00A', padded)).toBe(-1);
    expect(order(text, '\x00A', '\x00A\x00\x21', padded)).toBe(-1);
    expect(order(text, '', '\x00\x09', padded)).toBe(1);
  });

  test('text is compared by its weights, numbers by themselves', () => {
    const keys = [{ column: 0, weightColumn: HIDDEN_BASE, descending: false }];
    const weight = column('w', MYSQL_TYPE_VAR_STRING);

    expect(sortColumns(keys, [column('c', MYSQL_TYPE_VAR_STRING), weight], 1)[0]?.index).toBe(1);
    expect(sortColumns(keys, [column('c', MYSQL_TYPE_LONGLONG), weight], 1)[0]?.index).toBe(0);
  });

  test('JSON has an order of its own, so it is refused', () => {
    expect(() => sortColumns([ascending(0)], [column('c', MYSQL_TYPE_JSON)], 0)).toThrow(/JSON/);
  });

  test('FLOAT is the last key of an order or none', () => {
    const columns = [column('f', MYSQL_TYPE_FLOAT), column('id', MYSQL_TYPE_LONGLONG)];
    const keys = (...indices: number[]) => sortColumns(indices.map(ascending), columns, 0);

    refuseInexactKeys(keys(1, 0), columns, 'sort');
    expect(() => refuseInexactKeys(keys(0, 1), columns, 'sort')).toThrow(/f \+ 0e0/);
    expect(() => refuseInexactKeys(keys(0), columns, 'equality')).toThrow(/f \+ 0e0/);
  });
});

describe('a merge of sorted inputs', () => {
  const columns = [
    column('n', MYSQL_TYPE_LONGLONG),
    column('d', MYSQL_TYPE_NEWDECIMAL),
    column('at', MYSQL_TYPE_LONGLONG),
  ];
  const keys = sortColumns([ascending(0), { column: 1, descending: true }], columns, 0);

  test('is what sorting everything gives, stable by shard', async () => {
    const entry = fc.tuple(
      fc.option(fc.integer({ min: -3, max: 3 }).map(String)),
      fc.option(fc.integer({ min: -20, max: 20 }).map((tenths) => (tenths / 10).toFixed(1))),
    );
    const shards = fc.array(fc.array(entry, { maxLength: 30 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(shards, fc.integer({ min: 1, max: 7 }), async (input, batchRows) => {
        const fields = new RowFields(3);
        const byKey = (a: readonly Value[], b: readonly Value[]) =>
          compareSortKeys(
            readSortKey(fields.read(row(a)), keys),
            readSortKey(fields.read(row(b)), keys),
            keys,
          );
        const sorted = input.map((rows, shard) =>
          rows.map((one, at): Value[] => [...one, String(shard * 1000 + at)]).sort(byKey),
        );

        const merged = mergeSorted(
          sorted.map((rows) => batches(...chunks(rows, batchRows))),
          keys,
        );

        expect(await collected(merged)).toEqual(sorted.flat().sort(byKey));
      }),
    );
  });

  test('ends its inputs when nobody wants more', async () => {
    let ended = 0;
    async function* endless() {
      try {
        for (;;) yield [row(['1', '1', '1'])];
      } finally {
        ended += 1;
      }
    }

    for await (const batch of mergeSorted([endless(), endless()], keys)) {
      if (batch.length > 0) break;
    }

    expect(ended).toBe(2);
  });
});

function chunks<T>(rows: readonly T[], size: number): T[][] {
  const cut: T[][] = [];
  for (let at = 0; at < rows.length; at += size) cut.push(rows.slice(at, at + size));
  return cut;
}
