import type { LexicalContext, Span } from '../sql/statement.ts';
import { readTokens } from '../sql/token-list.ts';
import { TokenKind } from '../sql/tokenizer.ts';

/** One token of a schema statement. */
export interface SchemaWord {
  /** The keyword in upper case, or the operator; empty for names and literals. */
  readonly word: string;
  /** Lower case, without quotes: what the token is if a name stands there. */
  readonly name: string;
}

/** A unique key as a schema statement writes it. */
export interface WrittenKey {
  /** Lower case; whole columns only: prefixes and expressions are none. */
  readonly columns: readonly string[];
}

const KEY_WORDS = new Set(['KEY', 'INDEX', 'FULLTEXT', 'SPATIAL', 'FOREIGN', 'CHECK', 'PERIOD']);
const PARTITIONED = new Set(['BY', 'LINEAR']);
const ALTERATIONS = new Set(['MODIFY', 'CHANGE']);

/** The tokens of the statement: comments are gone, and versioned comments are what they stand for. */
export function schemaWords(text: Buffer, span: Span, lexical: LexicalContext): SchemaWord[] {
  const own = text.subarray(span.start, span.end);
  const tokens = readTokens(own, lexical);
  return Array.from({ length: tokens.count }, (_, index) => {
    const source = own.toString('utf8', tokens.starts[index], tokens.ends[index]);
    const kind = tokens.kinds[index];
    const isQuoted = kind === TokenKind.quotedName;
    const quote = source.slice(0, 1);
    const name = isQuoted ? source.slice(1, -1).replaceAll(quote + quote, quote) : source;
    return { word: tokens.words[index] ?? '', name: name.toLowerCase() };
  }).filter((one) => one.word !== '' || one.name !== '');
}

/** The unique keys that CREATE TABLE, ALTER TABLE or CREATE INDEX makes. */
export function writtenUniqueKeys(words: readonly SchemaWord[]): WrittenKey[] {
  const [verb] = words;
  const indexAt = words.findIndex(({ word }) => word === 'INDEX');
  const bracketAt = words.findIndex(({ word }) => word === '(');
  if (verb?.word === 'CREATE' && indexAt >= 0 && (bracketAt < 0 || indexAt < bracketAt)) {
    const isUnique = words.slice(0, indexAt).some(({ word }) => word === 'UNIQUE');
    return isUnique ? [keyOf(words)] : [];
  }
  if (verb?.word === 'CREATE') return definitions(inBrackets(words)).flatMap(ofDefinition);
  return definitions(words).flatMap((item) => ofAlteration(item));
}

/** Items at the top level, which commas part. */
export function definitions(words: readonly SchemaWord[]): SchemaWord[][] {
  const items: SchemaWord[][] = [[]];
  let depth = 0;
  for (const one of words) {
    if (one.word === '(') depth++;
    else if (one.word === ')') depth--;
    if (one.word === ',' && depth === 0) items.push([]);
    else items.at(-1)?.push(one);
  }
  return items;
}

/** The words between the first opening bracket and the one that closes it. */
function inBrackets(words: readonly SchemaWord[]): SchemaWord[] {
  const start = words.findIndex(({ word }) => word === '(');
  if (start < 0) return [];
  let depth = 0;
  for (let at = start; at < words.length; at++) {
    if (words[at]?.word === '(') depth++;
    else if (words[at]?.word === ')' && --depth === 0) return words.slice(start + 1, at);
  }
  return words.slice(start + 1);
}

function ofAlteration(item: readonly SchemaWord[]): WrittenKey[] {
  const at = item.findIndex(({ word }) => word === 'ADD' || ALTERATIONS.has(word));
  const verb = item[at]?.word;
  if (verb === undefined) return [];
  let rest = skipExistence(item.slice(at + 1));
  if (rest[0]?.word === 'COLUMN') rest = skipExistence(rest.slice(1));
  if (verb === 'CHANGE') return ofDefinition(rest.slice(1));
  return rest[0]?.word === '('
    ? definitions(inBrackets(rest)).flatMap(ofDefinition)
    : ofDefinition(rest);
}

/** A column or key as it stands in the brackets of CREATE TABLE. */
function ofDefinition(item: readonly SchemaWord[]): WrittenKey[] {
  let rest = item;
  if (rest[0]?.word === 'CONSTRAINT') {
    const isNamed = !['UNIQUE', 'PRIMARY', 'FOREIGN', 'CHECK'].includes(rest[1]?.word ?? '');
    rest = rest.slice(isNamed ? 2 : 1);
  }
  const [first] = rest;
  if (first === undefined || KEY_WORDS.has(first.word)) return [];
  if (first.word === 'UNIQUE' || first.word === 'PRIMARY') return [keyOf(rest)];
  const outside = outsideBrackets(rest);
  const isKey = outside.some(
    // PARTITION BY [LINEAR] KEY may follow the last column of ALTER TABLE.
    ({ word }, at) =>
      word === 'UNIQUE' || (word === 'KEY' && !PARTITIONED.has(outside[at - 1]?.word ?? '')),
  );
  return isKey ? [{ columns: [first.name] }] : [];
}

function keyOf(words: readonly SchemaWord[]): WrittenKey {
  const parts = definitions(inBrackets(words));
  const columns = parts.filter((part) => part[0]?.word !== '(' && part[1]?.word !== '(');
  return { columns: columns.flatMap((part) => part[0]?.name ?? []) };
}

export function outsideBrackets(words: readonly SchemaWord[]): SchemaWord[] {
  let depth = 0;
  return words.filter(({ word }) => {
    if (word === ')') depth--;
    const isOutside = depth === 0;
    if (word === '(') depth++;
    return isOutside;
  });
}

export function skipExistence(words: readonly SchemaWord[]): readonly SchemaWord[] {
  if (words[0]?.word !== 'IF') return words;
  return words.slice(words[1]?.word === 'NOT' ? 3 : 2);
}
