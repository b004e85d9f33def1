import type { LiteralSpans } from './statement.ts';

/**
 * Where a place of the template lies in the text. `base` is where the statement starts in the
 * buffer that `literals` was taken from. The place before a mark is the literal's start, the place
 * after it the literal's end.
 */
export function textPosition(templatePosition: number, literals: LiteralSpans, base = 0): number {
  let shift = 0;
  for (let slot = 0; slot < literals.count; slot++) {
    const start = literals.starts[slot] as number;
    if (start - base - shift >= templatePosition) break;
    shift += (literals.ends[slot] as number) - start - 1;
  }
  return templatePosition + shift + base;
}

/** Where a place of the text lies in the template. Inside of a literal it is the place of its mark. */
export function templatePosition(textPosition: number, literals: LiteralSpans, base = 0): number {
  let shift = 0;
  for (let slot = 0; slot < literals.count; slot++) {
    const start = literals.starts[slot] as number;
    const end = literals.ends[slot] as number;
    if (start >= textPosition) break;
    if (end > textPosition) return start - base - shift;
    shift += end - start - 1;
  }
  return textPosition - base - shift;
}
