import type { LexicalContext, Span } from './statement.ts';

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The letters that mean another character behind a backslash. */
const ESCAPES: Readonly<Record<number, number>> = {
  48: 0x00, // \0
  98: 0x08, // \b
  110: 0x0a, // \n
  114: 0x0d, // \r
  116: 0x09, // \t
  90: 0x1a, // \Z
};

export type EscapeRule = Pick<LexicalContext, 'noBackslashEscapes'>;

/** The value of digits: a number while that is exact, else a bigint. */
export function integerValue(text: Buffer, span: Span): number | bigint {
  const digits = text.toString('latin1', span.start, span.end);
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

/** A decimal or float as written, with a digit on both sides of the point: `.5` gives `0.5`. */
export function decimalText(text: Buffer, span: Span): string {
  const source = text.toString('latin1', span.start, span.end);
  return source.replace(/^\./, '0.').replace(/\.(?=$|[eE])/, '');
}

/**
 * The bytes of one string token, quotes and escapes undone. `N'…'` may be given with its letter.
 * `\%` and `\_` keep the backslash, as LIKE patterns need it.
 */
export function unquoteString(text: Buffer, span: Span, rule: EscapeRule): Buffer {
  let at = span.start;
  if (text[at] !== QUOTE && text[at] !== DOUBLE_QUOTE) at++;
  const quote = text[at] as number;
  at++;
  const end = span.end - 1;
  const out = Buffer.allocUnsafe(Math.max(0, end - at));
  let length = 0;
  while (at < end) {
    const byte = text[at++] as number;
    if (byte === quote) {
      out[length++] = byte;
      at++;
    } else if (byte === BACKSLASH && !rule.noBackslashEscapes) {
      const escaped = text[at++] as number;
      if (escaped === 0x25 || escaped === 0x5f) out[length++] = BACKSLASH;
      out[length++] = ESCAPES[escaped] ?? escaped;
    } else {
      out[length++] = byte;
    }
  }
  return out.subarray(0, length);
}

/** The bytes of `x'4D'` and `0x4D`; an odd digit out leads with a zero. */
export function hexBytes(text: Buffer, span: Span): Buffer {
  const digits = digitsOf(text, span);
  return Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
}

/** The bytes of `b'101'` and `0b101`, as many as the digits need. */
export function bitBytes(text: Buffer, span: Span): Buffer {
  const digits = digitsOf(text, span);
  const size = Math.ceil(digits.length / 8);
  const padded = digits.padStart(size * 8, '0');
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) {
    bytes[at] = Number.parseInt(padded.slice(at * 8, at * 8 + 8), 2);
  }
  return bytes;
}

/** Both forms begin with two signs; the quoted one ends with a quote. */
function digitsOf(text: Buffer, span: Span): string {
  const quoted = text[span.start + 1] === QUOTE;
  return text.toString('latin1', span.start + 2, quoted ? span.end - 1 : span.end);
}
