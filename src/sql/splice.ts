import { assert } from '../runtime/assert.ts';
import type { EscapeRule } from './literal-value.ts';
import type { Span } from './statement.ts';

export interface Splice extends Span {
  readonly replacement: Buffer | string;
}

/** Replaces parts of a text. The splices are sorted and do not overlap. */
export function applySplices(text: Buffer, splices: readonly Splice[]): Buffer {
  const parts: Buffer[] = [];
  let copied = 0;
  for (const { start, end, replacement } of splices) {
    assert(
      start >= copied && end >= start && end <= text.length,
      'splices are sorted and disjoint',
    );
    parts.push(text.subarray(copied, start));
    parts.push(typeof replacement === 'string' ? Buffer.from(replacement, 'utf8') : replacement);
    copied = end;
  }
  parts.push(text.subarray(copied));
  return Buffer.concat(parts);
}

export function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string literal for a server that reads text by `rule`. */
export function quoteString(value: string, rule: EscapeRule): string {
  const doubled = value.replaceAll("'", "''");
  return rule.noBackslashEscapes ? `'${doubled}'` : `'${doubled.replaceAll('\\', '\\\\')}'`;
}

/** Bytes of any content as a literal that no sql_mode and no character set can misread. */
export function quoteBytes(value: Uint8Array): string {
  return `x'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`;
}
