import { afterAll, beforeAll, expect, test } from 'vitest';
import { CollationWeights } from '../../src/backend/collation-weights.ts';
import { ControlConnections } from '../../src/backend/control-connection.ts';
import { readDatabase } from '../../src/backend/schema-reader.ts';
import { ShardError } from '../../src/errors/shard-error.ts';
import { readConfig } from '../../src/topology/config-file.ts';
import type { ProxyConfig, ShardConfig } from '../../src/topology/config-schema.ts';
import { positionOfKey } from '../../src/topology/key-hash.ts';
import { keyOrder, padOfKeys } from '../../src/topology/key-order.ts';
import {
  type KeyLiteral,
  type KeyResult,
  keyOfBound,
  keyOfEqual,
  keyOfStored,
} from '../../src/topology/key-value.ts';
import { sqlPositionExpression } from '../../src/topology/sql-position.ts';
import type { KeyType, RoutingKey, ShardId } from '../../src/topology/strategy.ts';
import { describeServers, type ServerAddress, useServers } from '../support/mysql-servers.ts';

const shard = 's1' as ShardId;
const DATABASE = 'topology_keys';

/** Literals as SQL, and as the key code gets them. */
const integer = (text: string): [string, KeyLiteral] => [text, { type: 'integer', text }];
const decimal = (text: string): [string, KeyLiteral] => [text, { type: 'decimal', text }];
const float = (text: string): [string, KeyLiteral] => [text, { type: 'float', text }];
const string = (text: string): [string, KeyLiteral] => [quoted(text), { type: 'string', text }];
const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&').replace(/\0/g, '\\0')}'`;

const NUMBERS = [
  ...[
    '0',
    '7',
    '007',
    '-7',
    '-0',
    '127',
    '128',
    '-128',
    '-129',
    '255',
    '256',
    '65535',
    '2147483647',
  ],
  ...['2147483648', '4294967295', '9007199254740991', '9007199254740992', '9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '18446744073709551615', '18446744073709551616'],
];
const LITERALS: readonly [string, KeyLiteral][] = [
  ...NUMBERS.map(integer),
  ...['7.0', '7.5', '-7.00', '.5', '0.50', '128.0', '9007199254740993.0', '123.456'].map(decimal),
  ...['7e0', '75e-1', '1e2', '1.28e2', '9007199254740992e0', '1e15', '1e300', '-0e0'].map(float),
  ...NUMBERS.map(string),
  ...['7.0', '7.', '+7', ' 7', '7 ', '7abc', '', 'abc', '7e0', '0x7', '7.5', '0.5', '.5'].map(
    string,
  ),
  ...['123.456', '123.4560', '9007199254740993.0', '1234567890123456789.5'].map(string),
  ...['2026-01-31', '2026-02-30', '2026-1-31', '20260131', '2026-01-31 00:00:00'].map(string),
  ...['2026-01-31 23:59:59', '2026-01-31 23:59:59.5', '2026-01-31 23:59:59.123456'].map(string),
  ...['2026-01-31T23:59:59', '2026-01-31 23:59:59.9999999', '0000-00-00', '2024-02-29'].map(string),
  ...['a', 'A', 'a ', 'a\t', 'ä', 'Ä', 'ae', 'ß', 'ss', 'é', 'e', ' a', '\u00a0', 'a\u00a0'].map(
    string,
  ),
  ...['😀', '😁', 'I', 'ı', 'İ', 'i', 'a\0', 'ﬃ', 'Æ', 'zzzzzzzzzz', '12345678901'].map(string),
  ['NULL', { type: 'null', text: 'NULL' }],
  ['TRUE', { type: 'true', text: 'TRUE' }],
  ['FALSE', { type: 'false', text: 'FALSE' }],
  ["DATE'2026-01-31'", { type: 'date', text: '2026-01-31' }],
  ["TIMESTAMP'2026-01-31 23:59:59'", { type: 'timestamp', text: '2026-01-31 23:59:59' }],
  ["x'37'", { type: 'hex', text: "x'37'" }],
  ["b'111'", { type: 'bit', text: "b'111'" }],
];

const TYPES = [
  ...['TINYINT', 'TINYINT UNSIGNED', 'SMALLINT', 'MEDIUMINT UNSIGNED', 'INT', 'INT UNSIGNED'],
  ...[
    'BIGINT',
    'BIGINT UNSIGNED',
    'INT(8) ZEROFILL',
    'DECIMAL(10,3) ZEROFILL',
    'DECIMAL(12,2) UNSIGNED',
    'DECIMAL(10,0)',
    'DECIMAL(10,3)',
    'DECIMAL(30,5)',
    'DATE',
  ],
  ...['DATETIME', 'DATETIME(3)', 'DATETIME(6)', 'VARBINARY(10)', 'BINARY(4)'],
  'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
  'CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci',
  'VARCHAR(10) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci',
  'VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci',
  'VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_german2_ci',
  'VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_bin',
  'VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin',
  'TINYTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_turkish_ci',
];
const FLAVOURED = {
  mariadb: [
    'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci',
    'CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_nopad_ci',
    'CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin',
  ],
  mysql: [
    'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci',
    'CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_cs',
    'VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin',
  ],
};

await describeServers('keys are what the server calls equal', (flavour) => {
  let control: ControlConnections;
  let weights: CollationWeights;

  beforeAll(async () => {
    const [server] = await useServers({ count: 1, flavour });
    const config = configFor(server as ServerAddress);
    const shards = new Map(Object.entries(config.shards)) as unknown as ReadonlyMap<
      ShardId,
      ShardConfig
    >;
    control = new ControlConnections({ shards, connectTimeoutMs: 5_000 });
    weights = new CollationWeights(control, { entriesMax: 10_000 });
    await control.query(shard, `DROP DATABASE IF EXISTS ${DATABASE}`);
    await control.query(shard, `CREATE DATABASE ${DATABASE}`);
  });
  afterAll(() => control.close());

  /** The result once all look-ups are done. */
  async function settled(ask: () => KeyResult): Promise<KeyResult> {
    const first = ask();
    if (first.kind !== 'lookup' || first.lookup.kind !== 'weight') return first;
    await weights.load([first.lookup], [shard]);
    return ask();
  }

  const types = [...TYPES, ...FLAVOURED[flavour]];

  test.each(types.map((type, index) => ({ type, table: `t${index}` })))(
    '$type',
    async ({ type, table }) => {
      await control.query(
        shard,
        `CREATE TABLE ${DATABASE}.${table} (id INT PRIMARY KEY, k ${type} NULL)`,
      );
      const keyType = await keyTypeRead(control, table);
      const pad = keyType.kind === 'text' ? await padRead(keyType) : '';
      const stored = new Map<number, RoutingKey | undefined>();
      for (const [id, [sql, literal]] of LITERALS.entries()) {
        const result = await settled(() => keyOfStored(literal, keyType, weights));
        // Without strict mode the server stores what comes nearest, where we must not claim to know it.
        const lax = await insert(control, { table, id, sql });
        if (lax) stored.set(id, result.kind === 'key' ? result.key : undefined);
        else expect(result.kind === 'key' ? `${sql} is refused` : '').toBe('');
      }

      const position = sqlPositionExpression('k', keyType, pad);
      const { rows } = await control.query(
        shard,
        `SELECT id, ${position} AS position FROM ${DATABASE}.${table}`,
      );
      const positions = new Map(rows.map((row) => [Number(row.id), Number(row.position)]));
      for (const [id, key] of stored) {
        if (key === undefined) continue;
        expect({ sql: LITERALS[id]?.[0], at: positionOfKey(key) }).toEqual({
          sql: LITERALS[id]?.[0],
          at: positions.get(id),
        });
      }

      const order = keyOrder(keyType, pad);
      let claims = 0;
      for (const [sql, literal] of LITERALS) {
        const found = await matching(control, table, `k = ${sql}`);
        const equal = await settled(() => keyOfEqual(literal, keyType, weights));
        if (equal.kind === 'no-row') expect({ sql, found }).toEqual({ sql, found: [] });
        if (equal.kind === 'key') {
          claims++;
          const at = positionOfKey(equal.key);
          const elsewhere = found.filter((id) => positions.get(id) !== at);
          expect({ sql, elsewhere }).toEqual({ sql, elsewhere: [] });
        }
        const bound = await settled(() => keyOfBound(literal, keyType, weights));
        if (bound.kind === 'key' && bound.key !== null) {
          const below = await matching(control, table, `k < ${sql}`);
          for (const [id, key] of stored) {
            if (key === undefined || key === null) continue;
            const isBelow = order(key, bound.key) < 0;
            const row = LITERALS[id]?.[0];
            expect({ row, sql, isBelow }).toEqual({ row, sql, isBelow: below.includes(id) });
          }
        }
      }
      expect(claims).toBeGreaterThan(2);
    },
  );

  async function padRead(type: Extract<KeyType, { kind: 'text' }>): Promise<string> {
    const { charset, collation } = type;
    await weights.load([{ kind: 'weight', charset, collation, text: 'x' }], [shard]);
    return padOfKeys(type, weights);
  }
});

function configFor(server: ServerAddress): ProxyConfig {
  const { host, port, user, password } = server;
  const shards = { s1: { host, port, user, password } };
  const users = { a: { password: 'a' } };
  const config = readConfig(
    JSON.stringify({ shards, users, databases: { [DATABASE]: { default: 's1' } } }),
    {},
  );
  if (!config.ok) throw new Error(JSON.stringify(config.problems));
  return config.config;
}

async function keyTypeRead(control: ControlConnections, table: string): Promise<KeyType> {
  const config = { default: 's1', strategies: {}, tables: {} };
  const { tables } = await readDatabase(control, DATABASE, config, [table]);
  const type = tables.get(table)?.columns[1]?.keyType;
  if (type === undefined) throw new Error(`no key type for ${table}`);
  return type;
}

/** False when the server refuses the value whatever the mode. */
async function insert(
  control: ControlConnections,
  row: { readonly table: string; readonly id: number; readonly sql: string },
): Promise<boolean> {
  try {
    await control.session(shard, async (session) => {
      await session.query("SET SESSION sql_mode = ''");
      await session.query(`INSERT INTO ${DATABASE}.${row.table} VALUES (${row.id}, ${row.sql})`);
      await session.query("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");
    });
    return true;
  } catch (error) {
    if (error instanceof ShardError) return false;
    throw error;
  }
}

async function matching(
  control: ControlConnections,
  table: string,
  condition: string,
): Promise<readonly number[]> {
  try {
    const { rows } = await control.query(
      shard,
      `SELECT id FROM ${DATABASE}.${table} WHERE ${condition}`,
    );
    return rows.map((row) => Number(row.id));
  } catch (error) {
    // MySQL refuses to compare a date with text that is none: then no row is missed.
    if (error instanceof ShardError) return [];
    throw error;
  }
}
