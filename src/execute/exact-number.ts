/** A decimal number as MySQL has them: `digits` / 10^`scale`, without loss. */
export interface ScaledNumber {
  readonly digits: bigint;
  readonly scale: number;
}

/** Decimal digits that MySQL keeps in one word of a DECIMAL; divisions are cut at whole words. */
const DIGITS_PER_WORD = 9;
/** DECIMAL_MAX_PRECISION: a sum with more digits is out of MySQL's range too. */
export const DECIMAL_DIGITS_MAX = 65;

/** Reads a number as MySQL prints DECIMAL and integer columns: '-12.340', '00012' (ZEROFILL). */
export function parseScaled(text: string): ScaledNumber {
  const point = text.indexOf('.');
  if (point === -1) return { digits: BigInt(text), scale: 0 };
  const fraction = text.slice(point + 1);
  return { digits: BigInt(text.slice(0, point) + fraction), scale: fraction.length };
}

export function addScaled(a: ScaledNumber, b: ScaledNumber): ScaledNumber {
  if (a.scale === b.scale) return { digits: a.digits + b.digits, scale: a.scale };
  const scale = Math.max(a.scale, b.scale);
  return { digits: digitsAt(a, scale) + digitsAt(b, scale), scale };
}

/** Prints with exactly `scale` digits behind the point, rounding half away from zero as MySQL does. */
export function printScaled(number: ScaledNumber, scale: number): string {
  const digits = digitsAt(number, scale);
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const sign = digits < 0n ? '-' : '';
  if (scale === 0) return sign + text;
  return `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

/**
 * AVG of exact numbers, to the digit as MySQL has it. Its division computes whole words of nine
 * decimal digits and cuts the rest off, and only then rounds to the column's scale: AVG over
 * DECIMAL(n,5) is 0.666666666 for 2/3, not 0.666666667.
 */
export function averageText(sum: ScaledNumber, count: bigint, scale: number): string {
  const sumWords = Math.ceil(sum.scale / DIGITS_PER_WORD);
  const spare = sumWords * DIGITS_PER_WORD - sum.scale;
  const increment = Math.max(0, scale - sum.scale - spare);
  const words = Math.ceil((sumWords * DIGITS_PER_WORD + increment) / DIGITS_PER_WORD);
  const quotientScale = words * DIGITS_PER_WORD;
  // BigInt division cuts towards zero, as MySQL's does.
  const quotient = digitsAt(sum, quotientScale) / count;
  return printScaled({ digits: quotient, scale: quotientScale }, scale);
}

/**
 * Brings decimal text to the one form that equal numbers share: no leading zeros, no zeros at the
 * end of the fraction, no negative zero. Canonical texts are compared without arithmetic.
 */
export function canonicalDecimal(text: string): string {
  const negative = text.charCodeAt(0) === 0x2d;
  let start = negative ? 1 : 0;
  let end = text.length;
  const point = text.indexOf('.');
  const integerEnd = point === -1 ? end : point;
  while (start < integerEnd - 1 && text.charCodeAt(start) === 0x30) start++;
  if (point !== -1) {
    while (text.charCodeAt(end - 1) === 0x30) end--;
    if (end - 1 === point) end = point;
  }
  const magnitude = text.slice(start, end);
  return negative && magnitude !== '0' ? `-${magnitude}` : magnitude;
}

/** Order of two canonical decimals. */
export function compareCanonicalDecimals(a: string, b: string): number {
  if (a === b) return 0;
  const aNegative = a.charCodeAt(0) === 0x2d;
  const bNegative = b.charCodeAt(0) === 0x2d;
  if (aNegative !== bNegative) return aNegative ? -1 : 1;
  return aNegative ? -compareMagnitudes(a, b, 1) : compareMagnitudes(a, b, 0);
}

function compareMagnitudes(a: string, b: string, start: number): number {
  const integers = integerEnd(a) - integerEnd(b);
  if (integers !== 0) return integers;
  // As many digits before the point: from here on numbers sort as text does.
  for (let at = start; at < a.length && at < b.length; at++) {
    const difference = a.charCodeAt(at) - b.charCodeAt(at);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function integerEnd(text: string): number {
  const point = text.indexOf('.');
  return point === -1 ? text.length : point;
}

/** The digits at another scale, rounded half away from zero when there are fewer. */
function digitsAt(number: ScaledNumber, scale: number): bigint {
  if (scale >= number.scale) return number.digits * 10n ** BigInt(scale - number.scale);
  const divisor = 10n ** BigInt(number.scale - scale);
  const half = number.digits < 0n ? -divisor / 2n : divisor / 2n;
  return (number.digits + half) / divisor;
}
