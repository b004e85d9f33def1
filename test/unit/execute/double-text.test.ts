import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printDouble } from '../../../src/execute/double-text.ts';

const NOT_FIXED = 31;

// The right-hand sides were printed by MariaDB 10.11.
test.each([
  [1e15, '1e15'],
  [-1e15, '-1e15'],
  [1e14, '100000000000000'],
  [1e-15, '0.000000000000001'],
  [1e-14, '0.00000000000001'],
  [1e-16, '1e-16'],
  [Number('1234567890123456.7'), '1234567890123456.8'],
  [Number('123456789012345678'), '1.2345678901234568e17'],
  [1e22, '1e22'],
  [1.5e300, '1.5e300'],
  [0.1 + 0.2, '0.30000000000000004'],
  [1e-5, '0.00001'],
  [5e-324, '5e-324'],
  [Number('12345678901234567'), '1.2345678901234568e16'],
  [9007199254740992, '9.007199254740992e15'],
  [1e16, '1e16'],
  [0, '0'],
  [1.5, '1.5'],
])('a double %s is printed as %s', (value, text) => {
  expect(printDouble(value, NOT_FIXED)).toBe(text);
});

// Stored in DOUBLE(30,2), DOUBLE(10,0) and DOUBLE(60,2) and printed by MariaDB 10.11.
test.each([
  [0.125, 2, '0.12'],
  [0.375, 2, '0.38'],
  [-2.675, 2, '-2.67'],
  [1e22, 2, '10000000000000000000000.00'],
  [2.5e21, 6, '2500000000000000000000.000000'],
  [1.2345e30, 2, '1234500000000000000000000000000.00'],
  [Number('123456789012345678901234567890'), 2, '123456789012345680000000000000.00'],
  [0.5, 0, '0'],
  [2.5, 0, '2'],
  [1.5, 4, '1.5000'],
])('a double %s with %i fixed decimals is printed as %s', (value, decimals, text) => {
  expect(printDouble(value, decimals)).toBe(text);
});

test('what is printed reads back as the same double', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Number(printDouble(value, NOT_FIXED))).toBe(value);
    }),
    { numRuns: 2_000 },
  );
});
