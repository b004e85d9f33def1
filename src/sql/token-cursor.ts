import { NotParsed } from './parse-error.ts';
import { isReserved } from './reserved-words.ts';
import type { Expression, LexicalContext, NestedBody, QueryExpression, Span } from './statement.ts';
import { readTokens, type TokenList } from './token-list.ts';
import { LAST_LITERAL_KIND, TokenKind } from './tokenizer.ts';

/** How deep brackets, subqueries and operators may nest before a statement is not parsed. */
const DEPTH_MAX = 200;

const CLOSING: ReadonlySet<string> = new Set([')']);

/** The rules that call each other through all files of the grammar. */
export interface Grammar {
  readonly expression: (cursor: TokenCursor) => Expression;
  /** What binds tighter than comparisons, IN, LIKE and BETWEEN: MySQL's `bit_expr`. */
  readonly operand: (cursor: TokenCursor) => Expression;
  readonly query: (cursor: TokenCursor) => QueryExpression;
  /** The rest of a query whose first part, in brackets, is read already. */
  readonly queryAfter: (cursor: TokenCursor, first: NestedBody) => QueryExpression;
}

/** Walks the tokens of one statement. A rule either moves past what it read or throws NotParsed. */
export class TokenCursor {
  readonly text: Buffer;
  readonly context: LexicalContext;
  readonly tokens: TokenList;
  /** Slots of literals whose value shapes the statement: aliases, ordinals, lengths of types. */
  readonly shapingSlots: number[] = [];
  /** An operand that is read already and waits for the operators after it. */
  operandRead: Expression | undefined;
  index = 0;

  readonly #grammar: Grammar;
  #depth = 0;

  constructor(text: Buffer, context: LexicalContext, grammar: Grammar) {
    this.text = text;
    this.context = context;
    this.tokens = readTokens(text, context);
    this.#grammar = grammar;
  }

  get mariadb(): boolean {
    return this.context.flavour === 'mariadb';
  }

  get kind(): TokenKind {
    return this.kindAt(0);
  }

  /** The current keyword in upper case, or operator; empty for names and literals. */
  get word(): string {
    return this.tokens.words[this.index] ?? '';
  }

  get start(): number {
    return this.tokens.starts[this.index] as number;
  }

  get end(): number {
    return this.tokens.ends[this.index] as number;
  }

  get ordinal(): number {
    return this.tokens.ordinals[this.index] as number;
  }

  /** Where the token before the current one ends. */
  get previousEnd(): number {
    return this.index === 0 ? 0 : (this.tokens.ends[this.index - 1] as number);
  }

  kindAt(ahead: number): TokenKind {
    const index = Math.min(this.index + ahead, this.tokens.count - 1);
    // The token list stores what the tokenizer gave it.
    return this.tokens.kinds[index] as TokenKind;
  }

  wordAt(ahead: number): string {
    return this.tokens.words[this.index + ahead] ?? '';
  }

  is(word: string): boolean {
    return this.word === word;
  }

  isOneOf(words: ReadonlySet<string>): boolean {
    return words.has(this.word);
  }

  /** The current and the next words are these. */
  isSequence(...words: readonly string[]): boolean {
    return words.every((word, ahead) => this.wordAt(ahead) === word);
  }

  advance(): void {
    if (this.index < this.tokens.count - 1) this.index++;
  }

  accept(word: string): boolean {
    if (this.word !== word) return false;
    this.index++;
    return true;
  }

  acceptSequence(...words: readonly string[]): boolean {
    if (!this.isSequence(...words)) return false;
    this.index += words.length;
    return true;
  }

  /** The accepted word, or undefined. */
  acceptOneOf(words: ReadonlySet<string>): string | undefined {
    const word = this.word;
    if (!words.has(word)) return undefined;
    this.index++;
    return word;
  }

  expect(word: string): void {
    if (!this.accept(word)) this.fail(`'${word}'`);
  }

  expectOneOf(words: ReadonlySet<string>): string {
    return this.acceptOneOf(words) ?? this.fail(`one of ${[...words].join(', ')}`);
  }

  isLiteral(): boolean {
    const kind = this.kind;
    return kind >= 1 && kind <= LAST_LITERAL_KIND;
  }

  isString(): boolean {
    return this.kind === TokenKind.string || this.kind === TokenKind.nationalString;
  }

  /** A name, or a word that this server lets stand for a name. */
  isIdentifier(): boolean {
    const kind = this.kind;
    if (kind === TokenKind.name || kind === TokenKind.quotedName) return true;
    return kind === TokenKind.word && !isReserved(this.word, this.context);
  }

  identifier(what = 'a name'): string {
    if (!this.isIdentifier()) this.fail(what);
    return this.anyName();
  }

  /** Reads the current token as a name, reserved or not. */
  anyName(): string {
    const name = this.nameText();
    this.index++;
    return name;
  }

  nameText(): string {
    const { text, start, end } = this;
    if (this.kind !== TokenKind.quotedName) return text.toString('utf8', start, end);
    const quote = String.fromCharCode(text[start] as number);
    return text.toString('utf8', start + 1, end - 1).replaceAll(quote + quote, quote);
  }

  atEnd(): boolean {
    return this.kind === TokenKind.end;
  }

  expression(): Expression {
    return this.#grammar.expression(this);
  }

  operand(): Expression {
    return this.#grammar.operand(this);
  }

  query(): QueryExpression {
    return this.#grammar.query(this);
  }

  queryAfter(first: NestedBody): QueryExpression {
    return this.#grammar.queryAfter(this, first);
  }

  /** Expressions separated by commas, at least one. */
  expressionList(): Expression[] {
    return this.list(() => this.expression());
  }

  list<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (this.accept(',')) items.push(item());
    return items;
  }

  /** From `start` to the end of the token before the current one. */
  spanFrom(start: number): Span {
    return { start, end: this.previousEnd };
  }

  /** Runs a rule one level deeper; the caller's stack is what this protects. */
  nested<Node>(rule: () => Node): Node {
    if (++this.#depth > DEPTH_MAX) this.fail(`at most ${DEPTH_MAX} levels of nesting`);
    const node = rule();
    this.#depth--;
    return node;
  }

  /** Moves past a bracketed part that stays text; the current token is its opening bracket. */
  skipParentheses(): Span {
    const start = this.start;
    this.expect('(');
    this.skipUntil(CLOSING);
    this.expect(')');
    return this.spanFrom(start);
  }

  /**
   * Moves past text that is delimited but not understood, up to one of `stops` outside of brackets.
   * Its literals count as shaping the statement.
   */
  skipUntil(stops: ReadonlySet<string>): Span {
    const start = this.start;
    let open = 0;
    while (open > 0 || !stops.has(this.word)) {
      const { kind } = this;
      if (kind === TokenKind.end || kind === TokenKind.error) {
        this.fail(`one of ${[...stops].join(' ')}`);
      }
      if (this.is('(')) open++;
      else if (this.is(')')) open--;
      if (open < 0) this.fail(`one of ${[...stops].join(' ')}`);
      if (this.isLiteral()) this.shapingSlots.push(this.ordinal);
      this.index++;
    }
    return this.spanFrom(start);
  }

  fail(expected: string): never {
    throw new NotParsed(this.start, expected, this.#found());
  }

  /** Literals are not quoted: the message may reach a log. */
  #found(): string {
    if (this.kind === TokenKind.end) return 'the end';
    if (this.kind === TokenKind.error) return 'text that no statement may hold';
    if (this.isLiteral()) return 'a literal';
    return `'${this.text.toString('utf8', this.start, Math.min(this.end, this.start + 64))}'`;
  }
}
