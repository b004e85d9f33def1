/** Prepared statements packet by packet: what one server answers, the proxy answers, byte for byte. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectToShard, type ShardConnection } from '../../src/backend/shard-connection.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import * as types from '../../src/wire/column-types.ts';
import {
  COM_STMT_CLOSE,
  COM_STMT_EXECUTE,
  COM_STMT_FETCH,
  COM_STMT_PREPARE,
  COM_STMT_RESET,
  COM_STMT_SEND_LONG_DATA,
} from '../../src/wire/flags.ts';
import { Framer } from '../../src/wire/framer.ts';
import { decodeErr, decodeOk, isEof, isErr } from '../../src/wire/reply-packets.ts';
import {
  decodePrepareOk,
  encodeExecute,
  type Parameter,
  statementCommand,
} from '../../src/wire/statement-packets.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { startTestProxy, TEST_PASSWORD, TEST_USER, type TestProxy } from '../support/test-proxy.ts';

const SHARDED = 'prep_shop';
/** On the first shard, whole: the one server. */
const ORACLE = 'prep_orac';
const CONNECTIONS_MAX = 8;
const DATABASES = `
  ${SHARDED}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2, s3] }
    tables:
      kinds: { key: id, strategy: by_id }
      words: { key: word, strategy: by_id }
      numbered: { key: owner, strategy: by_id, generate: { id: sequence } }`;

const COLUMNS = `id BIGINT NOT NULL PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, m MEDIUMINT,
  i INT, iu INT UNSIGNED ZEROFILL, b BIGINT, bu BIGINT UNSIGNED, dbl DOUBLE, dc DECIMAL(30,10), d DATE,
  dt DATETIME(6), ts TIMESTAMP(3) NULL, tm TIME(6), y YEAR, bits BIT(10), js JSON, e ENUM('a','b'),
  st SET('x','y'), v VARCHAR(50), bl BLOB, p POINT`;
const ROWS = [
  `(1,-128,255,-32768,-8388608,-2147483648,7,-9223372036854775808,18446744073709551615,0.1,-1.5,
    '2024-02-29','2024-02-29 23:59:59.123456','2024-01-01 00:00:00.5','-800:59:58.000001',2024,b'1010101010',
    '{"a": [1, 2.5, null]}','b','x,y','häß',x'00ff27',ST_GeomFromText('POINT(1 2)'))`,
  `(2,127,0,32767,8388607,2147483647,4294967295,9223372036854775807,0,-1.7976931348623157e308,
    99999999999999999999.9999999999,'1000-01-01','2024-01-01 00:00:00','1971-01-01 00:00:00','838:59:59',1901,
    b'0','[]','a','','','',NULL)`,
  `(3,0,1,0,0,0,0,0,9223372036854775808,5e-324,0,'9999-12-31','2024-01-01 10:00:00',NULL,'00:00:00',2155,
    NULL,'"text"',NULL,NULL,NULL,NULL,ST_GeomFromText('POINT(-1.5 0)'))`,
  `(4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)`,
  `(5,1,1,1,1,1,1,123456789012345678,1,0.30000000000000004,0.0000000001,'2000-12-31','2000-12-31 00:00:01',
    '2020-02-02 02:02:02.002','-00:00:01',1999,b'1111111111','true','b','y',REPEAT('w',50),REPEAT('x',300),NULL)`,
];

await describeServers('prepared statements', (flavour) => {
  let proxy: TestProxy;
  let one: ShardConnection;

  beforeAll(async () => {
    const servers = await useServers({ count: 3, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [SHARDED, ORACLE],
      shardSettings: `connections_max: ${CONNECTIONS_MAX}`,
      extra:
        'limits: { prepared_statements_max: 20, packet_bytes_max: 1048576, acquire_timeout_ms: 3000 }',
    });
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    one = await connection(first, ORACLE);
    const sharded = await proxied();
    for (const side of [one, sharded]) {
      await text(side, `CREATE TABLE kinds (${COLUMNS})`);
      for (const row of ROWS) await text(side, `INSERT INTO kinds VALUES ${row}`);
      await text(side, 'CREATE TABLE words (word VARCHAR(40) NOT NULL PRIMARY KEY, n INT)');
    }
    await text(
      sharded,
      'CREATE TABLE numbered (id BIGINT NOT NULL, owner INT NOT NULL, PRIMARY KEY (owner, id))',
    );
    sharded.close();
  });
  afterAll(async () => {
    one?.close();
    await proxy?.stop();
  });

  async function proxied(): Promise<ShardConnection> {
    const { host, port } = proxy.proxy.address;
    return connection({ host, port, user: TEST_USER, password: TEST_PASSWORD }, SHARDED);
  }

  /** What both sides say to a text with these values, twice: newly prepared and again. */
  async function compared(
    sql: string,
    ...runs: readonly (readonly Parameter[])[]
  ): Promise<{ readonly expected: unknown; readonly actual: unknown }> {
    const client = await proxied();
    const answers = async (side: ShardConnection): Promise<unknown> => {
      const prepared = await prepare(side, sql);
      const executed: unknown[] = [];
      for (const parameters of runs) {
        const packets = await ask(side, encodeExecute(prepared.id, parameters));
        executed.push(plain(packets));
      }
      await ask(side, statementCommand(COM_STMT_CLOSE, prepared.id));
      return { head: prepared.head, definitions: prepared.definitions, executed };
    };
    const expected = await answers(one);
    const actual = await answers(client);
    client.close();
    return { expected, actual };
  }

  test('every type on one shard and over all of them, as one server has it', async () => {
    for (const sql of [
      'SELECT * FROM kinds',
      'SELECT * FROM kinds WHERE id = 1',
      'SELECT * FROM kinds ORDER BY id',
      'SELECT COUNT(*), SUM(i), MAX(bu), MIN(d), AVG(dc) FROM kinds',
    ]) {
      const { expected, actual } = await compared(sql, [], []);
      expect(actual, sql).toEqual(expected);
    }
  });

  test('parameters of every type are compared as one server compares them', async () => {
    const cases: [string, Parameter][] = [
      ['id = ?', int64(5n)],
      ['id IN (?, 3)', { type: types.MYSQL_TYPE_TINY, unsigned: false, bytes: Buffer.from([1]) }],
      ['bu = ?', { ...int64(0xffffffffffffffffn), unsigned: true }],
      ['t = ?', { type: types.MYSQL_TYPE_TINY, unsigned: false, bytes: Buffer.from([0x80]) }],
      ['s = ?', { type: types.MYSQL_TYPE_SHORT, unsigned: false, bytes: Buffer.from([0, 0x80]) }],
      ['id = ?', double(2)],
      ['id > ?', double(2.5)],
      ['dbl = ?', double(0.30000000000000004)],
      ['dc = ?', text10('99999999999999999999.9999999999', types.MYSQL_TYPE_NEWDECIMAL)],
      ['d = ?', date(2024, 2, 29)],
      ['dt = ?', datetime(2024, 2, 29, 23, 59, 59, 123456)],
      ['dt >= ?', datetime(2024, 1, 1, 10, 0, 0, 0)],
      ['tm = ?', time(true, 800, 59, 58, 1)],
      ['tm = ?', time(false, 838, 59, 59, 0)],
      ['v = ?', text10('häß', types.MYSQL_TYPE_VAR_STRING)],
      ['v = ?', text10("it's \\ here", types.MYSQL_TYPE_VAR_STRING)],
      [
        'bl = ?',
        { type: types.MYSQL_TYPE_BLOB, unsigned: false, bytes: Buffer.from([0, 255, 39]) },
      ],
      ['v = ?', { type: types.MYSQL_TYPE_NULL, unsigned: false, bytes: undefined }],
      ['v <=> ?', { type: types.MYSQL_TYPE_VAR_STRING, unsigned: false, bytes: undefined }],
    ];
    for (const [condition, parameter] of cases) {
      const sql = `SELECT id FROM kinds WHERE ${condition}`;
      const { expected, actual } = await compared(sql, [parameter], [parameter]);
      expect(actual, sql).toEqual(expected);
    }
  });

  test('values that are written come back as they were', async () => {
    const client = await proxied();
    const insert = 'INSERT INTO kinds (id, dbl, dc, d, dt, tm, v, bl) VALUES (?,?,?,?,?,?,?,?)';
    const values = (id: bigint): readonly Parameter[] => [
      int64(id),
      double(-1 / 3),
      text10('12.5', types.MYSQL_TYPE_NEWDECIMAL),
      date(2024, 2, 29),
      datetime(2024, 2, 29, 1, 2, 3, 4),
      time(true, 100, 0, 1, 0),
      text10("quote ' back \\ nul \0 end", types.MYSQL_TYPE_VAR_STRING),
      {
        type: types.MYSQL_TYPE_BLOB,
        unsigned: false,
        bytes: Buffer.from([0, 1, 0x27, 0x5c, 0xff]),
      },
    ];
    const rows: unknown[] = [];
    for (const side of [one, client]) {
      const single = await prepare(side, insert);
      expect(plain(await ask(side, encodeExecute(single.id, values(101n))))).toMatchObject([
        { ok: { affectedRows: 1 } },
      ]);
      // Two rows on two shards: there the values go as literals.
      const two = await prepare(side, `${insert}, (?,?,?,?,?,?,?,?)`);
      const both = [...values(102n), ...values(105n)];
      expect(plain(await ask(side, encodeExecute(two.id, both)))).toMatchObject([
        { ok: { affectedRows: 2 } },
      ]);
      const read = await prepare(side, 'SELECT * FROM kinds WHERE id > 100 ORDER BY id');
      rows.push(plain(await ask(side, encodeExecute(read.id, []))));
      const remove = await prepare(side, 'DELETE FROM kinds WHERE id > ?');
      expect(plain(await ask(side, encodeExecute(remove.id, [int64(100n)])))).toMatchObject([
        { ok: { affectedRows: 3 } },
      ]);
    }
    client.close();
    expect(rows[1]).toEqual(rows[0]);
  });

  test('the types come once and hold for later executions', async () => {
    const client = await proxied();
    for (const sql of ['SELECT v FROM kinds WHERE id = ?', 'SELECT v FROM kinds WHERE id <= ?']) {
      const { id } = await prepare(client, sql);
      const full = encodeExecute(id, [int64(1n)]);
      const first = plain(await ask(client, full));
      const without = Buffer.concat([full.subarray(0, 11), Buffer.from([0]), full.subarray(14)]);

      expect(plain(await ask(client, without))).toEqual(first);
    }
    const { id } = await prepare(client, 'SELECT ?');
    const untyped = Buffer.concat([
      statementCommand(COM_STMT_EXECUTE, id),
      Buffer.from([0, 1, 0, 0, 0, 0, 0]),
    ]);
    expect(await errnoOf(client, untyped)).toBe(1835);
    client.close();
  });

  test('long data is put together, and forgotten after the execution and by RESET', async () => {
    const client = await proxied();
    const { id } = await prepare(client, 'SELECT CONCAT(?, ?) FROM kinds WHERE id = 1');
    const b = text10('-b', types.MYSQL_TYPE_VAR_STRING);
    const long = encodeExecute(id, [text10('', types.MYSQL_TYPE_BLOB), b]);
    // The value of a parameter whose long data came is not in the command: here an empty one.
    const command = Buffer.concat([long.subarray(0, 16), long.subarray(17)]);
    await piece(client, id, 0, 'hä'.slice(0, 1));
    await piece(client, id, 0, 'ä!');

    expect(firstText(await ask(client, command))).toBe('hä!-b');
    expect(firstText(await ask(client, long))).toBe('-b');

    await piece(client, id, 0, 'gone');
    await ask(client, statementCommand(COM_STMT_RESET, id));
    expect(firstText(await ask(client, long))).toBe('-b');

    await piece(client, id, 0, 'x'.repeat(1_048_000));
    await piece(client, id, 0, 'x'.repeat(1_048_000));
    expect(await errnoOf(client, command)).toBe(1153);
    client.close();
  });

  test('statements that are unknown, closed, too many or wrong are refused', async () => {
    const client = await proxied();
    expect(await errnoOf(client, encodeExecute(99, []))).toBe(1243);
    expect(await errnoOf(client, statementCommand(COM_STMT_RESET, 99))).toBe(1243);
    const { id } = await prepare(client, 'SELECT 1');
    const fetch = Buffer.concat([statementCommand(COM_STMT_FETCH, id), Buffer.from([1, 0, 0, 0])]);
    expect(await errnoOf(client, fetch)).toBe(1421);
    await ask(client, statementCommand(COM_STMT_CLOSE, id));
    expect(await errnoOf(client, encodeExecute(id, []))).toBe(1243);
    expect(await errnoOf(client, prepareCommand('SELEC 1'))).toBe(1064);
    expect(await errnoOf(client, prepareCommand('SELECT * FROM nowhere'))).toBe(1146);
    expect(await errnoOf(client, prepareCommand('SELECT nothing FROM kinds'))).toBe(1054);
    for (let n = 0; n < 20; n++) await prepare(client, `SELECT ${n}`);
    expect(await errnoOf(client, prepareCommand('SELECT 20'))).toBe(1461);
    client.close();
  });

  test('sessions that hold all connections of a shard can prepare', async () => {
    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS_MAX }, () => proxy.connect({ database: SHARDED })),
    );
    for (const client of clients) await client.beginTransaction();
    for (const client of clients) await client.query('SELECT COUNT(*) FROM kinds');

    const answers = await Promise.all(
      clients.map((client) => client.execute('SELECT t FROM kinds WHERE id = ?', [1])),
    );

    expect(answers.map(([rows]) => rows)).toEqual(clients.map(() => [{ t: -128 }]));
    for (const client of clients) await client.end();
  });

  test('what only Shardgate understands can be prepared too', async () => {
    const client = await proxied();
    const shards = await prepare(client, 'SHOW SHARDS');
    expect((await ask(client, encodeExecute(shards.id, []))).length).toBeGreaterThan(5);
    const route = await prepare(client, 'EXPLAIN ROUTE SELECT * FROM kinds WHERE id = ?');
    expect(route.definitions.length).toBe(1);
    const shown = await ask(client, encodeExecute(route.id, [int64(1n)]));
    expect(Buffer.concat(shown).toString('latin1')).toMatch(/single|scatter/);
    client.close();
  });

  test('a schema change between two executions is seen', async () => {
    const client = await proxied();
    await text(client, 'CREATE TABLE plain (a INT)');
    await text(client, 'INSERT INTO plain VALUES (1)');
    const { id } = await prepare(client, 'SELECT * FROM plain');
    expect((await ask(client, encodeExecute(id, []))).length).toBe(5);
    await text(client, 'ALTER TABLE plain ADD COLUMN b INT');
    expect((await ask(client, encodeExecute(id, []))).length).toBe(6);
    await text(client, 'DROP TABLE plain');
    expect(await errnoOf(client, encodeExecute(id, []))).toBe(1146);
    client.close();
  });

  test('the key of a row is a parameter, of any type that fits', async () => {
    const client = await proxied();
    const insert = await prepare(client, 'INSERT INTO words VALUES (?, ?)');
    for (const word of ['eins', 'Zwei', 'dréi', "v'ier"]) {
      const parameters = [text10(word, types.MYSQL_TYPE_VAR_STRING), double(word.length)];
      expect(plain(await ask(client, encodeExecute(insert.id, parameters)))).toMatchObject([
        { ok: { affectedRows: 1 } },
      ]);
      const find = await prepare(client, 'SELECT n FROM words WHERE word = ?');
      const found = await ask(client, encodeExecute(find.id, parameters.slice(0, 1)));
      expect(found.length).toBe(5);
    }
    const ids = await prepare(client, 'INSERT INTO numbered (owner) VALUES (?), (?)');
    const answer = await ask(client, encodeExecute(ids.id, [int64(1n), double(2)]));
    expect(decodeOk(answer[0] as Buffer).lastInsertId).toBeGreaterThan(0);
    client.close();
  });
});

interface Prepared {
  readonly id: number;
  readonly head: unknown;
  readonly definitions: readonly string[];
}

function connection(
  address: { host: string; port: number; user: string; password: string },
  database: string,
): Promise<ShardConnection> {
  const config = { ...address, connections_max: 1 };
  const opened = connectToShard({
    address: { shard: 's' as never, config: config as never },
    foundRows: false,
    connectTimeoutMs: 5000,
    clock: systemClock,
  });
  return opened.then(async (one) => {
    await ask(one, Buffer.from(`\x02${database}`));
    return one;
  });
}

/** The packets of the answer. */
function ask(side: ShardConnection, command: Buffer): Promise<Buffer[]> {
  const framer = new Framer({ packetBytesMax: 2 ** 26 });
  const packets: Buffer[] = [];
  return new Promise((resolve, reject) => {
    side.send(command, {
      onReplyBytes: (bytes) => {
        framer.push(bytes);
        for (let one = framer.next(); one !== undefined; one = framer.next()) packets.push(one);
      },
      onReplyEnd: () => resolve(packets),
      onReplyLost: reject,
    });
  });
}

async function text(side: ShardConnection, sql: string): Promise<void> {
  const [first] = await ask(side, Buffer.from(`\x03${sql}`));
  if (first !== undefined && isErr(first)) throw new Error(decodeErr(first).message);
}

function prepareCommand(sql: string): Buffer {
  return Buffer.concat([Buffer.from([COM_STMT_PREPARE]), Buffer.from(sql)]);
}

async function prepare(side: ShardConnection, sql: string): Promise<Prepared> {
  const [first, ...definitions] = await ask(side, prepareCommand(sql));
  if (first === undefined || isErr(first)) {
    throw new Error(first === undefined ? 'no answer' : decodeErr(first).message);
  }
  const { statementId, ...head } = decodePrepareOk(first);
  return {
    id: statementId,
    head,
    definitions: definitions.filter((one) => !isEof(one)).map(shown),
  };
}

/** Packets as comparable values; rows in any order, since nothing says in which they come. */
function plain(packets: readonly Buffer[]): unknown[] {
  const [first] = packets;
  if (first === undefined) return [];
  if (isErr(first)) return [decodeErr(first)];
  if (packets.length === 1) return [{ ok: decodeOk(first) }];
  const columns = first.readUInt8(0);
  const definitions = packets.slice(1, 1 + columns).map(shown);
  const rows = packets.slice(2 + columns, -1).map((row) => row.toString('hex'));
  return [definitions, rows.sort()];
}

/** The databases have names of one length. */
function shown(definition: Buffer): string {
  return definition.toString('latin1').replaceAll(ORACLE, SHARDED);
}

async function errnoOf(side: ShardConnection, command: Buffer): Promise<number> {
  const [first] = await ask(side, command);
  if (first === undefined || !isErr(first)) throw new Error('no error');
  return decodeErr(first).errno;
}

function firstText(packets: readonly Buffer[]): string {
  const row = packets.at(-2) as Buffer;
  return row.toString('utf8', 3);
}

async function piece(
  side: ShardConnection,
  id: number,
  parameter: number,
  data: string,
): Promise<void> {
  const head = Buffer.concat([
    statementCommand(COM_STMT_SEND_LONG_DATA, id),
    Buffer.from([parameter, 0]),
  ]);
  await ask(side, Buffer.concat([head, Buffer.from(data)]));
}

function int64(value: bigint): Parameter {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return { type: types.MYSQL_TYPE_LONGLONG, unsigned: false, bytes };
}

function double(value: number): Parameter {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return { type: types.MYSQL_TYPE_DOUBLE, unsigned: false, bytes };
}

function text10(value: string, type: number): Parameter {
  return { type, unsigned: false, bytes: Buffer.from(value) };
}

function date(year: number, month: number, day: number): Parameter {
  const bytes = Buffer.from([year & 0xff, year >> 8, month, day]);
  return { type: types.MYSQL_TYPE_DATE, unsigned: false, bytes };
}

function datetime(
  ...[year, month, day, hour, minute, second, micros]: [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
): Parameter {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16LE(year);
  bytes.set([month, day, hour, minute, second], 2);
  bytes.writeUInt32LE(micros, 7);
  return { type: types.MYSQL_TYPE_DATETIME, unsigned: false, bytes };
}

function time(
  isNegative: boolean,
  hours: number,
  minute: number,
  second: number,
  micros: number,
): Parameter {
  const bytes = Buffer.alloc(12);
  bytes[0] = isNegative ? 1 : 0;
  bytes.writeUInt32LE(Math.floor(hours / 24), 1);
  bytes.set([hours % 24, minute, second], 5);
  bytes.writeUInt32LE(micros, 8);
  return { type: types.MYSQL_TYPE_TIME, unsigned: false, bytes };
}
