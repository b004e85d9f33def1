import { describe, expect, test } from 'vitest';
import { RowCutter, RowFields } from '../../../src/execute/row-fields.ts';
import { row, values } from './rows-fixture.ts';

describe('fields of a text row', () => {
  test.each([0, 1, 250, 251, 252, 0xffff, 0x10000, 0xffffff, 0x1000000])(
    'are found behind one of %i bytes',
    (length) => {
      const long = 'x'.repeat(length);
      const fields = new RowFields(4).read(row(['a', long, null, 'z']));

      expect(fields.latin1(1) === long).toBe(true);
      expect(fields.isNull(2)).toBe(true);
      expect(fields.latin1(2)).toBeUndefined();
      expect(fields.latin1(3)).toBe('z');
    },
  );

  test.each<[string, number | bigint]>([
    ['0', 0],
    ['-0', 0],
    ['-12', -12],
    ['007', 7],
    ['999999999999999', 999999999999999],
    ['-99999999999999', -99999999999999],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9223372036854775808', -9223372036854775808n],
    ['18446744073709551615', 18446744073709551615n],
  ])('an integer %s is %s', (text, value) => {
    expect(Object.is(new RowFields(1).read(row([text])).integer(0), value)).toBe(true);
  });

  test('a row that ends within a field is no row', () => {
    const whole = row(['abc', 'de']);

    for (let length = 0; length < whole.length; length++) {
      expect(() => new RowFields(2).read(whole.subarray(0, length))).toThrow(/row/);
    }
  });

  test('hidden fields are cut off without looking at them', () => {
    const cut = new RowCutter(2).cut(row(['1', null, 'hidden', 'x'.repeat(300)]));

    expect(values(cut)).toEqual(['1', null]);
  });
});
