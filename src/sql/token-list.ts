import type { LexicalContext } from './statement.ts';
import { LAST_LITERAL_KIND, Tokenizer, TokenKind } from './tokenizer.ts';

/** All tokens of a statement, so that the parser may look ahead as far as it needs. */
export interface TokenList {
  /** The last one is `end` or `error`. */
  readonly count: number;
  readonly kinds: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The ordinal among the literal tokens; for parameters the ordinal among the parameters. */
  readonly ordinals: Int32Array;
  /** Keywords in upper case and operators as written; empty for names, literals, variables. */
  readonly words: readonly string[];
  readonly literalCount: number;
  readonly parameterCount: number;
  /** The last optimizer hint comment of the statement, if any. */
  readonly hint: { readonly start: number; readonly end: number } | undefined;
}

const tokenizer = new Tokenizer();
const NOT_ASCII = /[^\0-\x7f]/;

export function readTokens(text: Buffer, context: LexicalContext): TokenList {
  let capacity = Math.max(32, text.length >> 2);
  let kinds = new Uint8Array(capacity);
  let starts = new Int32Array(capacity);
  let ends = new Int32Array(capacity);
  let ordinals = new Int32Array(capacity);
  const words: string[] = [];
  let count = 0;
  let literalCount = 0;
  let parameterCount = 0;
  tokenizer.reset(text, 0, text.length, context);
  for (;;) {
    const kind = tokenizer.next();
    if (count === capacity) {
      capacity *= 2;
      kinds = grown(kinds, new Uint8Array(capacity));
      starts = grown(starts, new Int32Array(capacity));
      ends = grown(ends, new Int32Array(capacity));
      ordinals = grown(ordinals, new Int32Array(capacity));
    }
    kinds[count] = kind;
    starts[count] = tokenizer.start;
    ends[count] = tokenizer.end;
    if (kind >= 1 && kind <= LAST_LITERAL_KIND) ordinals[count] = literalCount++;
    else if (kind === TokenKind.parameter) ordinals[count] = parameterCount++;
    words.push(wordOf(text, kind));
    count++;
    if (kind === TokenKind.end || kind === TokenKind.error) break;
  }
  const { hintStart, hintEnd } = tokenizer;
  const hint = hintStart < 0 ? undefined : { start: hintStart, end: hintEnd };
  return { count, kinds, starts, ends, ordinals, words, literalCount, parameterCount, hint };
}

function wordOf(text: Buffer, kind: TokenKind): string {
  if (kind === TokenKind.operator) return text.toString('latin1', tokenizer.start, tokenizer.end);
  if (kind !== TokenKind.word) return '';
  const word = text.toString('latin1', tokenizer.start, tokenizer.end);
  // Upper-casing other alphabets could make a keyword of what is none.
  return NOT_ASCII.test(word) ? '' : word.toUpperCase();
}

function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
