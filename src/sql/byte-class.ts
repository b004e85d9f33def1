/** What a byte can begin outside of quotes and comments. */
export const ByteClass = {
  /** Control characters and others that only an error can begin with. */
  none: 0,
  space: 1,
  /** Letters, `_`, `$` and every byte of a multi-byte character. */
  word: 2,
  digit: 3,
  quote: 4,
  /** `<` `>` `=` `!`, which combine with each other. */
  comparison: 5,
  /** Operators and brackets that never combine. */
  single: 6,
  /** What needs a look at the next bytes. */
  other: 7,
} as const;

/** The class of every byte value. */
export const byteClasses: Uint8Array = buildClasses();

/** 1 for what may stand inside of an unquoted identifier. */
const identifierBytes: Uint8Array = flagsOf((byte) => /[\w$\x80-\xff]/.test(byte));

/** 1 for white space and for what may begin or end a comment. */
const blankStarts: Uint8Array = flagsOf((byte) => /[\t-\r #\-/*]/.test(byte));

export function isIdentifierByte(byte: number): boolean {
  return identifierBytes[byte] === 1;
}

export function mayBeBlank(byte: number): boolean {
  return blankStarts[byte] === 1;
}

export function isSpaceByte(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function flagsOf(test: (byte: string) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (test(String.fromCharCode(byte)) ? 1 : 0));
}

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const character = String.fromCharCode(byte);
    if (isSpaceByte(byte)) classes[byte] = ByteClass.space;
    else if (byte >= 0x80 || /[A-Za-z_$]/.test(character)) classes[byte] = ByteClass.word;
    else if (/[0-9]/.test(character)) classes[byte] = ByteClass.digit;
    else if (/['"`]/.test(character)) classes[byte] = ByteClass.quote;
    else if (/[<>=!]/.test(character)) classes[byte] = ByteClass.comparison;
    else if (/[()[\]{},;+*/%^~]/.test(character)) classes[byte] = ByteClass.single;
    else if (/[-.@&|:?\\]/.test(character)) classes[byte] = ByteClass.other;
  }
  return classes;
}
