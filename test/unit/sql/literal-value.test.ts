import { expect, test } from 'vitest';
import {
  bitBytes,
  decimalText,
  hexBytes,
  integerValue,
  unquoteString,
} from '../../../src/sql/literal-value.ts';

const whole = (source: string) => {
  const text = Buffer.from(source);
  return [text, { start: 0, end: text.length }] as const;
};

test.each<[string, number | bigint]>([
  ['0', 0],
  ['007', 7],
  ['9007199254740991', 9007199254740991],
  ['9007199254740993', 9007199254740993n],
  ['18446744073709551615', 18446744073709551615n],
])('the integer %s is exact', (source, expected) => {
  expect(integerValue(...whole(source))).toBe(expected);
});

test.each([
  ['.5', '0.5'],
  ['1.', '1'],
  ['1.e3', '1e3'],
  ['3.14159265358979323846', '3.14159265358979323846'],
])('the decimal %s reads %s', (source, expected) => {
  expect(decimalText(...whole(source))).toBe(expected);
});

test.each([
  ["'abc'", false, 'abc'],
  ["'it''s'", false, "it's"],
  ['"a""b\'c"', false, 'a"b\'c'],
  ["'a\\'b'", false, "a'b"],
  ["'\\0\\b\\n\\r\\t\\Z\\\\'", false, '\0\b\n\r\t\x1a\\'],
  ["'\\%\\_'", false, '\\%\\_'],
  ["'\\x'", false, 'x'],
  ["'a\\nb'", true, 'a\\nb'],
  ["N'ä'", false, 'ä'],
  ["''", false, ''],
])('the string %s (no escapes: %s) is %j', (source, noBackslashEscapes, expected) => {
  expect(unquoteString(...whole(source), { noBackslashEscapes }).toString()).toBe(expected);
});

test.each([
  ["x'4D4e'", '4d4e'],
  ['0x1F', '1f'],
  ['0x1', '01'],
  ["x''", ''],
])('the bytes of %s are %s', (source, expected) => {
  expect(hexBytes(...whole(source)).toString('hex')).toBe(expected);
});

test.each([
  ["b'1'", '01'],
  ['0b100000001', '0101'],
  ["b''", ''],
])('the bits of %s are %s', (source, expected) => {
  expect(bitBytes(...whole(source)).toString('hex')).toBe(expected);
});
