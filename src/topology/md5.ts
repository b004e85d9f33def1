/**
 * The first 32 bits of an MD5 digest, as MySQL computes them:
 * `CONV(SUBSTRING(MD5(text), 1, 8), 16, 10)`. Shard keys are short, so that one block of 64 bytes is
 * the rule; for those this is several times faster than crossing into node:crypto (see
 * bench/micro/routing.ts). RFC 1321; not used for secrecy.
 */

/** Sines of RFC 1321, section 3.4: floor(2^32 × |sin(i + 1)|). */
const SINES = Int32Array.from(
  { length: 64 },
  (_, i) => Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1))) | 0,
);
const ROTATIONS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;

const words = new Int32Array(16);
const state = new Int32Array(4);

/** `text` is a latin1 ("binary") string: each character is one byte. */
export function md5Prefix(text: string): number {
  state[0] = 0x67452301;
  state[1] = 0xefcdab89 | 0;
  state[2] = 0x98badcfe | 0;
  state[3] = 0x10325476;
  const { length } = text;
  let at = 0;
  for (; at + 64 <= length; at += 64) {
    words.fill(0);
    for (let i = 0; i < 64; i++) putByte(i, text.charCodeAt(at + i));
    mixBlock();
  }
  words.fill(0);
  const rest = length - at;
  for (let i = 0; i < rest; i++) putByte(i, text.charCodeAt(at + i));
  putByte(rest, 0x80);
  if (rest >= 56) {
    mixBlock();
    words.fill(0);
  }
  words[14] = length << 3;
  words[15] = length >>> 29;
  mixBlock();
  return swapBytes(state[0] as number);
}

function putByte(index: number, byte: number): void {
  words[index >> 2] = (words[index >> 2] as number) | (byte << ((index & 3) << 3));
}

function mixBlock(): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  for (let i = 0; i < 64; i++) {
    let mixed: number;
    let word: number;
    if (i < 16) {
      mixed = d ^ (b & (c ^ d));
      word = i;
    } else if (i < 32) {
      mixed = c ^ (d & (b ^ c));
      word = (5 * i + 1) & 15;
    } else if (i < 48) {
      mixed = b ^ c ^ d;
      word = (3 * i + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * i) & 15;
    }
    const sum = (a + mixed + (SINES[i] as number) + (words[word] as number)) | 0;
    const bits = (ROTATIONS[i >> 4] as readonly number[])[i & 3] as number;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << bits) | (sum >>> (32 - bits)))) | 0;
  }
  state[0] = ((state[0] as number) + a) | 0;
  state[1] = ((state[1] as number) + b) | 0;
  state[2] = ((state[2] as number) + c) | 0;
  state[3] = ((state[3] as number) + d) | 0;
}

/** The digest writes the lowest byte first; its first 32 bits as a number read the highest first. */
function swapBytes(word: number): number {
  return (
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
  );
}
