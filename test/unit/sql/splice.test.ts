import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unquoteString } from '../../../src/sql/literal-value.ts';
import { applySplices, quoteBytes, quoteIdentifier, quoteString } from '../../../src/sql/splice.ts';
import { Tokenizer, TokenKind } from '../../../src/sql/tokenizer.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

test('splices replace, insert and delete', () => {
  const text = Buffer.from('SELECT a FROM t');

  expect(
    applySplices(text, [
      { start: 7, end: 8, replacement: 'ä, b' },
      { start: 8, end: 8, replacement: Buffer.from(', c') },
      { start: 8, end: 13, replacement: '' },
    ]).toString(),
  ).toBe('SELECT ä, b, c t');
});

test.each([
  [
    'overlap',
    [
      { start: 0, end: 3, replacement: '' },
      { start: 2, end: 4, replacement: '' },
    ],
  ],
  [
    'are not sorted',
    [
      { start: 3, end: 4, replacement: '' },
      { start: 0, end: 1, replacement: '' },
    ],
  ],
  ['leave the text', [{ start: 3, end: 99, replacement: '' }]],
])('splices that %s are a bug of ours', (_name, splices) => {
  expect(() => applySplices(Buffer.from('abcdef'), splices)).toThrow(/invariant/);
});

test('names are quoted so that they come back', () => {
  expect(quoteIdentifier('we`ird')).toBe('`we``ird`');
});

test('a quoted string is one token with the same value under every mode', () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom("'", '"', '\\', '`', '%', '_', 'n', '\n', '\0', 'ä', ';'),
      }),
      fc.boolean(),
      fc.constantFrom(MYSQL, MARIADB),
      (value, noBackslashEscapes, base) => {
        const context = { ...base, noBackslashEscapes };
        const text = Buffer.from(quoteString(value, context));
        const tokenizer = new Tokenizer();
        tokenizer.reset(text, 0, text.length, context);

        expect([tokenizer.next(), tokenizer.end]).toEqual([TokenKind.string, text.length]);
        const span = { start: 0, end: text.length };
        expect(unquoteString(text, span, context).toString()).toBe(value);
      },
    ),
  );
});

test('bytes are quoted as hexadecimal', () => {
  expect(quoteBytes(new Uint8Array([0, 0x27, 0xff]))).toBe("x'0027ff'");
});
