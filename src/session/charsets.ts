import type { KeyText } from '../plan/route.ts';
import type { LexicalContext } from '../sql/statement.ts';

/** Character set and default collation that a login's collation id stands for. */
export interface ClientCharset {
  readonly charset: string;
  readonly collation: string;
}

/**
 * Character sets whose characters may end in bytes that look like ASCII (a quote, a backslash): our
 * tokenizer, and any that reads bytes, would misread such text.
 */
const UNSAFE_CHARSETS = new Set(['swe7', 'gbk', 'sjis', 'cp932', 'big5', 'gb18030']);

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
]);

/** utf8mb4_…_ci from 224 on, in both servers. */
const UTF8MB4_BY_LANGUAGE = (
  'unicode icelandic latvian romanian slovenian polish estonian spanish swedish turkish czech danish ' +
  'lithuanian slovak spanish2 roman persian esperanto hungarian sinhala german2 croatian unicode_520 ' +
  'vietnamese'
).split(' ');
const FIRST_BY_LANGUAGE = 224;

/** Of MySQL since 8.0. */
const OF_MYSQL: ReadonlyMap<number, ClientCharset> = new Map([
  [255, { charset: 'utf8mb4', collation: 'utf8mb4_0900_ai_ci' }],
  [278, { charset: 'utf8mb4', collation: 'utf8mb4_0900_as_cs' }],
  [305, { charset: 'utf8mb4', collation: 'utf8mb4_0900_as_ci' }],
  [309, { charset: 'utf8mb4', collation: 'utf8mb4_0900_bin' }],
]);

const DEFAULT: ClientCharset = { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };

/**
 * What a login's collation id asks for; undefined when text in it could not be read. Ids of
 * utf8mb4 collations that only some servers have become the one that all have, as servers do with
 * ids they do not know; the client sends SET NAMES when it cares.
 */
export function charsetOfLogin(
  collationId: number,
  flavour: LexicalContext['flavour'],
): ClientCharset | undefined {
  const language = UTF8MB4_BY_LANGUAGE[collationId - FIRST_BY_LANGUAGE];
  if (language !== undefined) return { charset: 'utf8mb4', collation: `utf8mb4_${language}_ci` };
  const known =
    BY_ID.get(collationId) ?? (flavour === 'mysql' ? OF_MYSQL.get(collationId) : undefined);
  if (known !== undefined) return known;
  const isUtf8mb3 = collationId >= 192 && collationId <= 223;
  if (isUtf8mb3) return { charset: 'utf8mb3', collation: 'utf8mb3_general_ci' };
  const isUtf8mb4 = collationId >= 224 || collationId === 0;
  return isUtf8mb4 ? DEFAULT : undefined;
}

/** Of the sets in which the proxy's own text is the same bytes as in UTF-8; undefined for all others. */
export function utf8CollationId(collation: string): number | undefined {
  const language = /^utf8mb4_(\w+)_ci$/.exec(collation)?.[1] ?? '';
  const at = UTF8MB4_BY_LANGUAGE.indexOf(language);
  if (at !== -1) return FIRST_BY_LANGUAGE + at;
  for (const [id, known] of [...BY_ID, ...OF_MYSQL]) {
    if (known.collation === collation && readsAsUtf8(known.charset)) return id;
  }
  return undefined;
}

export function isSafeCharset(charset: string): boolean {
  return !UNSAFE_CHARSETS.has(charset.toLowerCase());
}

/** Sets with ASCII in the places of ASCII, of which some characters beyond it are elsewhere or missing. */
const ASCII_CHARSETS = new Set(
  (
    'ascii latin1 latin2 latin5 latin7 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 koi8r koi8u ' +
    'greek hebrew macce macroman ujis eucjpms euckr gb2312 tis620'
  ).split(' '),
);

/**
 * Which string literals mean to the server what they mean to us, on their way from the client's
 * set to the connection's; undefined: all of them.
 */
export function keyTextOf(client: string, connection: string): KeyText | undefined {
  if (connection === 'binary') return client === 'binary' ? 'binary' : 'none';
  let found: KeyText | undefined;
  for (const charset of [client, connection]) {
    if (charset === 'utf8mb4') continue;
    if (charset === 'utf8mb3' || charset === 'utf8') found ??= 'utf8mb3';
    else if (ASCII_CHARSETS.has(charset)) found = 'ascii';
    else return 'none';
  }
  return found;
}

/** False when bytes beyond ASCII would have to be converted before a shard key can be taken from them. */
export function readsAsUtf8(charset: string): boolean {
  return UTF8_CHARSETS.has(charset.toLowerCase());
}
