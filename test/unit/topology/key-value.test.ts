import { expect, test } from 'vitest';
import { type ColumnFacts, keyTypeOf } from '../../../src/topology/key-type.ts';
import {
  type KeyLiteral,
  type KeyResult,
  keyOfBound,
  keyOfEqual,
  keyOfStored,
} from '../../../src/topology/key-value.ts';
import type { RoutingCaches } from '../../../src/topology/routing-caches.ts';
import type { KeyType } from '../../../src/topology/strategy.ts';

// What servers say to all of this is in test/integration/topology-keys.test.ts.

const caches: RoutingCaches = { weightOf: (_, text) => (text === 'known' ? 'KNOWN' : undefined) };
const INT: KeyType = { kind: 'integer', unsigned: false, bytes: 4 };
const UBIGINT: KeyType = { kind: 'integer', unsigned: true, bytes: 8 };
const DECIMAL: KeyType = { kind: 'decimal', precision: 10, scale: 2 };
const DATETIME: KeyType = { kind: 'datetime', fraction: 3 };
const TEXT: KeyType = { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_bin', charsMax: 5 };
const FOLDED: KeyType = { kind: 'text', charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };
const BINARY: KeyType = { kind: 'binary', bytesMax: 4, fixedLength: true };

// By name: bigints do not fit into the titles of tests.
const UBIGINT_MAX = 2n ** 64n - 1n;
const BEYOND_DOUBLES = 2n ** 53n + 1n;

/** 'no-row', 'unknown', the look-up's text, or the key itself. */
function brief(result: KeyResult): unknown {
  if (result.kind === 'key') return result.key;
  return result.kind === 'lookup' && result.lookup.kind === 'weight'
    ? `look up ${result.lookup.text}`
    : result.kind;
}

test.each<[KeyType, KeyLiteral['type'], string, unknown, unknown]>([
  [INT, 'integer', '007', 7, 7],
  [INT, 'integer', '-0', 0, 0],
  [INT, 'decimal', '7.0', 7, 7],
  [INT, 'decimal', '7.5', 'no-row', 'unknown'],
  [INT, 'float', '7e0', 7, 7],
  [INT, 'string', ' 7', 7, 7],
  [INT, 'string', '\t7\n', 7, 7],
  // White space to JavaScript only.
  [INT, 'string', '\u00a07', 'unknown', 'unknown'],
  [INT, 'string', '\ufeff7', 'unknown', 'unknown'],
  [DECIMAL, 'string', '7.5\u3000', 'unknown', 'unknown'],
  [INT, 'string', '7abc', 'unknown', 'unknown'],
  [INT, 'string', '', 'unknown', 'unknown'],
  [INT, 'hex', "x'37'", 'unknown', 'unknown'],
  [INT, 'true', 'TRUE', 1, 1],
  [INT, 'null', 'NULL', 'no-row', null],
  [INT, 'integer', '2147483648', 'no-row', 'unknown'],
  [UBIGINT, 'integer', '18446744073709551615', UBIGINT_MAX, UBIGINT_MAX],
  [UBIGINT, 'integer', '18446744073709551616', 'no-row', 'unknown'],
  [UBIGINT, 'integer', '-1', 'no-row', 'unknown'],
  [UBIGINT, 'string', '9007199254740993', 'unknown', BEYOND_DOUBLES],
  [UBIGINT, 'float', '9007199254740992e0', 'unknown', 'unknown'],
  [DECIMAL, 'decimal', '007.50', '7.5', '7.5'],
  [DECIMAL, 'integer', '7', '7', '7'],
  [DECIMAL, 'decimal', '7.505', 'no-row', 'unknown'],
  [DATETIME, 'string', '2026-01-31', '2026-01-31 00:00:00.000000', '2026-01-31 00:00:00.000000'],
  [
    DATETIME,
    'string',
    '2026-01-31 01:02:03.5',
    '2026-01-31 01:02:03.500000',
    '2026-01-31 01:02:03.500000',
  ],
  [DATETIME, 'string', '2026-01-31 01:02:03.0005', 'unknown', 'unknown'],
  [DATETIME, 'string', '2026-02-29', 'unknown', 'unknown'],
  [TEXT, 'string', 'a  ', 'a', 'a'],
  [TEXT, 'string', 'abcdef', 'abcdef', 'unknown'],
  [TEXT, 'integer', '7', 'unknown', 'unknown'],
  [TEXT, 'string', '\ud800', 'unknown', 'unknown'],
  [FOLDED, 'string', 'Ä', 'look up Ä', 'look up Ä'],
  [FOLDED, 'string', 'known', 'KNOWN', 'KNOWN'],
  [BINARY, 'string', 'ab', 'ab', 'ab\0\0'],
  [BINARY, 'string', 'abcde', 'abcde', 'unknown'],
])('%o: %s %o equals %o and is stored as %o', (type, kind, text, equal, stored) => {
  const literal = { type: kind, text };

  expect(brief(keyOfEqual(literal, type, caches))).toEqual(equal);
  expect(brief(keyOfStored(literal, type, caches))).toEqual(stored);
});

test('a bound may lie outside of the column', () => {
  expect(brief(keyOfBound({ type: 'integer', text: '99999999999' }, INT, caches))).toBe(
    99999999999,
  );
  expect(brief(keyOfBound({ type: 'decimal', text: '7.5' }, INT, caches))).toBe('unknown');
  expect(brief(keyOfBound({ type: 'null', text: 'NULL' }, INT, caches))).toBe('no-row');
});

test.each(['float', 'double', 'timestamp', 'time', 'year', 'bit', 'enum', 'set', 'json'])(
  'a column of type %s cannot be a shard key',
  (dataType) => expect(keyTypeOf(facts({ dataType }))).toBeUndefined(),
);

test('collations whose trailing spaces cannot be told from their weights are no shard keys', () => {
  const typeFor = (collation: string) =>
    keyTypeOf(facts({ dataType: 'varchar', charset: 'utf8mb4', collation, lengthMax: 10 }));

  expect(typeFor('utf8mb4_uca1400_as_cs')).toBeUndefined();
  expect(typeFor('utf8mb4_0900_as_cs')).toBeDefined();
  expect(typeFor('utf8mb4_uca1400_ai_ci')).toBeDefined();
});

function facts(some: Partial<ColumnFacts>): ColumnFacts {
  return {
    dataType: 'int',
    columnType: some.dataType ?? 'int',
    charset: undefined,
    collation: undefined,
    lengthMax: undefined,
    numericPrecision: undefined,
    numericScale: undefined,
    datetimePrecision: undefined,
    ...some,
  };
}
