/** Decimals of a column definition: the number of digits is not fixed (NOT_FIXED_DEC). */
const DECIMALS_NOT_FIXED = 31;
/** DBL_DIG: from this many digits before or behind the point on MySQL writes an exponent. */
const POINT_DISTANCE_MAX = 15;
/** toFixed of larger numbers gives an exponent. */
const FIXED_MAX = 1e21;

/**
 * A DOUBLE as MySQL's text protocol prints it (my_gcvt, my_fcvt): the shortest digits that read
 * back as the same number, 1e15 without a plus sign; or the fixed decimals of DOUBLE(m,d).
 */
export function printDouble(value: number, decimals: number): string {
  if (decimals < DECIMALS_NOT_FIXED) return printFixed(value, decimals);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '', exponentText = ''] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  // Where the point stands, counted from the first digit: 12.5 has it at 2.
  const point = exponent + 1;
  const plain =
    point > -POINT_DISTANCE_MAX && (point <= POINT_DISTANCE_MAX || digits.length > point);
  if (!plain) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${sign}${digits[0]}${fraction}e${exponent}`;
  }
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  if (digits.length <= point) return sign + digits.padEnd(point, '0');
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

function printFixed(value: number, decimals: number): string {
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (magnitude >= FIXED_MAX) {
    return `${sign}${printHuge(magnitude)}${decimals > 0 ? `.${'0'.repeat(decimals)}` : ''}`;
  }
  const rounded = magnitude.toFixed(decimals);
  // toFixed rounds an exact tie up; MySQL's dtoa rounds it to the even digit.
  const exact = magnitude.toFixed(100);
  const tail = exact.slice(exact.indexOf('.') + 1 + decimals);
  if (!/^50*$/.test(tail)) return sign + rounded;
  const down = decimals === 0 ? exact.slice(0, exact.indexOf('.')) : exact.slice(0, -tail.length);
  return sign + (Number(down.at(-1)) % 2 === 0 ? down : rounded);
}

/** The shortest digits, filled up with zeros: dtoa does not print digits beyond those it needs. */
function printHuge(magnitude: number): string {
  const [mantissa = '', exponent = ''] = magnitude.toExponential().split('e');
  const [first = '', fraction = ''] = mantissa.split('.');
  return (first + fraction).padEnd(Number(exponent) + 1, '0');
}
