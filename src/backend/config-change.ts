import type { PathProblem } from '../topology/config-problems.ts';
import type { ProxyConfig, ShardConfig } from '../topology/config-schema.ts';
import { type MissingTable, type RehomingQuestion, rehomingBetween } from '../topology/rehoming.ts';
import { type ShardId, shardIds } from '../topology/strategy.ts';
import { shardsOfTable, type Topology } from '../topology/topology.ts';
import type { CollationWeights } from './collation-weights.ts';
import { ControlConnections } from './control-connection.ts';
import { ensureMetadataSchema } from './metadata-schema.ts';
import { countMisplaced, type MisplacedRows, quoted } from './rehoming-count.ts';
import { checkIdentities } from './shard-identities.ts';
import type { Draft, DraftOf } from './topology-loader.ts';

/** What a new config would do to the cluster. */
export interface ExaminedChange {
  /** Undefined when there are problems that keep it from being made. */
  readonly draft: Draft | undefined;
  readonly problems: readonly PathProblem[];
  readonly misplaced: readonly MisplacedRows[];
  readonly missing: readonly MissingTable[];
  /** What was asked: to be asked again when statements that began before the change have ended. */
  readonly questions: readonly RehomingQuestion[];
  readonly ids: ReadonlyMap<ShardId, string>;
}

export interface ChangeParts {
  /** Connections to the shards of `before`. */
  readonly control: ControlConnections;
  readonly weights: CollationWeights;
  readonly draftOf: DraftOf;
  readonly before: ProxyConfig;
  readonly after: ProxyConfig;
  readonly metadataShard: ShardId;
  /** False: another proxy has counted, and recorded the config. */
  readonly isEdit: boolean;
  /** `after` was in force a moment ago, and may have written rows since. */
  readonly isReturn?: boolean;
  /** Only to see what would happen: shards that are new are not set up. */
  readonly isDryRun?: boolean;
}

/**
 * Asks the shards whether a config may follow the one in force. Nothing comes into force here. Whatever cannot be
 * found out is a problem: a config that is right can be saved again.
 */
export async function examineChange(parts: ChangeParts): Promise<ExaminedChange> {
  const { before, after, control } = parts;
  const isOtherShards = JSON.stringify(before.shards) !== JSON.stringify(after.shards);
  if (!isOtherShards) return examineOver(control, parts);
  // Of its own: whoever works with the shards in force must not be led to others before the change is decided.
  const probe = new ControlConnections({
    shards: shardMap({ ...before.shards, ...after.shards }),
    connectTimeoutMs: after.limits.connect_timeout_ms,
  });
  try {
    return await examineOver(probe, parts);
  } finally {
    closeLater(probe);
  }
}

/** Rows that were written by the map before, after they were counted. Shards may have left since. */
export async function countLate(
  parts: Pick<ChangeParts, 'weights' | 'before' | 'after'>,
  questions: readonly RehomingQuestion[],
): Promise<readonly MisplacedRows[]> {
  const { before, after, weights } = parts;
  const probe = new ControlConnections({
    shards: shardMap({ ...before.shards, ...after.shards }),
    connectTimeoutMs: after.limits.connect_timeout_ms,
  });
  try {
    return await countMisplaced(probe, weights, questions);
  } finally {
    closeLater(probe);
  }
}

/** Nobody waits for connections to say goodbye: a server may take its time for that. */
function closeLater(probe: ControlConnections): void {
  probe.close().catch(() => {}); // What was asked is answered.
}

export function shardMap(shards: ProxyConfig['shards']): ReadonlyMap<ShardId, ShardConfig> {
  return new Map(Object.entries(shards) as [ShardId, ShardConfig][]);
}

async function examineOver(probe: ControlConnections, parts: ChangeParts): Promise<ExaminedChange> {
  const { before, after, draftOf, metadataShard, isEdit } = parts;
  const others = shardIds(Object.keys(after.shards)).filter(
    (shard) => JSON.stringify(before.shards[shard]) !== JSON.stringify(after.shards[shard]),
  );
  const problems: PathProblem[] = [];
  const failed = (more: readonly PathProblem[]): ExaminedChange => ({
    draft: undefined,
    problems: [...problems, ...more],
    misplaced: [],
    missing: [],
    questions: [],
    ids: new Map(),
  });
  let ids: ReadonlyMap<ShardId, string> = new Map();
  if (others.length > 0 && parts.isDryRun !== true) {
    const down = await ensureMetadataSchema(probe, others);
    const place = { metadataShard, cluster: after.cluster };
    const shards = shardIds(Object.keys(after.shards));
    const known = await checkIdentities(probe, place, shards, parts.control);
    ids = known.ids;
    problems.push(
      ...down.map((shard) => ({ path: ['shards', shard], message: 'cannot be reached' })),
      ...known.problems.map(({ shard, message }) => ({ path: ['shards', shard], message })),
    );
    if (problems.length > 0) return failed([]);
  }
  const isOtherMap = JSON.stringify(before.databases) !== JSON.stringify(after.databases);
  const reading = isOtherMap || others.length > 0 ? probe : undefined;
  const [draft, old] = await Promise.all([
    draftOf(after, reading),
    isOtherMap && isEdit ? draftOf(before, probe) : undefined,
  ]);
  if (draft.loaded.problems.length > 0) return failed(draft.loaded.problems);
  if (old === undefined) return { draft, problems, misplaced: [], missing: [], questions: [], ids };
  const silent = [...new Set([...old.loaded.unreachable, ...draft.loaded.unreachable])];
  if (silent.length > 0) {
    const message = `would be changed while ${silent.join(', ')} cannot be asked for its rows`;
    return failed([{ path: ['databases'], message }]);
  }
  const { questions, missing } = rehomingBetween(old.loaded.topology, draft.loaded.topology, {
    isReturn: parts.isReturn === true,
  });
  const misplaced = await countMisplaced(probe, parts.weights, questions);
  if (misplaced.length > 0) {
    return { ...failed(misplacedProblems(misplaced)), misplaced };
  }
  return { draft, problems, misplaced, missing, questions, ids };
}

/** One problem a table, with what is where now and where it would have to be. */
export function misplacedProblems(misplaced: readonly MisplacedRows[]): readonly PathProblem[] {
  const tables = Map.groupBy(misplaced, ({ question }) =>
    JSON.stringify([question.database, question.table]),
  );
  return [...tables.values()].map((rows) => {
    const moves = rows.map(({ question, rows: count, to }) => {
      const home = /^\S+$/.test(to) ? `at home on ${to}` : to;
      return `${count} row${count === 1 ? '' : 's'} on ${question.shard} would be ${home}`;
    });
    const { path, table } = (rows[0] as MisplacedRows).question;
    // Where the setting is not the table's own, the path does not name it.
    const subject = path.at(-1) === table ? '' : `would leave table ${table} as it is: it `;
    const message = `${subject}has rows that this would strand (moves: refuse): ${moves.join('; ')}`;
    return { path, message };
  });
}

/** Makes empty tables, and databases, where a new map may send rows. */
export async function createMissing(
  control: ControlConnections,
  before: Topology,
  after: { readonly topology: Topology; readonly missing: readonly MissingTable[] },
): Promise<void> {
  for (const [name, database] of after.topology.databases) {
    const known = before.databases.get(name)?.shards ?? [];
    const used = new Set([
      ...database.shards,
      ...[...database.tables.values()].flatMap(shardsOfTable),
    ]);
    for (const shard of used) {
      if (known.includes(shard)) continue;
      await control.query(
        shard,
        `CREATE DATABASE IF NOT EXISTS ${await databaseLike(control, name, known[0])}`,
      );
    }
  }
  for (const { database, table, from, to } of after.missing) {
    const { rows } = await control.query(
      from,
      `SHOW CREATE TABLE ${quoted(database)}.${quoted(table)}`,
    );
    const statement = String(Object.values(rows[0] ?? {})[1]);
    await control.session(to, async (session) => {
      await session.query(`USE ${quoted(database)}`);
      // A referenced table may come later in this list.
      await session.query('SET SESSION foreign_key_checks = 0');
      await session.query(statement.replace(/^CREATE TABLE/, 'CREATE TABLE IF NOT EXISTS'));
      await session.query('SET SESSION foreign_key_checks = 1');
    });
  }
}

async function databaseLike(
  control: ControlConnections,
  name: string,
  model: ShardId | undefined,
): Promise<string> {
  if (model === undefined) return quoted(name);
  const { rows } = await control.query(
    model,
    'SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?',
    [name],
  );
  const [row] = rows;
  if (row === undefined) return quoted(name);
  return `${quoted(name)} CHARACTER SET ${row.charset} COLLATE ${row.collation}`;
}
