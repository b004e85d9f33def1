/** Character set and default collation that a login's collation id stands for. */
export interface ClientCharset {
  readonly charset: string;
  readonly collation: string;
}

/**
 * Character sets whose characters may end in bytes that look like ASCII (a quote, a backslash): our
 * tokenizer, and any that reads bytes, would misread such text.
 */
const UNSAFE_CHARSETS = new Set(['gbk', 'sjis', 'cp932', 'big5', 'gb18030']);

/** Sets in which a literal's bytes are the same as in UTF-8. */
const UTF8_CHARSETS = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii']);

// information_schema.COLLATIONS. MariaDB and MySQL agree on these ids.
const BY_ID: ReadonlyMap<number, ClientCharset> = new Map([
  [5, { charset: 'latin1', collation: 'latin1_german1_ci' }],
  [8, { charset: 'latin1', collation: 'latin1_swedish_ci' }],
  [11, { charset: 'ascii', collation: 'ascii_general_ci' }],
  [15, { charset: 'latin1', collation: 'latin1_danish_ci' }],
  [31, { charset: 'latin1', collation: 'latin1_german2_ci' }],
  [33, { charset: 'utf8mb3', collation: 'utf8mb3_general_ci' }],
  [45, { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' }],
  [46, { charset: 'utf8mb4', collation: 'utf8mb4_bin' }],
  [47, { charset: 'latin1', collation: 'latin1_bin' }],
  [48, { charset: 'latin1', collation: 'latin1_general_ci' }],
  [49, { charset: 'latin1', collation: 'latin1_general_cs' }],
  [63, { charset: 'binary', collation: 'binary' }],
  [65, { charset: 'ascii', collation: 'ascii_bin' }],
  [83, { charset: 'utf8mb3', collation: 'utf8mb3_bin' }],
  [94, { charset: 'latin1', collation: 'latin1_spanish_ci' }],
  [192, { charset: 'utf8mb3', collation: 'utf8mb3_unicode_ci' }],
  [224, { charset: 'utf8mb4', collation: 'utf8mb4_unicode_ci' }],
]);

const DEFAULT: ClientCharset = { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };

/**
 * What a login's collation id asks for; undefined when text in it could not be read. Ids of
 * utf8mb4 collations that only some servers have become the one that all have, as servers do with
 * ids they do not know; the client sends SET NAMES when it cares.
 */
export function charsetOfLogin(collationId: number): ClientCharset | undefined {
  const known = BY_ID.get(collationId);
  if (known !== undefined) return known;
  const isUtf8mb3 = collationId >= 192 && collationId <= 223;
  if (isUtf8mb3) return { charset: 'utf8mb3', collation: 'utf8mb3_general_ci' };
  const isUtf8mb4 = collationId >= 224 || collationId === 0;
  return isUtf8mb4 ? DEFAULT : undefined;
}

export function isSafeCharset(charset: string): boolean {
  return !UNSAFE_CHARSETS.has(charset.toLowerCase());
}

/** False when bytes beyond ASCII would have to be converted before a shard key can be taken from them. */
export function readsAsUtf8(charset: string): boolean {
  return UTF8_CHARSETS.has(charset.toLowerCase());
}
