import { ByteClass, byteClasses, isIdentifierByte, isSpaceByte, mayBeBlank } from './byte-class.ts';
import type { LexicalContext } from './statement.ts';

/** Kinds of literal tokens. The numbers are the mark bytes of a fingerprint's template. */
export const LiteralToken = {
  integer: 1,
  decimal: 2,
  float: 3,
  string: 4,
  nationalString: 5,
  hex: 6,
  bit: 7,
} as const;

export const TokenKind = {
  end: 0,
  ...LiteralToken,
  /** An unquoted word that may be a keyword. */
  word: 8,
  /** An unquoted word that cannot be a keyword, because a dot touches it. */
  name: 9,
  quotedName: 10,
  /** `@x`, `@'x'` and the host part of an account, as one token. */
  userVariable: 11,
  /** The two signs `@@`; the words of the variable follow. */
  systemVariable: 12,
  parameter: 13,
  operator: 14,
  /** `\N`, which MariaDB reads as NULL. */
  nullEscape: 15,
  /** Text that no statement may contain; the tokenizer does not go past it. */
  error: 16,
} as const;

export type TokenKind = (typeof TokenKind)[keyof typeof TokenKind];

export const LAST_LITERAL_KIND = TokenKind.bit;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const BANG = 0x21;
const DOUBLE_QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const LESS = 0x3c;
const EQUALS = 0x3d;
const GREATER = 0x3e;
const AT = 0x40;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
const QUOTE = 0x27;
const STAR = 0x2a;
const DELETE = 0x7f;

/**
 * MySQL's lexer over the client's bytes. `next` moves on by one token and says where it lies in
 * `kind`, `start` and `end`; nothing is allocated. The fingerprint and the parser both stand on it,
 * so that they count the same literals.
 */
export class Tokenizer {
  kind: TokenKind = TokenKind.end;
  start = 0;
  end = 0;
  // The last optimizer hint comment that was passed, slash to slash; -1 when there was none.
  hintStart = -1;
  hintEnd = -1;

  #text: Uint8Array = new Uint8Array(0);
  #position = 0;
  #limit = 0;
  #ansiQuotes = false;
  #escapes = true;
  #mariadb = false;
  #serverVersion = 0;
  /** Inside a versioned comment whose content is code. */
  #inCodeComment = false;
  /** The next dot separates names even when a digit follows it. */
  #dotSeparates = false;
  /** A dot was read and an identifier byte touches it. */
  #nameFollows = false;

  reset(text: Uint8Array, start: number, end: number, context: LexicalContext): void {
    this.#text = text;
    this.#position = start;
    this.#limit = end;
    this.#ansiQuotes = context.ansiQuotes;
    this.#escapes = !context.noBackslashEscapes;
    this.#mariadb = context.flavour === 'mariadb';
    this.#serverVersion = context.serverVersion;
    this.#inCodeComment = false;
    this.#dotSeparates = false;
    this.#nameFollows = false;
    this.hintStart = -1;
    this.hintEnd = -1;
  }

  next(): TokenKind {
    if (this.#nameFollows) {
      this.#nameFollows = false;
      this.start = this.#position;
      return this.#nameToken();
    }
    if (!this.#toToken()) return this.#errorToken();
    const at = this.#position;
    this.start = at;
    if (at >= this.#limit) {
      if (this.#inCodeComment) return this.#errorToken();
      return this.#finish(TokenKind.end, at);
    }
    const byte = this.#text[at] as number;
    switch (byteClasses[byte]) {
      case ByteClass.word:
        return this.#word(byte);
      case ByteClass.digit:
        return this.#number(byte);
      case ByteClass.single:
        return this.#finish(TokenKind.operator, at + 1);
      case ByteClass.quote:
        if (byte === BACKTICK || (byte === DOUBLE_QUOTE && this.#ansiQuotes)) {
          return this.#quotedName(byte, at + 1);
        }
        return this.#string(TokenKind.string, byte, at + 1);
      case ByteClass.comparison:
        return this.#comparison(byte);
      default:
        return this.#other(byte);
    }
  }

  #finish(kind: TokenKind, end: number): TokenKind {
    this.kind = kind;
    this.end = end;
    this.#position = end;
    return kind;
  }

  #errorToken(): TokenKind {
    this.kind = TokenKind.error;
    this.start = Math.min(this.#position, this.#limit);
    this.end = this.#limit;
    return TokenKind.error;
  }

  /** The byte at an absolute position; 0 past the end, as the server's buffer is terminated. */
  #byte(position: number): number {
    return position < this.#limit ? (this.#text[position] as number) : 0;
  }

  #word(first: number): TokenKind {
    const at = this.#position;
    if (this.#byte(at + 1) === QUOTE) {
      const letter = first | 0x20;
      if (letter === 0x78) return this.#quotedDigits(TokenKind.hex, at + 2);
      if (letter === 0x62) return this.#quotedDigits(TokenKind.bit, at + 2);
      if (letter === 0x6e) return this.#string(TokenKind.nationalString, QUOTE, at + 2);
    }
    return this.#wordFrom(at + 1);
  }

  /** The rest of a word whose first bytes up to `position` are read already. */
  #wordFrom(position: number): TokenKind {
    const end = this.#skipIdentifier(position);
    if (this.#byte(end) === DOT && isIdentifierByte(this.#byte(end + 1))) {
      this.#dotSeparates = true;
      return this.#finish(TokenKind.name, end);
    }
    return this.#finish(TokenKind.word, end);
  }

  /** A name right after a dot: any identifier bytes, digits first too. */
  #nameToken(): TokenKind {
    const end = this.#skipIdentifier(this.#position);
    this.#dotSeparates = this.#byte(end) === DOT && isIdentifierByte(this.#byte(end + 1));
    return this.#finish(TokenKind.name, end);
  }

  #skipIdentifier(position: number): number {
    const text = this.#text;
    const limit = this.#limit;
    let end = position;
    while (end < limit && isIdentifierByte(text[end] as number)) end++;
    return end;
  }

  #number(first: number): TokenKind {
    const at = this.#position;
    if (first === ZERO) {
      const marker = this.#byte(at + 1);
      // Lower case only: 0X1F and 0B01 are identifiers.
      if (marker === 0x78 || marker === 0x62) {
        const end = marker === 0x78 ? this.#skipHexDigits(at + 2) : this.#skipBits(at + 2);
        if (end === at + 2 || isIdentifierByte(this.#byte(end))) return this.#wordFrom(end);
        return this.#finish(marker === 0x78 ? TokenKind.hex : TokenKind.bit, end);
      }
    }
    const end = this.#skipDigits(at + 1);
    const byte = this.#byte(end);
    if (byte === DOT) return this.#fraction(end + 1);
    if (!isIdentifierByte(byte)) return this.#finish(TokenKind.integer, end);
    if ((byte | 0x20) === 0x65) {
      const exponentEnd = this.#skipExponent(end + 1);
      if (exponentEnd > 0) return this.#finish(TokenKind.float, exponentEnd);
    }
    return this.#wordFrom(end);
  }

  /** The digits after the decimal point and an exponent. */
  #fraction(position: number): TokenKind {
    const end = this.#skipDigits(position);
    if ((this.#byte(end) | 0x20) !== 0x65) return this.#finish(TokenKind.decimal, end);
    const exponentEnd = this.#skipExponent(end + 1);
    if (exponentEnd < 0) return this.#errorToken();
    return this.#finish(TokenKind.float, exponentEnd);
  }

  /** The end of the digits after an E; -1 when there are none. */
  #skipExponent(position: number): number {
    const byte = this.#byte(position);
    const digits = byte === PLUS || byte === MINUS ? position + 1 : position;
    const end = this.#skipDigits(digits);
    return end === digits ? -1 : end;
  }

  #skipDigits(position: number): number {
    let end = position;
    while (byteClasses[this.#byte(end)] === ByteClass.digit) end++;
    return end;
  }

  #skipBits(position: number): number {
    let end = position;
    while ((this.#byte(end) & 0xfe) === ZERO) end++;
    return end;
  }

  #skipHexDigits(position: number): number {
    let end = position;
    while (isHexDigit(this.#byte(end))) end++;
    return end;
  }

  #quotedDigits(kind: TokenKind, position: number): TokenKind {
    const end = kind === TokenKind.hex ? this.#skipHexDigits(position) : this.#skipBits(position);
    if (this.#byte(end) !== QUOTE) return this.#errorToken();
    if (kind === TokenKind.hex && (end - position) % 2 === 1) return this.#errorToken();
    return this.#finish(kind, end + 1);
  }

  #string(kind: TokenKind, quote: number, position: number): TokenKind {
    const end = this.#stringEnd(quote, position);
    return end < 0 ? this.#errorToken() : this.#finish(kind, end);
  }

  /** Just past the closing quote; -1 when it is missing. */
  #stringEnd(quote: number, position: number): number {
    const text = this.#text;
    const limit = this.#limit;
    const escapes = this.#escapes;
    let at = position;
    while (at < limit) {
      const byte = text[at] as number;
      if (byte === quote) {
        if (this.#byte(at + 1) !== quote) return at + 1;
        at++;
      } else if (byte === BACKSLASH && escapes) {
        at++;
      }
      at++;
    }
    return -1;
  }

  #quotedName(quote: number, position: number): TokenKind {
    const end = this.#quotedNameEnd(quote, position);
    return end < 0 ? this.#errorToken() : this.#finish(TokenKind.quotedName, end);
  }

  /** As a string's, but a backslash is an ordinary byte. */
  #quotedNameEnd(quote: number, position: number): number {
    const text = this.#text;
    const limit = this.#limit;
    let at = position;
    while (at < limit) {
      if (text[at] === quote) {
        if (this.#byte(at + 1) !== quote) return at + 1;
        at++;
      }
      at++;
    }
    return -1;
  }

  /**
   * `<` `>` `=` `!` and what they combine to. MySQL loses a sign of pairs like `=!`, where MariaDB
   * reads two operators.
   */
  #comparison(first: number): TokenKind {
    const at = this.#position;
    const second = this.#byte(at + 1);
    if (byteClasses[second] !== ByteClass.comparison) {
      return this.#finish(TokenKind.operator, at + 1);
    }
    const third = this.#byte(at + 2);
    if (first === LESS && second === EQUALS && third === GREATER) {
      return this.#finish(TokenKind.operator, at + 3);
    }
    const pair =
      (second === EQUALS && (first === LESS || first === GREATER || first === BANG)) ||
      (second === GREATER && (first === LESS || first === GREATER)) ||
      (first === LESS && second === LESS);
    const swallows =
      first === LESS && byteClasses[third] === ByteClass.comparison && third !== LESS;
    if (!this.#mariadb && (!pair || swallows)) return this.#errorToken();
    return this.#finish(TokenKind.operator, pair ? at + 2 : at + 1);
  }

  #other(byte: number): TokenKind {
    const at = this.#position;
    const second = this.#byte(at + 1);
    switch (byte) {
      case DOT:
        return this.#dot();
      case AT:
        return this.#variable();
      case 0x26: // &
      case 0x7c: // |
        return this.#finish(TokenKind.operator, second === byte ? at + 2 : at + 1);
      case 0x3a: // :
        return this.#finish(TokenKind.operator, second === EQUALS ? at + 2 : at + 1);
      case MINUS:
        if (second !== GREATER || this.#mariadb) return this.#finish(TokenKind.operator, at + 1);
        return this.#finish(TokenKind.operator, this.#byte(at + 2) === GREATER ? at + 3 : at + 2);
      case 0x3f: // ?
        if (isIdentifierByte(second)) return this.#errorToken();
        return this.#finish(TokenKind.parameter, at + 1);
      case BACKSLASH:
        if (second !== 0x4e || !this.#mariadb) return this.#errorToken();
        return this.#finish(TokenKind.nullEscape, at + 2);
      default:
        return this.#errorToken();
    }
  }

  #dot(): TokenKind {
    const at = this.#position;
    const second = this.#byte(at + 1);
    if (!this.#dotSeparates && byteClasses[second] === ByteClass.digit) {
      return this.#fraction(at + 1);
    }
    this.#dotSeparates = false;
    this.#nameFollows = isIdentifierByte(second);
    return this.#finish(TokenKind.operator, at + 1);
  }

  #variable(): TokenKind {
    const at = this.#position;
    const second = this.#byte(at + 1);
    if (second === AT) {
      const third = this.#byte(at + 2);
      if (third !== BACKTICK && !isIdentifierByte(third)) return this.#errorToken();
      return this.#finish(TokenKind.systemVariable, at + 2);
    }
    let end = at + 1;
    if (second === BACKTICK || (second === DOUBLE_QUOTE && this.#ansiQuotes)) {
      end = this.#quotedNameEnd(second, at + 2);
    } else if (second === QUOTE || second === DOUBLE_QUOTE) {
      end = this.#stringEnd(second, at + 2);
    } else {
      while (isIdentifierByte(this.#byte(end)) || this.#byte(end) === DOT) end++;
      if (end === at + 1) end = -1;
    }
    return end < 0 ? this.#errorToken() : this.#finish(TokenKind.userVariable, end);
  }

  /** Moves to the next token. One blank before it is what most texts have. */
  #toToken(): boolean {
    const at = this.#position;
    if (at + 1 < this.#limit) {
      const byte = this.#text[at] as number;
      if (!mayBeBlank(byte)) return true;
      if (byte === SPACE && !mayBeBlank(this.#text[at + 1] as number)) {
        this.#position = at + 1;
        return true;
      }
    }
    return this.#skipSpace();
  }

  /** Passes over white space and comments. False when a comment is not closed. */
  #skipSpace(): boolean {
    const text = this.#text;
    const limit = this.#limit;
    while (this.#position < limit) {
      const byte = text[this.#position] as number;
      if (isSpaceByte(byte)) {
        this.#position++;
      } else if (byte === 0x23 || (byte === MINUS && this.#isDashComment())) {
        this.#skipLine();
      } else if (byte === SLASH && this.#byte(this.#position + 1) === STAR) {
        if (!this.#skipComment()) return false;
      } else if (byte === STAR && this.#inCodeComment && this.#byte(this.#position + 1) === SLASH) {
        this.#inCodeComment = false;
        this.#position += 2;
      } else {
        break;
      }
    }
    return true;
  }

  /** Two dashes start a comment only before a blank, a control character or the end. */
  #isDashComment(): boolean {
    if (this.#byte(this.#position + 1) !== MINUS) return false;
    const third = this.#byte(this.#position + 2);
    return third <= 0x20 || third === DELETE;
  }

  #skipLine(): void {
    const newline = this.#text.indexOf(NEWLINE, this.#position);
    this.#position = newline < 0 || newline >= this.#limit ? this.#limit : newline + 1;
  }

  #skipComment(): boolean {
    const at = this.#position;
    const third = this.#byte(at + 2);
    if (third === BANG) return this.#versionedComment(at + 3, false);
    if (third === 0x4d && this.#mariadb && this.#byte(at + 3) === BANG) {
      return this.#versionedComment(at + 4, true);
    }
    const end = this.#commentEnd(at + 2, false);
    if (end < 0) return false;
    if (third === PLUS) {
      this.hintStart = at;
      this.hintEnd = end;
    }
    this.#position = end;
    return true;
  }

  /** `position` is past the exclamation mark. The content is code, or is skipped as a comment. */
  #versionedComment(position: number, own: boolean): boolean {
    if (this.#inCodeComment) return false;
    let digits = 0;
    let version = 0;
    while (digits < 6 && byteClasses[this.#byte(position + digits)] === ByteClass.digit) {
      version = version * 10 + this.#byte(position + digits) - ZERO;
      digits++;
    }
    if (digits < 5) {
      this.#inCodeComment = true;
      this.#position = position;
      return true;
    }
    // MariaDB leaves to MySQL what is marked with versions of MySQL that it never had.
    const foreign = this.#mariadb && !own && version >= 50700 && version <= 99999;
    if (version <= this.#serverVersion && !foreign) {
      this.#inCodeComment = true;
      this.#position = position + digits;
      return true;
    }
    const end = this.#commentEnd(position, true);
    if (end < 0) return false;
    this.#position = end;
    return true;
  }

  /** Past the closing of a comment; a skipped versioned comment may hold one level of comments. */
  #commentEnd(position: number, nested: boolean): number {
    let at = position;
    while (at < this.#limit) {
      const byte = this.#text[at];
      if (byte === STAR && this.#byte(at + 1) === SLASH) return at + 2;
      if (nested && byte === SLASH && this.#byte(at + 1) === STAR) {
        at = this.#commentEnd(at + 2, false);
        if (at < 0) return -1;
      } else {
        at++;
      }
    }
    return -1;
  }
}

function isHexDigit(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= ZERO && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
}
