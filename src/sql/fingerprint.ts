import type { LexicalContext, LiteralSpans } from './statement.ts';
import { LAST_LITERAL_KIND, Tokenizer, TokenKind } from './tokenizer.ts';

/** A statement with more literals is not worth a place in the plan cache. */
export const LITERALS_MAX = 512;

const SEMICOLON = 0x3b;
/** Bytes below are no white space; outside of literals they could be taken for marks. */
const FIRST_SPACE = 0x09;
const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x85ebca6b;
const WORD_BYTES = 4;

const PROGRAM_HEADS = new Set(['CREATE', 'ALTER', 'BEGIN']);
const PROGRAM_OBJECTS = new Set(['PROCEDURE', 'FUNCTION', 'TRIGGER', 'EVENT', 'PACKAGE']);
const OTHER_OBJECTS = new Set(
  'TABLE VIEW INDEX DATABASE SCHEMA USER ROLE SERVER SEQUENCE TABLESPACE LOGFILE'.split(' '),
);
const LONGEST_OBJECT = 10;

class LiteralScratch implements LiteralSpans {
  count = 0;
  starts = new Int32Array(LITERALS_MAX);
  ends = new Int32Array(LITERALS_MAX);
  types = new Uint8Array(LITERALS_MAX);

  add(start: number, end: number, type: number): void {
    if (this.count === this.starts.length) this.#resize(this.count * 2);
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.types[this.count] = type;
    this.count++;
  }

  /** A bulk insert must not leave its megabytes behind. */
  clear(): void {
    this.count = 0;
    if (this.starts.length > LITERALS_MAX) this.#resize(LITERALS_MAX);
  }

  #resize(length: number): void {
    const kept = Math.min(this.count, length);
    const { starts, ends, types } = this;
    this.starts = new Int32Array(length);
    this.ends = new Int32Array(length);
    this.types = new Uint8Array(length);
    this.starts.set(starts.subarray(0, kept));
    this.ends.set(ends.subarray(0, kept));
    this.types.set(types.subarray(0, kept));
  }
}

/**
 * Makes of a statement its *template*: the same bytes, but each literal token is one mark byte that
 * tells its type. Statements with equal templates have equal plans. White space and comments stay,
 * so that a place in the template is a place in the text, moved by the literals before it.
 *
 * One fingerprinter serves one thread: `scan` overwrites what the one before found.
 */
export class Fingerprinter {
  /** The first `templateLength` bytes are the template; the rest is left over from before. */
  template: Uint8Array = new Uint8Array(1024);
  /** The same memory, four bytes at a time, for the hash. */
  #templateWords = new Int32Array(this.template.buffer);
  templateLength = 0;
  /** Of the template and the lexical context. Equal hashes still need equal bytes. */
  hash = 0;
  /** Starts and ends are positions in the scanned buffer. */
  readonly literals: LiteralSpans;
  /**
   * False when the template does not stand for the statement: too many literals, an unclosed quote,
   * or control bytes that look like marks. Such a statement is parsed each time.
   */
  cacheable = true;
  /** Where the first statement ends: at its semicolon, or where the text ends. */
  statementEnd = 0;
  /** Where the next statement starts; -1 when only space, comments or semicolons follow. */
  nextStatement = -1;

  readonly #tokenizer = new Tokenizer();
  readonly #literals = new LiteralScratch();
  #out = 0;

  constructor() {
    this.literals = this.#literals;
  }

  scan(text: Uint8Array, start: number, end: number, context: LexicalContext): void {
    const tokenizer = this.#tokenizer;
    const literals = this.#literals;
    tokenizer.reset(text, start, end, context);
    this.#begin(end - start);
    let copied = start;
    let tokens = 0;
    let program = false;
    for (;;) {
      const kind = tokenizer.next();
      if (kind === TokenKind.end || kind === TokenKind.error) break;
      if (kind <= LAST_LITERAL_KIND) {
        if (literals.count === LITERALS_MAX) this.cacheable = false;
        this.#copy(text, copied, tokenizer.start);
        this.#literal(kind);
        copied = tokenizer.end;
      } else if (kind === TokenKind.operator) {
        if (text[tokenizer.start] === SEMICOLON && !program) break;
      } else if (tokens < 12 && kind === TokenKind.word) {
        program = this.#beginsProgram(text, program, tokens);
      }
      tokens++;
    }
    this.statementEnd = tokenizer.kind === TokenKind.end ? end : tokenizer.start;
    if (tokenizer.kind === TokenKind.error) {
      this.cacheable = false;
      this.statementEnd = end;
    }
    this.#copy(text, copied, this.statementEnd);
    this.templateLength = this.#out;
    this.hash = this.#templateHash(lexicalKey(context));
    if (tokenizer.kind === TokenKind.operator) this.#findNext(text);
  }

  #begin(length: number): void {
    if (this.template.length < length + WORD_BYTES) {
      // Room to grow, and a whole number of words.
      this.template = new Uint8Array(Math.ceil(length / WORD_BYTES + 1) * 2 * WORD_BYTES);
      this.#templateWords = new Int32Array(this.template.buffer);
    }
    this.#out = 0;
    this.#literals.clear();
    this.cacheable = true;
    this.nextStatement = -1;
    this.#head = '';
  }

  #copy(text: Uint8Array, start: number, end: number): void {
    const template = this.template;
    let out = this.#out;
    let lowest = 0;
    for (let at = start; at < end; at++) {
      const byte = text[at] as number;
      lowest |= byte - FIRST_SPACE;
      template[out++] = byte;
    }
    if (lowest < 0) this.cacheable = false;
    this.#out = out;
  }

  #literal(kind: number): void {
    this.#literals.add(this.#tokenizer.start, this.#tokenizer.end, kind);
    this.template[this.#out++] = kind;
  }

  #templateHash(key: number): number {
    const length = this.#out;
    const words = this.#templateWords;
    // What an earlier statement left behind the end must not count.
    for (let at = length; at % WORD_BYTES !== 0; at++) this.template[at] = 0;
    let hash = HASH_SEED ^ key;
    for (let at = 0; at * WORD_BYTES < length; at++) {
      hash = Math.imul(hash ^ (words[at] as number), HASH_PRIME);
      hash ^= hash >>> 15;
    }
    return (hash ^ length) >>> 0;
  }

  /** The first word, when it can begin a stored program. */
  #head = '';

  /**
   * The body of CREATE PROCEDURE, FUNCTION, TRIGGER and EVENT holds semicolons of its own, and so
   * does BEGIN NOT ATOMIC: such text is one statement to its end.
   */
  #beginsProgram(text: Uint8Array, program: boolean, tokens: number): boolean {
    if (program) return true;
    const { start, end } = this.#tokenizer;
    if (tokens > 0 && (this.#head === '' || end - start > LONGEST_OBJECT)) return false;
    // Most statements begin with another letter and are spared the making of a word.
    if (tokens === 0 && !isHeadLetter(text[start] as number)) return false;
    const word = Buffer.from(text.buffer, text.byteOffset + start, end - start)
      .toString('latin1')
      .toUpperCase();
    if (tokens === 0) {
      this.#head = PROGRAM_HEADS.has(word) ? word : '';
      return false;
    }
    if (this.#head === 'BEGIN') return tokens === 1 && word === 'NOT';
    // The first word that names a kind of object decides; what follows may be called like one.
    if (OTHER_OBJECTS.has(word)) this.#head = '';
    return PROGRAM_OBJECTS.has(word);
  }

  #findNext(text: Uint8Array): void {
    const tokenizer = this.#tokenizer;
    for (;;) {
      const after = tokenizer.end;
      const kind = tokenizer.next();
      if (kind === TokenKind.end) return;
      if (kind !== TokenKind.operator || text[tokenizer.start] !== SEMICOLON) {
        this.nextStatement = after;
        return;
      }
    }
  }
}

/** The bits of a context that change tokens, trees or plans, as one number for cache keys. */
export function lexicalKey(context: LexicalContext): number {
  return (
    (context.ansiQuotes ? 1 : 0) |
    (context.noBackslashEscapes ? 2 : 0) |
    (context.pipesAsConcat ? 4 : 0) |
    (context.ignoreSpace ? 8 : 0) |
    (context.highNotPrecedence ? 16 : 0) |
    (context.flavour === 'mariadb' ? 32 : 0) |
    (context.zeroIsValue === true ? 64 : 0) |
    (context.serverVersion << 7)
  );
}

/** A template as people read it in logs: literals are question marks. */
export function printableFingerprint(template: Uint8Array): string {
  const bytes = Buffer.from(template);
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte > 0 && byte <= LAST_LITERAL_KIND) bytes[at] = 0x3f;
  }
  return bytes.toString('utf8');
}

/** A, B or C: ALTER, BEGIN and CREATE. */
function isHeadLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x63;
}
