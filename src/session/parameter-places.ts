import type { LexicalContext } from '../sql/statement.ts';
import { readTokens, type TokenList } from '../sql/token-list.ts';
import { TokenKind } from '../sql/tokenizer.ts';

/**
 * What a parameter stands for. `value` is a whole value of a comparison, a list, an assignment or a row,
 * where 5 and 5e0 are the same; `limit` takes nothing but plain digits; a literal in the place of
 * `position` would be read as the number of a column, which a parameter is not.
 */
export type ParameterUse = 'value' | 'limit' | 'position' | 'other';

/** Where a `?` stands in a text. */
export interface ParameterPlace {
  readonly start: number;
  readonly end: number;
  readonly use: ParameterUse;
}

const CLAUSES = new Set(
  'SELECT FROM WHERE HAVING SET ON UNION FOR INTO WINDOW VALUES VALUE BY LIMIT'.split(' '),
);
const BEFORE_VALUES = new Set(['=', '<', '>', '<=', '>=', '<>', '!=', '<=>', 'BETWEEN', 'AND']);
/** Behind these a value is no longer the whole operand. */
const OPERATORS_AFTER = new Set(['DIV', 'MOD', 'COLLATE', 'XOR']);

interface Level {
  clause: string;
  /** Holds the members of IN (…) or the values of a row. */
  readonly list: boolean;
}

export function parameterPlaces(text: Buffer, lexical: LexicalContext): readonly ParameterPlace[] {
  const tokens = readTokens(text, lexical);
  const places: ParameterPlace[] = [];
  if (tokens.parameterCount === 0) return places;
  const levels: Level[] = [{ clause: '', list: false }];
  for (let at = 0; at < tokens.count; at++) {
    const level = levels.at(-1) as Level;
    const word = tokens.words[at] ?? '';
    if (tokens.kinds[at] === TokenKind.parameter) {
      const start = tokens.starts[at] as number;
      places.push({ start, end: tokens.ends[at] as number, use: useAt(tokens, at, level) });
    } else if (word === '(') {
      const before = tokens.words[at - 1] ?? '';
      const isRow = level.clause === 'VALUES' || level.clause === 'VALUE';
      levels.push({ clause: '', list: before === 'IN' || isRow });
    } else if (word === ')') {
      if (levels.length > 1) levels.pop();
    } else if (tokens.kinds[at] === TokenKind.word && CLAUSES.has(word)) {
      level.clause = word;
    }
  }
  return places;
}

function useAt(tokens: TokenList, at: number, level: Level): ParameterUse {
  if (level.clause === 'LIMIT') return 'limit';
  const before = tokens.words[at - 1] ?? '';
  if (level.clause === 'BY' && (before === 'BY' || before === ',')) return 'position';
  const isMember = level.list && (before === '(' || before === ',');
  if (!isMember && !BEFORE_VALUES.has(before)) return 'other';
  const after = tokens.words[at + 1] ?? '';
  const kind = tokens.kinds[at + 1];
  const isWhole =
    kind === TokenKind.end ||
    (kind === TokenKind.word && !OPERATORS_AFTER.has(after)) ||
    after === ')' ||
    after === ',' ||
    after === ';';
  return isWhole ? 'value' : 'other';
}
