import { ShardError } from '../errors/shard-error.ts';
import type { HomeRule, RehomingQuestion } from '../topology/rehoming.ts';
import { sqlPositionExpression } from '../topology/sql-position.ts';
import type { KeyType, ShardId } from '../topology/strategy.ts';
import type { CollationWeights } from './collation-weights.ts';
import type { ControlConnections, ControlSession } from './control-connection.ts';

/** Rows that a new map would not find where they are. */
export interface MisplacedRows {
  readonly question: RehomingQuestion;
  readonly rows: number;
  /** A shard, or what would become of the rows. */
  readonly to: string;
}

const ER_NO_SUCH_TABLE = 1146;
const ER_BAD_DB_ERROR = 1049;
const ARCS_PER_INSERT = 5_000;
const POSITION_BITS = 32;
const BUCKET_BITS_MAX = 18;

/**
 * Has the shards count. Throws when one of them cannot be asked: then nobody knows. Tables that do not exist
 * have no rows.
 */
export async function countMisplaced(
  control: ControlConnections,
  weights: CollationWeights,
  questions: readonly RehomingQuestion[],
): Promise<readonly MisplacedRows[]> {
  const byShard = Map.groupBy(questions, ({ shard }) => shard);
  const found = await Promise.all(
    [...byShard].map(async ([shard, mine]) => {
      const misplaced: MisplacedRows[] = [];
      for (const question of mine) {
        const pad = await padOf(weights, question.rule, shard);
        misplaced.push(...(await countOn(control, question, pad)));
      }
      return misplaced;
    }),
  );
  return found.flat();
}

async function countOn(
  control: ControlConnections,
  question: RehomingQuestion,
  pad: string,
): Promise<readonly MisplacedRows[]> {
  const { database, table, shard, rule } = question;
  const name = `${quoted(database)}.${quoted(table)}`;
  if (!(await hasRows(control, shard, name))) return [];
  const homes = await control.session(shard, (session) => homesOf(session, { name, rule, pad }));
  return homes
    .filter(({ to, rows }) => to !== shard && rows > 0)
    .map((home) => ({ question, ...home }));
}

async function hasRows(
  control: ControlConnections,
  shard: ShardId,
  name: string,
): Promise<boolean> {
  try {
    return (await control.query(shard, `SELECT 1 FROM ${name} LIMIT 1`)).rows.length > 0;
  } catch (error) {
    const isAbsent =
      error instanceof ShardError &&
      (error.errno === ER_NO_SUCH_TABLE || error.errno === ER_BAD_DB_ERROR);
    if (isAbsent) return false;
    throw error;
  }
}

/** Rows of the table on this shard by the home that the rule gives them. */
export async function homesOf(
  session: ControlSession,
  what: { readonly name: string; readonly rule: HomeRule; readonly pad: string },
): Promise<readonly { readonly to: string; readonly rows: number }[]> {
  const { name, rule, pad } = what;
  const grouped = async (home: string, where: string, params: readonly unknown[]) => {
    const { rows } = await session.query(
      `SELECT home, COUNT(*) AS n FROM (SELECT ${home} AS home FROM ${name} ${where}) homes GROUP BY home`,
      params,
    );
    return rows.map((row) => ({ to: String(row.home), rows: Number(row.n) }));
  };
  switch (rule.kind) {
    case 'any':
      return grouped('?', '', [rule.to]);
    case 'hash': {
      const shift = await createArcs(session, rule.ring);
      const position = sqlPositionExpression(quoted(rule.column), rule.keyType, pad);
      const arc = `a.bucket = (${position} >> ${shift}) AND a.until >= ${position}`;
      const home = `(SELECT a.shard FROM shardgate.arcs a WHERE ${arc} ORDER BY a.until LIMIT 1)`;
      const homes = await grouped(home, '', []);
      await session.query('DROP TEMPORARY TABLE shardgate.arcs');
      return homes;
    }
    case 'range': {
      const column = quoted(rule.column);
      const params: unknown[] = [];
      const cases = rule.ranges.map(({ below, shard }, index) => {
        const isNull = index === 0 ? `${column} IS NULL OR ` : '';
        if (below === undefined) {
          params.push(shard);
          return 'WHEN TRUE THEN ?';
        }
        const bound = sqlValue(below, rule.keyType);
        params.push(...bound.params, shard);
        return `WHEN ${isNull}${column} < ${bound.sql} THEN ?`;
      });
      return grouped(`CASE ${cases.join(' ')} END`, '', params);
    }
    case 'keys': {
      const homes: { readonly to: string; readonly rows: number }[] = [];
      for (const { text, to } of rule.keys) {
        const key = sqlValue(text, rule.keyType);
        const where = `WHERE ${quoted(rule.column)} = ${key.sql}`;
        homes.push(...(await grouped('?', where, [to, ...key.params])));
      }
      return homes;
    }
    case 'other-keys': {
      const column = quoted(rule.column);
      const keys = rule.keys.map((text) => sqlValue(text, rule.keyType));
      const list = keys.map(({ sql }) => sql).join(', ');
      const where =
        keys.length === 0 ? '' : `WHERE ${column} IS NULL OR ${column} NOT IN (${list})`;
      const params = keys.flatMap((key) => key.params);
      return grouped('?', where, ['any shard, key by key', ...params]);
    }
  }
}

/**
 * The ring as a table: a position belongs to the first arc of its bucket that reaches it. The buckets are what makes
 * that a look-up: servers do not search a range by a value of the row in hand. Returns how far to shift for the bucket.
 */
async function createArcs(
  session: ControlSession,
  ring: Extract<HomeRule, { kind: 'hash' }>['ring'],
): Promise<number> {
  const arcs = new Map<number, ShardId>();
  // Of several places at one position the first counts.
  for (const { until, shard } of ring.arcs()) if (!arcs.has(until)) arcs.set(until, shard);
  const bits = Math.min(BUCKET_BITS_MAX, Math.ceil(Math.log2(arcs.size + 1)));
  const size = 2 ** (POSITION_BITS - bits);
  // Each bucket ends with an arc, so that none has to look into the next.
  for (let bucket = 1; bucket <= 2 ** bits; bucket++) {
    const until = bucket * size - 1;
    if (!arcs.has(until)) arcs.set(until, ring.ownerOf(until));
  }
  await session.query('DROP TEMPORARY TABLE IF EXISTS shardgate.arcs');
  await session.query(
    'CREATE TEMPORARY TABLE shardgate.arcs (bucket BIGINT UNSIGNED NOT NULL, until BIGINT UNSIGNED NOT NULL, shard VARCHAR(64) NOT NULL, PRIMARY KEY (bucket, until)) ENGINE = InnoDB',
  );
  const rows = [...arcs].map(([until, shard]) => [Math.floor(until / size), until, shard]);
  for (let at = 0; at < rows.length; at += ARCS_PER_INSERT) {
    await session.query('INSERT INTO shardgate.arcs (bucket, until, shard) VALUES ?', [
      rows.slice(at, at + ARCS_PER_INSERT),
    ]);
  }
  return POSITION_BITS - bits;
}

/** What the key's collation pads with has to be known before positions can be computed in SQL. */
async function padOf(weights: CollationWeights, rule: HomeRule, shard: ShardId): Promise<string> {
  if (rule.kind !== 'hash' || rule.keyType.kind !== 'text') return '';
  const { charset, collation } = rule.keyType;
  if (weights.padOf(collation) === undefined) {
    await weights.load([{ kind: 'weight', charset, collation, text: ' x' }], [shard]);
  }
  const pad = weights.padOf(collation);
  if (pad === undefined) throw new Error(`nobody knows what ${collation} pads with`);
  return pad;
}

/** Text of the config as SQL: a bare number where the column is one, since as text it would be compared as a double. */
function sqlValue(
  text: string,
  type: KeyType,
): { readonly sql: string; readonly params: unknown[] } {
  if (type.kind === 'integer' || type.kind === 'decimal') {
    if (!/^[+-]?\d+(?:\.\d+)?$/.test(text)) throw new Error('a bound that was not checked');
    return { sql: text, params: [] };
  }
  return { sql: '?', params: [type.kind === 'binary' ? Buffer.from(text) : text] };
}

export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
