/**
 * ORDER BY, DISTINCT, GROUP BY and aggregates over random rows of every column type: what three
 * shards give merged must be what one server gives that holds all rows.
 */
import fc from 'fast-check';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, answerOf, inAnyOrder } from '../support/answers.ts';
import { flavours, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, type TestProxy } from '../support/test-proxy.ts';

const SHARDED = 'merge_shop';
const ORACLE = 'merge_orac';
const ROWS = 400;
const SEED = Number(process.env.MERGE_SEED ?? 20260727);

const DATABASES = `
  ${SHARDED}:
    default: s1
    strategies: { by_id: { type: hash, shards: [s1, s2, s3] } }
    tables: { t: { key: id, strategy: by_id } }`;

/** `isText`: 'a' and 'A ' may be equal, and which of them stands for both is nobody's promise. */
interface Column {
  readonly name: string;
  readonly type: string;
  readonly values: fc.Arbitrary<string>;
  readonly isText?: true;
  readonly isNumber?: true;
  /** FLOAT loses digits on its way to the proxy: see refuseInexactKeys. */
  readonly isFloat?: true;
}

const word = fc
  .array(fc.constantFrom('a', 'A', 'b', 'ä', 'Z', ' ', '\\t', '_', '1', '!'), { maxLength: 4 })
  .map((letters) => `'${letters.join('')}'`);
const latin = fc
  .array(fc.constantFrom('a', 'B', 'b', ' ', '\\t', 'z'), { maxLength: 3 })
  .map((letters) => `'${letters.join('')}'`);
const integer = (low: bigint, high: bigint) =>
  fc.oneof(fc.bigInt({ min: low, max: high }), fc.bigInt({ min: 0n, max: 5n })).map(String);
const quoted = (values: fc.Arbitrary<string>) => values.map((value) => `'${value}'`);
const two = (low: number, high: number) =>
  fc.integer({ min: low, max: high }).map((value) => String(value).padStart(2, '0'));

const COLUMNS: readonly Column[] = [
  { name: 'i', type: 'BIGINT', values: integer(-(10n ** 17n), 10n ** 17n), isNumber: true },
  { name: 'u', type: 'BIGINT UNSIGNED', values: integer(0n, 2n ** 64n - 1n), isNumber: true },
  {
    name: 'd',
    type: 'DECIMAL(30,10)',
    values: integer(-(10n ** 25n), 10n ** 25n).map((digits) => `${digits}e-10`),
    isNumber: true,
  },
  {
    name: 'd5',
    type: 'DECIMAL(12,5)',
    values: integer(-999n, 999n).map((digits) => `${digits}e-5`),
    isNumber: true,
  },
  {
    name: 'f',
    type: 'DOUBLE',
    values: fc.integer({ min: -4000, max: 4000 }).map((quarters) => `${quarters / 4}`),
    isNumber: true,
  },
  {
    name: 'fl',
    type: 'FLOAT',
    values: fc.integer({ min: -4000, max: 4000 }).map((quarters) => `${quarters / 4}`),
    isFloat: true,
  },
  { name: 's', type: 'VARCHAR(40)', values: word, isText: true },
  { name: 'tx', type: 'TEXT', values: word, isText: true },
  { name: 'ub', type: 'VARCHAR(40) COLLATE utf8mb4_bin', values: word, isText: true },
  { name: 'uc', type: 'VARCHAR(40) COLLATE utf8mb4_unicode_ci', values: word, isText: true },
  { name: 'l1', type: 'VARCHAR(9) CHARACTER SET latin1', values: latin, isText: true },
  { name: 'c', type: 'CHAR(5)', values: latin, isText: true },
  { name: 'vb', type: 'VARBINARY(20)', values: latin },
  {
    name: 'dt',
    type: 'DATETIME(3)',
    values: quoted(
      fc
        .tuple(two(1, 12), two(1, 28), two(0, 23), fc.constantFrom('00', '30.5', '59.999'))
        .map(([month, day, hour, second]) => `2024-${month}-${day} ${hour}:00:${second}`),
    ),
  },
  { name: 'da', type: 'DATE', values: quoted(two(1, 28).map((day) => `2024-02-${day}`)) },
  {
    name: 'ti',
    type: 'TIME(2)',
    values: quoted(
      fc
        .tuple(fc.integer({ min: -838, max: 838 }), two(0, 59), fc.constantFrom('00', '07.25'))
        .map(([hour, minute, second]) => `${hour}:${minute}:${second}`),
    ),
  },
  { name: 'y', type: 'YEAR', values: fc.constantFrom('1999', '2024', '2155') },
  { name: 'e', type: "ENUM('z','b','a')", values: fc.constantFrom("'z'", "'b'", "'a'") },
  { name: 'st', type: "SET('z','b','a')", values: fc.constantFrom("'z'", "'a,b'", "''", "'a'") },
  { name: 'bt', type: 'BIT(12)', values: fc.constantFrom("b'0'", "b'101'", "b'111100001111'") },
];

describe.each(await flavours())('merged answers on %s', (flavour) => {
  let proxy: TestProxy;
  let client: Connection;
  let oracle: Connection;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [SHARDED, ORACLE],
    });
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    const { host, port, user, password } = first;
    oracle = await createConnection({ host, port, user, password, database: ORACLE });
    client = await proxy.connect({ database: SHARDED });
    const definitions = COLUMNS.map(({ name, type }) => `${name} ${type}`).join(', ');
    for (const side of [client, oracle]) {
      await side.query(`CREATE TABLE t (id INT PRIMARY KEY, ${definitions})`);
    }
    for (const sql of randomInserts()) {
      for (const side of [client, oracle]) await side.query(sql);
    }
  });
  afterAll(async () => {
    await oracle?.end();
    await proxy?.stop();
  });

  async function differences(
    statements: readonly string[],
    compared: (answer: Answer) => unknown = (answer) => answer,
  ): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const sql of statements) {
      const expected = compared(withoutCollation(await answerOf(oracle, sql)));
      const actual = compared(withoutCollation(await answerOf(client, sql)));
      const difference = firstDifference(expected, actual);
      if (difference !== undefined) found.push({ sql, ...difference });
    }
    return found;
  }

  test('the rows are spread over the shards', async () => {
    for (const shard of [0, 1, 2]) {
      const direct = await proxy.connectShard(shard, { database: SHARDED });
      const answer = await answerOf(direct, 'SELECT COUNT(*) FROM t');
      expect(answer.kind === 'rows' && Number(answer.rows[0]?.[0])).toBeGreaterThan(ROWS / 10);
    }
  });

  test.each(COLUMNS.filter((column) => column.isFloat !== true))(
    'ORDER BY $type ($name)',
    async ({ name }) => {
      const statements = ['', ' DESC'].flatMap((direction) => [
        `SELECT id, ${name} FROM t ORDER BY ${name}${direction}, id`,
        `SELECT ${name}, id FROM t WHERE id > 50 ORDER BY ${name}${direction}, id DESC LIMIT 7, 25`,
        `SELECT * FROM t ORDER BY ${name}${direction}, id LIMIT 40`,
      ]);

      expect(await differences(statements)).toEqual([]);
    },
  );

  test('FLOAT is refused where its lost digits could show, and sorted exactly as a double', async () => {
    const refused = await answerOf(client, 'SELECT id, fl FROM t ORDER BY fl, id');
    expect(refused.kind === 'error' ? refused.errno : 'exact').toSatisfy(
      (errno) => errno === 1235 || errno === 'exact',
    );
    expect(
      await differences([
        'SELECT fl FROM t ORDER BY fl',
        'SELECT id, fl FROM t ORDER BY fl + 0e0, id',
        'SELECT MIN(fl), MAX(fl), SUM(fl) FROM t',
      ]),
    ).toEqual([]);
  });

  test.each(COLUMNS.filter((column) => column.isText !== true && column.isFloat !== true))(
    'DISTINCT and GROUP BY $type ($name)',
    async ({ name }) => {
      expect(
        await differences([
          `SELECT DISTINCT ${name} FROM t ORDER BY ${name}`,
          `SELECT ${name}, COUNT(*), SUM(d5), MIN(dt), AVG(i) FROM t GROUP BY ${name} ORDER BY ${name}`,
          `SELECT ${name}, COUNT(*) AS n FROM t GROUP BY ${name} ORDER BY n DESC, ${name} LIMIT 2, 9`,
        ]),
      ).toEqual([]);
      expect(
        await differences(
          [`SELECT DISTINCT ${name} FROM t`, `SELECT COUNT(*), ${name} FROM t GROUP BY ${name}`],
          inAnyOrder,
        ),
      ).toEqual([]);
    },
  );

  test.each(COLUMNS.filter((column) => column.isText === true))(
    'DISTINCT and GROUP BY by collation: $type ($name)',
    async ({ name }) => {
      const withoutNames = (answer: Answer) =>
        answer.kind === 'rows' ? answer.rows.map((row) => row.slice(1)) : answer;

      expect(
        await differences(
          [
            `SELECT ${name}, COUNT(*), SUM(i), AVG(d5) FROM t GROUP BY ${name} ORDER BY ${name}`,
            `SELECT DISTINCT ${name}, 1 FROM t ORDER BY ${name}`,
          ],
          withoutNames,
        ),
      ).toEqual([]);
    },
  );

  test('aggregates without GROUP BY', async () => {
    const numbers = COLUMNS.filter((column) => column.isNumber === true);
    const statements = numbers.flatMap(({ name }) => [
      `SELECT SUM(${name}), AVG(${name}), MIN(${name}), MAX(${name}), COUNT(${name}), COUNT(*) FROM t`,
      `SELECT AVG(${name}) AS a, SUM(${name}) FROM t WHERE id < 30`,
      `SELECT SUM(${name}), AVG(${name}), MAX(${name}) FROM t WHERE id < 0`,
    ]);
    const ordered = COLUMNS.filter((column) => column.isText !== true && column.isFloat !== true);
    const extremes = ordered.map(({ name }) => `SELECT MIN(${name}), MAX(${name}) FROM t`);

    expect(await differences([...statements, ...extremes])).toEqual([]);
  });
});

/** The collation of text is the session's, which is no matter of merging; 63 is no text. */
function withoutCollation(answer: Answer): Answer {
  if (answer.kind !== 'rows') return answer;
  const columns = answer.columns.map((column) => column.replace(/charset=(?!63 )\d+/, 'text'));
  return { ...answer, columns };
}

/** Where two answers part, since whole answers are too long to be read. */
function firstDifference(
  expected: unknown,
  actual: unknown,
): { readonly expected: string; readonly actual: string } | undefined {
  const parts = (value: unknown): unknown[] => {
    if (Array.isArray(value)) return value;
    const { columns, rows } = value as { columns?: unknown[]; rows?: unknown[] };
    return columns === undefined || rows === undefined ? [value] : [...columns, ...rows];
  };
  const left = parts(expected).map((part) => JSON.stringify(part));
  const right = parts(actual).map((part) => JSON.stringify(part));
  const at = left.findIndex((part, index) => part !== right[index]);
  if (at !== -1) return { expected: `${at}: ${left[at]}`, actual: `${right[at]}` };
  return left.length === right.length
    ? undefined
    : { expected: `${left.length} parts`, actual: `${right.length} parts` };
}

/** The same rows for a seed, which a failure's reader finds at the top. */
function randomInserts(): string[] {
  const value = (column: Column) =>
    fc.oneof(
      { weight: 1, arbitrary: fc.constant('NULL') },
      { weight: 8, arbitrary: column.values },
    );
  const rows = fc.sample(fc.tuple(...COLUMNS.map(value)), { numRuns: ROWS, seed: SEED });
  const inserts: string[] = [];
  for (let from = 0; from < ROWS; from += 20) {
    const lot = rows.slice(from, from + 20).map((row, at) => `(${from + at}, ${row.join(', ')})`);
    inserts.push(`INSERT INTO t VALUES ${lot.join(', ')}`);
  }
  return inserts;
}
