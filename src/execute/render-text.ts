import { notSupported } from '../errors/proxy-error.ts';
import type { NumberSource, SessionValue, TextEdit } from '../plan/plan.ts';
import { applySplices, quoteIdentifier, quoteString } from '../sql/splice.ts';
import type { Span } from '../sql/statement.ts';
import { textPosition } from '../sql/template-position.ts';
import type { BoundStatement, SessionFacts } from './execution.ts';

/** A change to the statement's text: `replacement` takes the place of the bytes from `start` to `end`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly replacement: Buffer | string;
}

/** The largest LIMIT that MySQL takes. */
const LIMIT_MAX = 18_446_744_073_709_551_615n;

/** The text a shard gets: the client's own bytes with the plan's edits. */
export function renderText(
  bound: BoundStatement,
  edits: readonly TextEdit[],
  facts: SessionFacts,
): Buffer {
  if (edits.length === 0) return bound.text;
  return applySplices(bound.text, splicesOf(bound, edits, facts));
}

/** The edits as splices of the text at hand, in order of their place. */
export function splicesOf(
  bound: BoundStatement,
  edits: readonly TextEdit[],
  facts: SessionFacts,
): Splice[] {
  return edits
    .map((edit) => ({
      ...textSpan(edit.span, bound),
      replacement: replacement(edit, bound, facts),
    }))
    .sort((a, b) => a.start - b.start || a.end - b.end);
}

/** A span of the template as a span of the statement's text. */
export function textSpan(span: Span, bound: BoundStatement): Span {
  return {
    start: textPosition(span.start, bound.literals),
    end: textPosition(span.end, bound.literals),
  };
}

/** LIMIT and OFFSET are never negative, and may be larger than any number of rows. */
export function readNumber(source: NumberSource, bound: BoundStatement): bigint {
  switch (source.kind) {
    case 'constant':
      return BigInt(source.value);
    case 'literal':
      return BigInt(literalText(source.slot, bound));
    case 'parameter':
      throw notSupported('parameters in LIMIT over several shards');
  }
}

function literalText(slot: number, bound: BoundStatement): string {
  const { starts, ends } = bound.literals;
  return bound.text.toString('latin1', starts[slot], ends[slot]);
}

function replacement(edit: TextEdit, bound: BoundStatement, facts: SessionFacts): Buffer | string {
  switch (edit.kind) {
    case 'replace':
      return edit.text;
    case 'session-value': {
      const value = sessionValue(edit.value, facts, bound);
      return edit.alias === undefined ? value : `${value} AS ${quoteIdentifier(edit.alias)}`;
    }
    case 'compose':
      // Bytes, not text: the client's own need not be UTF-8.
      return Buffer.concat(
        edit.parts.map((part) =>
          typeof part === 'string' ? Buffer.from(part) : copiedText(part, bound),
        ),
      );
    case 'limit': {
      const offset = edit.offset === undefined ? 0n : readNumber(edit.offset, bound);
      const wanted = readNumber(edit.count, bound) + offset;
      return `LIMIT ${wanted > LIMIT_MAX ? LIMIT_MAX : wanted}`;
    }
  }
}

function copiedText(span: Span, bound: BoundStatement): Buffer {
  const { start, end } = textSpan(span, bound);
  return bound.text.subarray(start, end);
}

function sessionValue(value: SessionValue, facts: SessionFacts, bound: BoundStatement): string {
  switch (value) {
    case 'last_insert_id':
      return String(facts.lastInsertId);
    case 'row_count':
      return String(facts.rowCount);
    case 'found_rows':
      return String(facts.foundRows);
    case 'connection_id':
      return String(facts.connectionId);
    case 'user':
      return quoteString(facts.user, bound.lexical);
    case 'current_user':
      return quoteString(facts.currentUser, bound.lexical);
  }
}
