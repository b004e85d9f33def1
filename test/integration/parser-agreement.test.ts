import { type Connection, createConnection, type QueryError } from 'mysql2';
import { createConnection as createPromiseConnection, type RowDataPacket } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { NotParsed } from '../../src/sql/parse-error.ts';
import { parseStatement } from '../../src/sql/parse-statement.ts';
import type { LexicalContext } from '../../src/sql/statement.ts';
import { describeServers, type ServerAddress, useServers } from '../support/mysql-servers.ts';
import { mysqltestCorpus } from '../support/mysqltest-corpus.ts';
import { bracketedText } from '../support/tree-text.ts';

/** One statement in so many by default; PARSER_AGREEMENT_EVERY=1 takes them all. */
const EVERY = Number(process.env.PARSER_AGREEMENT_EVERY ?? 5);
const SEED = Number(process.env.PARSER_AGREEMENT_SEED ?? Date.now() % 1_000_000);
const CONNECTIONS = 4;
const DATABASE = 'parser_agreement';
const SYNTAX_ERROR = 1064;
const AGREEMENT_MIN = 0.995;

const GROUPS: readonly (readonly [name: string, first: RegExp])[] = [
  ['DML', /^(SELECT|WITH|VALUES|TABLE|INSERT|REPLACE|UPDATE|DELETE)$/],
  ['SET', /^SET$/],
  ['SHOW', /^(SHOW|DESC|DESCRIBE|EXPLAIN)$/],
  ['transactions', /^(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)$/],
  ['DDL', /^(CREATE|ALTER|DROP|RENAME|TRUNCATE)$/],
];

interface Judged {
  readonly sql: string;
  readonly group: string;
  readonly reason: string | undefined;
  accepted: boolean;
}

await describeServers('the parser and the server agree', (flavour) => {
  test('on what a statement is', async (context) => {
    const corpus = await mysqltestCorpus(EVERY);
    if (corpus === undefined) {
      console.warn('SKIPPED: agreement with the server needs the package mariadb-test-data');
      context.skip();
      return;
    }
    const server = await oneServer(flavour);
    const lexical = contextOf(server);
    const judged = corpus.flatMap((sql) => parsed(sql, lexical));
    await askServer(server, judged);

    console.log(`agreement with ${flavour} ${server.version}, 1 statement in ${EVERY}`);
    for (const [group] of GROUPS) console.log(report(group, judged));
    expect(judged.length).toBeGreaterThan(10_000 / EVERY);
    expect(agreement('DML', judged)).toBeGreaterThan(AGREEMENT_MIN);
  });

  test('on which words may stand for a name', async () => {
    const server = await oneServer(flavour);
    const lexical = contextOf(server);
    const connection = await createPromiseConnection(login(server));
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT word FROM information_schema.keywords',
    );
    await connection.end();
    const words = rows
      .map((row) => String(row.word ?? row.WORD))
      .filter((word) => /^\w+$/.test(word));
    const judged = words.flatMap((word) =>
      [
        `SELECT 1 AS ${word}`,
        `SELECT ${word} FROM t`,
        `SELECT 1 FROM ${word}`,
        `SELECT 1 FROM t ${word}`,
        `SELECT 1 FROM t AS ${word} WHERE 1`,
        `INSERT INTO t (${word}) VALUES (1)`,
        `UPDATE t SET ${word} = 1`,
        `SELECT ${word}(1)`,
        `SELECT ${word}(1, 2)`,
      ].flatMap((sql) => parsed(sql, lexical)),
    );
    await askServer(server, judged);

    const missed = judged.filter((job) => job.accepted && job.reason !== undefined);
    expect(missed.map(({ sql }) => sql)).toEqual([]);
    const taken = judged.filter((job) => !job.accepted && job.reason === undefined);
    const names = taken.map(({ sql }) => sql).filter((sql) => !sql.includes('('));
    // DEFAULT is a value in assignments, and we do not ask where it stands.
    expect(names.filter((sql) => sql !== 'SELECT DEFAULT FROM t')).toEqual([]);
  });

  test.each<[mode: string, bits: Partial<LexicalContext>]>([
    ['', {}],
    ['PIPES_AS_CONCAT', { pipesAsConcat: true }],
    ['HIGH_NOT_PRECEDENCE', { highNotPrecedence: true }],
  ])('on what an expression means under sql_mode %j', async (mode, bits) => {
    const server = await oneServer(flavour);
    const lexical = { ...contextOf(server), ...bits };
    const connection = await createPromiseConnection({ ...login(server), supportBigNumbers: true });
    await connection.query('SET SESSION sql_mode = ?', [mode]);
    const random = generator(SEED);
    const wrong: string[] = [];
    let compared = 0;
    for (let i = 0; i < 2000; i++) {
      const sql = expressionOf(random);
      const value = await evaluate(connection, sql);
      if (value === undefined) continue;
      compared++;
      const tree = treeText(sql, lexical);
      if (value !== (await evaluate(connection, tree))) wrong.push(`${sql}  read as  ${tree}`);
    }
    await connection.end();

    console.log(`${compared} expressions compared with ${flavour}, seed ${SEED}`);
    expect(compared).toBeGreaterThan(500);
    expect(wrong.slice(0, 20)).toEqual([]);
  });
});

async function oneServer(flavour: 'mysql' | 'mariadb'): Promise<ServerAddress> {
  const [server] = await useServers({ count: 1, flavour });
  if (server === undefined) throw new Error('no server');
  // Without a current database the server stops reading before it reports what is wrong.
  const { host, port, user, password } = server;
  const connection = await createPromiseConnection({ host, port, user, password });
  await connection.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE}`);
  await connection.end();
  return server;
}

function contextOf({ flavour, version }: ServerAddress): LexicalContext {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return {
    ansiQuotes: false,
    noBackslashEscapes: false,
    pipesAsConcat: false,
    ignoreSpace: false,
    highNotPrecedence: false,
    flavour,
    serverVersion: major * 10_000 + minor * 100 + patch,
  };
}

function login({ host, port, user, password }: ServerAddress) {
  return { host, port, user, password, database: DATABASE };
}

function parsed(sql: string, lexical: LexicalContext): Judged[] {
  const word = /^(?:\s|\(|\/\*.*?\*\/)*([a-z]+)/i.exec(sql)?.[1]?.toUpperCase() ?? '';
  const group = GROUPS.find(([, first]) => first.test(word))?.[0];
  return group === undefined
    ? []
    : [{ sql, group, reason: refusal(sql, lexical), accepted: false }];
}

function refusal(sql: string, lexical: LexicalContext): string | undefined {
  try {
    parseStatement(Buffer.from(sql), lexical);
    return undefined;
  } catch (error) {
    if (error instanceof NotParsed) return error.message;
    throw error;
  }
}

/** Preparing judges the grammar and runs nothing. */
async function askServer(server: ServerAddress, judged: readonly Judged[]): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    let connection = createConnection(login(server));
    for (let job = judged[next++]; job !== undefined; job = judged[next++]) {
      const error = await prepare(connection, job.sql);
      job.accepted = error?.errno !== SYNTAX_ERROR;
      if (error?.fatal === true) {
        connection.destroy();
        connection = createConnection(login(server));
      }
    }
    connection.destroy();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
}

function prepare(connection: Connection, sql: string): Promise<QueryError | null> {
  return new Promise((resolve) => {
    connection.prepare(sql, (error, statement) => {
      if (error === null) statement.close();
      resolve(error);
    });
  });
}

function agreement(group: string, judged: readonly Judged[]): number {
  const accepted = judged.filter((job) => job.group === group && job.accepted);
  const understood = accepted.filter(({ reason }) => reason === undefined);
  return understood.length / accepted.length;
}

function report(group: string, judged: readonly Judged[]): string {
  const own = judged.filter((job) => job.group === group);
  const accepted = own.filter((job) => job.accepted);
  const missed = accepted.filter(({ reason }) => reason !== undefined);
  const taken = own.filter((job) => !job.accepted && job.reason === undefined).length;
  const percent = (100 * agreement(group, judged)).toFixed(2);
  const reasons = missed.slice(0, 8).map(({ reason, sql }) => {
    return `    ${reason}: ${sql.replaceAll(/\s+/g, ' ').slice(0, 120)}`;
  });
  return [
    `  ${group}: ${percent} % of ${accepted.length} accepted; ` +
      `${taken} of ${own.length - accepted.length} refused ones parsed too`,
    ...reasons,
  ].join('\n');
}

function treeText(sql: string, lexical: LexicalContext): string | undefined {
  const text = Buffer.from(`SELECT ${sql}`);
  try {
    const statement = parseStatement(text, lexical);
    const body = statement.kind === 'select' ? statement.query.body : undefined;
    const item = body?.kind === 'select' ? body.items[0] : undefined;
    return item === undefined ? undefined : bracketedText(item.expression, text);
  } catch (error) {
    if (error instanceof NotParsed) return undefined;
    throw error;
  }
}

/** The value as text; undefined when the server refuses the text. */
async function evaluate(
  connection: Awaited<ReturnType<typeof createPromiseConnection>>,
  sql: string | undefined,
): Promise<string | undefined> {
  if (sql === undefined) return undefined;
  try {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${sql} AS v`);
    return String(rows[0]?.v);
  } catch {
    // Refused or out of range: nothing to compare.
    return undefined;
  }
}

const OPERATORS = [
  'OR',
  'XOR',
  'AND',
  '||',
  '&&',
  '=',
  '<=>',
  '<',
  '>=',
  '<>',
  '|',
  '&',
  '<<',
  '>>',
  '+',
  '-',
  '*',
  'DIV',
  'MOD',
  '%',
  '^',
  'LIKE',
  'NOT LIKE',
  'REGEXP',
];
const PREFIXES = ['', '', '', '', '-', '!', '~', 'NOT ', 'BINARY '];

/** Small numbers and operators without brackets, so that only precedence decides the value. */
function expressionOf(random: () => number): string {
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random() * items.length)] as Item;
  const operand = (): string => `${pick(PREFIXES)}${pick(['0', '1', '2', '3', '7'])}`;
  let sql = operand();
  const links = 2 + Math.floor(random() * 4);
  for (let link = 0; link < links; link++) {
    const form = random();
    if (form < 0.75) sql += ` ${pick(OPERATORS)} ${operand()}`;
    else if (form < 0.85) sql += pick([' IS NULL', ' IS NOT NULL', ' IS TRUE', ' IS NOT FALSE']);
    else if (form < 0.93) sql += ` ${pick(['', 'NOT '])}IN (${operand()}, ${operand()})`;
    else sql += ` ${pick(['', 'NOT '])}BETWEEN ${operand()} AND ${operand()}`;
  }
  return sql;
}

/** A small linear generator, so that a seed repeats a run. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
