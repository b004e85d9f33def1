import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addScaled,
  averageText,
  canonicalDecimal,
  compareCanonicalDecimals,
  parseScaled,
  printScaled,
} from '../../../src/execute/exact-number.ts';

/** Text of digits / 10^scale as MySQL prints a DECIMAL(…, scale). */
function decimalText(digits: bigint, scale: number): string {
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const sign = digits < 0n ? '-' : '';
  return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

const decimals = fc.record({
  digits: fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
  scale: fc.integer({ min: 0, max: 30 }),
});

describe('exact numbers', () => {
  test('a printed number reads back as the same number', () => {
    fc.assert(
      fc.property(decimals, ({ digits, scale }) => {
        const text = decimalText(digits, scale);

        expect(printScaled(parseScaled(text), scale)).toBe(text);
      }),
    );
  });

  test('sums are those of rational numbers', () => {
    fc.assert(
      fc.property(decimals, decimals, (a, b) => {
        const sum = addScaled(
          parseScaled(decimalText(a.digits, a.scale)),
          parseScaled(decimalText(b.digits, b.scale)),
        );

        expect(sum.digits * 10n ** BigInt(60 - sum.scale)).toBe(
          a.digits * 10n ** BigInt(60 - a.scale) + b.digits * 10n ** BigInt(60 - b.scale),
        );
      }),
    );
  });

  test('canonical texts are equal and ordered exactly as the numbers are', () => {
    const near = fc.record({
      digits: fc.bigInt({ min: -1000n, max: 1000n }),
      scale: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(fc.oneof(decimals, near), fc.oneof(decimals, near), (a, b) => {
        const left = canonicalDecimal(decimalText(a.digits, a.scale));
        const right = canonicalDecimal(decimalText(b.digits, b.scale));
        const difference = a.digits * 10n ** BigInt(b.scale) - b.digits * 10n ** BigInt(a.scale);

        const order = compareCanonicalDecimals(left, right);

        expect(Math.sign(order)).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0);
        expect(left === right).toBe(difference === 0n);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['000012.50', '12.5'],
    ['-0.00', '0'],
    ['0', '0'],
    ['100', '100'],
    ['-100.010', '-100.01'],
    ['0.000', '0'],
  ])('the canonical form of %s is %s', (text, canonical) => {
    expect(canonicalDecimal(text)).toBe(canonical);
  });

  test.each([
    ['2.5', 0, '3'],
    ['-2.5', 0, '-3'],
    ['2.4', 0, '2'],
    ['0.005', 2, '0.01'],
    ['-0.004', 2, '0.00'],
    ['7', 3, '7.000'],
  ])('%s to %i decimals is %s: half away from zero', (text, scale, printed) => {
    expect(printScaled(parseScaled(text), scale)).toBe(printed);
  });

  // Each of these was seen from MariaDB 10.11: AVG over three rows with the sum given.
  test.each([
    ['2', 3n, 4, '0.6667'],
    ['2.00', 3n, 6, '0.666667'],
    ['2.00000', 3n, 9, '0.666666666'],
    ['-2.00000', 3n, 9, '-0.666666666'],
    ['0.0000000000002', 3n, 17, '0.00000000000006667'],
    ['2', 3n, 9, '0.666666666'],
  ])('AVG of sum %s over %i rows at scale %i is %s', (sum, count, scale, average) => {
    expect(averageText(parseScaled(sum), count, scale)).toBe(average);
  });
});
