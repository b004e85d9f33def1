/**
 * What the name of a collation says. MySQL 8 tells PAD_ATTRIBUTE in information_schema.COLLATIONS,
 * MariaDB does not; both follow the same naming.
 */

/** Trailing spaces count: `'a' <> 'a '`. */
export function isNoPad(collation: string): boolean {
  return collation === 'binary' || /_nopad_|_0900_/.test(collation);
}

/**
 * Collations whose weight is the text itself as UTF-8 (without trailing spaces when they pad): the
 * order of UTF-8 bytes is that of code points. `latin1_bin` orders by other bytes and is not here.
 */
export function isCodePointOrder(collation: string): boolean {
  return /^(?:utf8mb4|utf8mb3|utf8|ascii)_(?:nopad_|0900_)?bin$/.test(collation);
}

/**
 * Padding collations with more than one level of weights: WEIGHT_STRING puts the levels one after the other
 * (seen on MariaDB 10.11: `'a ' COLLATE utf8mb4_uca1400_as_cs` is 2075 0209 0020 0020 0002 0002), so that the
 * weights of trailing spaces cannot be taken off its end, and equal texts have different weight strings.
 */
export function hasInseparablePad(collation: string): boolean {
  return !isNoPad(collation) && /(?:_as_cs|_as_ci|_ai_cs|_w2|_czech_cs)$/.test(collation);
}

/**
 * False where equal texts can have different weight strings, or weight strings another order than the texts.
 * Found by comparing every collation of MariaDB 10.11 and MySQL 9.7 (test/integration/topology-collations.test.ts):
 * `'a' = 'ä'` under MariaDB's uca1400 …_nopad_ai_cs, `'a\0' = 'a'` under tis620_thai_nopad_ci, and MySQL's
 * gb18030_chinese_ci sorts 'ı' before 'o'; the weights disagree.
 */
export function hasFaithfulWeights(collation: string): boolean {
  if (hasInseparablePad(collation)) return false;
  return !/_uca1400_.*_?ai_cs$|^tis620_thai_|^gb18030_chinese_ci$/.test(collation);
}

/** The text without the pad at its end. `weights` and `pad` are latin1 strings. */
export function withoutPad(weights: string, pad: string): string {
  if (pad === '') return weights;
  let end = weights.length;
  while (end >= pad.length && weights.endsWith(pad, end)) end -= pad.length;
  return weights.slice(0, end);
}
