import { isCodePointOrder, isNoPad } from './collation.ts';
import type { RoutingCaches } from './routing-caches.ts';
import type { KeyType, RoutingKey } from './strategy.ts';

/** Compares two keys of one column, neither NULL, as MySQL orders them. */
export type KeyOrder = (a: RoutingKey, b: RoutingKey) => number;

/** The order of a key type. `pad` is what the collation of text pads with when it compares. */
export function keyOrder(type: KeyType, pad: string): KeyOrder {
  switch (type.kind) {
    case 'integer':
      return (a, b) => compareIntegers(a as number | bigint, b as number | bigint);
    case 'decimal':
      return (a, b) => compareDecimals(String(a), String(b));
    case 'text':
      return pad === '' ? compareText : (a, b) => comparePadded(String(a), String(b), pad);
    case 'date':
    case 'datetime':
    case 'binary':
      return compareText;
  }
}

/** What keys of the type are padded with when they are compared; empty for none. */
export function padOfKeys(type: KeyType, caches: RoutingCaches): string {
  if (type.kind !== 'text' || isNoPad(type.collation)) return '';
  if (isCodePointOrder(type.collation)) return ' ';
  return caches.padOf?.(type.collation) ?? '';
}

function compareIntegers(a: number | bigint, b: number | bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareText(a: RoutingKey, b: RoutingKey): number {
  return (a as string) < (b as string) ? -1 : a === b ? 0 : 1;
}

/** Canonical decimals: no leading zeros but one before the point, no trailing ones behind it. */
export function compareDecimals(a: string, b: string): number {
  const isNegative = a.startsWith('-');
  if (isNegative !== b.startsWith('-')) return isNegative ? -1 : 1;
  const [left, right] = isNegative ? [b.slice(1), a.slice(1)] : [a, b];
  const lengths = integerLength(left) - integerLength(right);
  if (lengths !== 0) return lengths;
  return left < right ? -1 : left === right ? 0 : 1;
}

function integerLength(decimal: string): number {
  const point = decimal.indexOf('.');
  return point < 0 ? decimal.length : point;
}

/** PAD SPACE: the shorter text goes on with spaces, so `'a\t' < 'a'`. */
function comparePadded(a: string, b: string, pad: string): number {
  if (a === b) return 0;
  if (a.startsWith(b)) return compareWithPad(a, b.length, pad);
  if (b.startsWith(a)) return -compareWithPad(b, a.length, pad);
  return a < b ? -1 : 1;
}

function compareWithPad(text: string, from: number, pad: string): number {
  for (let at = from; at < text.length; at++) {
    const difference = text.charCodeAt(at) - pad.charCodeAt((at - from) % pad.length);
    if (difference !== 0) return difference;
  }
  return 0;
}
