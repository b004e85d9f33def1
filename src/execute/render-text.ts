import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { NumberSource, SessionValue, TextEdit } from '../plan/plan.ts';
import { applySplices, quoteIdentifier, quoteString, type Splice } from '../sql/splice.ts';
import type { LiteralSpans, Span } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { BoundStatement, SessionFacts } from './execution.ts';

/** The text that one shard gets. */
export interface ShardText {
  readonly shard: ShardId;
  readonly sql: Buffer;
}

/** The largest LIMIT that MySQL takes. */
const LIMIT_MAX = 18_446_744_073_709_551_615n;

/** Servers cut the names that they make themselves. */
const NAME_CHARACTERS_MAX = 255;

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
  const places = new TextPlaces(bound.literals);
  return edits
    .map((edit) => ({
      ...places.span(edit.span),
      replacement: replacement(edit, { bound, facts, places }),
    }))
    .sort((a, b) => a.start - b.start || a.end - b.end);
}

/**
 * Finds template positions in the text as `textPosition` does, but goes on from the last one when
 * the next lies behind it: a long INSERT asks for thousands, in order.
 */
export class TextPlaces {
  readonly #literals: LiteralSpans;
  #last = 0;
  #slot = 0;
  /** What the literals before `#slot` are longer than their marks. */
  #shift = 0;

  constructor(literals: LiteralSpans) {
    this.#literals = literals;
  }

  at(templatePosition: number): number {
    if (templatePosition < this.#last) {
      this.#slot = 0;
      this.#shift = 0;
    }
    this.#last = templatePosition;
    const { count, starts, ends } = this.#literals;
    while (this.#slot < count) {
      const start = starts[this.#slot] as number;
      if (start - this.#shift >= templatePosition) break;
      this.#shift += (ends[this.#slot] as number) - start - 1;
      this.#slot += 1;
    }
    return templatePosition + this.#shift;
  }

  span(span: Span): Span {
    return { start: this.at(span.start), end: this.at(span.end) };
  }
}

/** Servers read longer numbers as decimals, which LIMIT does not take. */
const COUNT_MAX = 2n ** 64n - 1n;

/** LIMIT and OFFSET are never negative, and may be larger than any number of rows. */
export function readNumber(source: NumberSource, bound: BoundStatement): bigint {
  switch (source.kind) {
    case 'constant':
      return BigInt(source.value);
    case 'literal':
      return asCount(literalText(source.slot, bound));
    case 'parameter':
      throw notSupported('parameters in LIMIT over several shards');
  }
}

function asCount(digits: string): bigint {
  const count = BigInt(digits);
  if (count <= COUNT_MAX) return count;
  throw new ProxyError(
    'ER_PARSE_ERROR',
    `You have an error in your SQL syntax: ${digits} is too large a number for LIMIT`,
  );
}

function literalText(slot: number, bound: BoundStatement): string {
  const { starts, ends } = bound.literals;
  return bound.text.toString('latin1', starts[slot], ends[slot]);
}

function replacement(
  edit: TextEdit,
  values: {
    readonly bound: BoundStatement;
    readonly facts: SessionFacts;
    readonly places: TextPlaces;
  },
): Buffer | string {
  const { bound, facts, places } = values;
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
          typeof part === 'string' ? Buffer.from(part) : copiedText(places.span(part), bound),
        ),
      );
    case 'name': {
      const name = copiedText(places.span(edit.of), bound).toString('utf8');
      return ` AS ${quoteIdentifier([...name].slice(0, NAME_CHARACTERS_MAX).join(''))}`;
    }
    case 'limit': {
      const offset = edit.offset === undefined ? 0n : readNumber(edit.offset, bound);
      const wanted = readNumber(edit.count, bound) + offset;
      return `LIMIT ${wanted > LIMIT_MAX ? LIMIT_MAX : wanted}`;
    }
  }
}

function copiedText(span: Span, bound: BoundStatement): Buffer {
  return bound.text.subarray(span.start, span.end);
}

function sessionValue(value: SessionValue, facts: SessionFacts, bound: BoundStatement): string {
  switch (value) {
    // The functions are BIGINT as `|` is. MariaDB makes INT of a small number, cast or not.
    case 'last_insert_id':
      return `(${facts.lastInsertId} | 0)`;
    case 'row_count':
      return `CAST(${facts.rowCount} | 0 AS SIGNED)`;
    case 'found_rows':
      if (facts.foundRows === undefined) {
        throw notSupported('FOUND_ROWS() after that statement: run it once more with COUNT(*)');
      }
      return `CAST(${facts.foundRows} | 0 AS SIGNED)`;
    case 'connection_id':
      return `(${facts.connectionId} | 0)`;
    case 'warning_count':
      return `(${facts.warningCount} | 0)`;
    case 'error_count':
      return `(${facts.errorCount} | 0)`;
    case 'user':
      return quoteString(facts.user, bound.lexical);
    case 'current_user':
      return quoteString(facts.currentUser, bound.lexical);
  }
}
