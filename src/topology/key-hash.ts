import type { RoutingKey } from './strategy.ts';

/**
 * The hash that places keys: CRC-32 of the key's canonical text, then mixed, since CRC-32 alone maps near keys to
 * regular patterns. Every server can compute it with built-in functions (`sqlHash`). MD5, which others use for this,
 * is no longer built in since MySQL 9.6 (docs/decisions/0002).
 */

const CRC_POLYNOMIAL = 0xedb88320; // ISO 3309, as in zlib and in MySQL's CRC32().
const FIRST_FACTOR = 0x85ebca6b;
const SECOND_FACTOR = 0xc2b2ae35;
const SHIFT = 15;

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC_POLYNOMIAL : crc >>> 1;
  return crc;
});

/** Where a key stands on every ring: 0 to 2^32 - 1. NULL is at 0. */
export function positionOfKey(key: RoutingKey): number {
  if (key === null) return 0;
  if (typeof key === 'number') return mix(crcOfInteger(key));
  const text = typeof key === 'string' ? key : String(key);
  let crc = -1;
  for (let i = 0; i < text.length; i++) crc = step(crc, text.charCodeAt(i));
  return mix(~crc);
}

const digits = new Uint8Array(20);

/** Of the decimal text of a safe integer, without making the text. */
function crcOfInteger(value: number): number {
  let rest = value < 0 ? -value : value;
  let count = 0;
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 10)) digits[count++] = 48 + (rest % 10);
  do {
    digits[count++] = 48 + (rest % 10);
    rest = (rest / 10) | 0;
  } while (rest > 0);
  let crc = value < 0 ? step(-1, 45) : -1;
  while (count > 0) crc = step(crc, digits[--count] as number);
  return ~crc;
}

function step(crc: number, byte: number): number {
  return (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
}

function mix(crc: number): number {
  const mixed = Math.imul(crc, FIRST_FACTOR);
  return Math.imul(mixed ^ (mixed >>> SHIFT), SECOND_FACTOR) >>> 0;
}

/** The same in SQL, of the key's text. No product reaches 2^64. */
export function sqlHash(text: string): string {
  const mixed = `((CRC32(${text}) * ${FIRST_FACTOR}) & 4294967295)`;
  return `(((${mixed} ^ (${mixed} >> ${SHIFT})) * ${SECOND_FACTOR}) & 4294967295)`;
}
