import { ProxyError } from '../errors/proxy-error.ts';
import type { InsertPlan, InsertPlanRow } from '../plan/plan.ts';
import { routeRows } from '../plan/route.ts';
import { applySplices, quoteIdentifier, type Splice } from '../sql/splice.ts';
import type { Span } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { BoundStatement, ExecutionContext } from './execution.ts';
import { type ShardText, splicesOf, TextPlaces } from './render-text.ts';
import { routeWithLookups } from './routed-shards.ts';

const ROW_SEPARATOR = Buffer.from(', ');

/** What the answer to an INSERT is made of, beside the shards' own. */
export interface InsertFacts {
  /** Which rows of the statement each shard gets, counted from 1 as errors and warnings count them. */
  readonly rowNumbers: ReadonlyMap<ShardId, readonly number[]>;
  /** The shard of the statement's last row. */
  readonly lastShard: ShardId;
  /** Ids that came from a sequence: to the shards they are explicit values. */
  readonly generated?: {
    readonly first: bigint;
    /** Finds the first of these ids that is in the table. */
    readonly probe: string;
    /**
     * How to tell by a shard's OK whether a single row is new: by its id, which is reported for
     * AUTO_INCREMENT columns; by the count; or not at all, as with ON DUPLICATE KEY UPDATE.
     */
    readonly toldBy: 'id' | 'count' | 'nothing';
  };
}

export interface RoutedInsert {
  readonly texts: readonly ShardText[];
  readonly insert: InsertFacts;
}

/** Takes ids for the rows that need one, finds each row's shard, and gives each shard its rows. */
export async function routeInsert(
  plan: InsertPlan,
  bound: BoundStatement,
  context: Pick<ExecutionContext, 'caches' | 'lookups' | 'sequences' | 'facts'>,
): Promise<RoutedInsert> {
  await observeOwnIds(plan, bound, context.sequences);
  const first = await takeIds(plan, context);
  const shardRows = await rowsByShard(plan, bound, { context, first });
  const text = new InsertText(plan, bound, splicesOf(bound, plan.edits, context.facts));
  const texts = [...shardRows].map(([shard, rows]) => ({ shard, sql: text.withRows(rows, first) }));
  const toldBy = rowToldBy(plan, text.suffix);
  return {
    texts,
    insert: insertFacts(plan, shardRows, first === undefined ? undefined : { first, toldBy }),
  };
}

function insertFacts(
  plan: InsertPlan,
  shardRows: ReadonlyMap<ShardId, readonly InsertPlanRow[]>,
  ids: { readonly first: bigint; readonly toldBy: 'id' | 'count' | 'nothing' } | undefined,
): InsertFacts {
  const lastRow = plan.rows.at(-1);
  const entries = [...shardRows];
  const last = entries.find(([, rows]) => rows.at(-1) === lastRow);
  if (last === undefined) throw new Error('an INSERT without rows');
  const numbers = new Map(plan.rows.map((row, index) => [row, index + 1]));
  const rowNumbers = new Map(
    entries.map(([shard, rows]) => [shard, rows.map((row) => numbers.get(row) ?? 0)]),
  );
  const facts = { rowNumbers, lastShard: last[0] };
  if (ids === undefined || plan.generate === undefined) return facts;
  const { first, toldBy } = ids;
  const column = quoteIdentifier(plan.generate.column);
  const table = `${quoteIdentifier(plan.table.database)}.${quoteIdentifier(plan.table.name)}`;
  const end = first + BigInt(plan.generate.count) - 1n;
  const probe = `SELECT MIN(${column}) FROM ${table} WHERE ${column} BETWEEN ${first} AND ${end}`;
  return { ...facts, generated: { first, probe, toldBy } };
}

/** The words ON DUPLICATE KEY UPDATE can only stand behind the rows; seeing them too often does no harm. */
function rowToldBy(plan: InsertPlan, suffix: Buffer): 'id' | 'count' | 'nothing' {
  const reported = plan.table.schema?.autoIncrementColumn?.toLowerCase();
  if (reported !== undefined && reported === plan.generate?.column.toLowerCase()) return 'id';
  return /duplicate/i.test(suffix.toString('latin1')) ? 'nothing' : 'count';
}

async function takeIds(
  plan: InsertPlan,
  context: Pick<ExecutionContext, 'sequences'>,
): Promise<bigint | undefined> {
  const { generate, table } = plan;
  if (generate === undefined || generate.count === 0) return undefined;
  return context.sequences.take(table.database, table.name, generate.column, generate.count);
}

/** Before the rows are sent, so that nobody is given one of these ids meanwhile. */
async function observeOwnIds(
  plan: InsertPlan,
  { text, literals }: BoundStatement,
  sequences: ExecutionContext['sequences'],
): Promise<void> {
  const { ownIds, table } = plan;
  if (ownIds === undefined) return;
  let largest = 0n;
  for (const slot of ownIds.slots) {
    const id = text.toString('latin1', literals.starts[slot], literals.ends[slot]);
    const value = BigInt(/^'?(\d+)'?$/.exec(id)?.[1] ?? 0);
    if (value > largest) largest = value;
  }
  if (largest > 0n) {
    await sequences.observe?.(table.database, table.name, ownIds.column, largest);
  }
}

async function rowsByShard(
  plan: InsertPlan,
  bound: BoundStatement,
  options: {
    readonly context: Pick<ExecutionContext, 'caches' | 'lookups'>;
    readonly first: bigint | undefined;
  },
): Promise<ReadonlyMap<ShardId, readonly InsertPlanRow[]>> {
  if (plan.target.kind === 'every') {
    return new Map(plan.target.shards.map((shard) => [shard, plan.rows]));
  }
  const { context, first } = options;
  const shards = await routeWithLookups(
    (homeless) => {
      if (homeless.length > 0) throw noHome(plan);
      const routed = routeRows(plan, bound, context.caches, first);
      return routed.kind === 'rows' ? { kind: 'routed', result: routed.shards } : routed;
    },
    { context, assign: true },
  );
  const byShard = new Map<ShardId, InsertPlanRow[]>();
  plan.rows.forEach((row, index) => {
    const shard = shards[index];
    if (shard === undefined) throw new Error(`row ${index} has no shard`);
    const rows = byShard.get(shard);
    if (rows === undefined) byShard.set(shard, [row]);
    else rows.push(row);
  });
  return byShard;
}

function noHome(plan: InsertPlan): ProxyError {
  return new ProxyError(
    'ER_NO_PARTITION_FOR_GIVEN_VALUE',
    `Table '${plan.table.name}' has no shard for a key of this statement: its directory assigns no new ` +
      'keys; pin the key in shards.yaml',
  );
}

/** Where a row and its generated id stand in the text. */
interface RowPlace extends Span {
  readonly generated: Span | undefined;
}

/** The client's text cut into what stands before the rows, the rows, and what stands behind. */
class InsertText {
  readonly #bound: BoundStatement;
  readonly #splices: readonly Splice[];
  readonly #prefix: Buffer;
  readonly suffix: Buffer;
  readonly #places = new Map<InsertPlanRow, RowPlace>();

  constructor(plan: InsertPlan, bound: BoundStatement, splices: readonly Splice[]) {
    this.#bound = bound;
    this.#splices = splices;
    const places = new TextPlaces(bound.literals);
    const { start, end } = places.span(plan.rowsSpan);
    this.#prefix = this.#piece(0, start, []);
    this.suffix = this.#piece(end, bound.text.length, []);
    for (const row of plan.rows) {
      const from = places.at(row.span.start);
      const generated = row.generatedAt && places.span(row.generatedAt.span);
      this.#places.set(row, { start: from, end: places.at(row.span.end), generated });
    }
  }

  withRows(rows: readonly InsertPlanRow[], first: bigint | undefined): Buffer {
    const pieces: Buffer[] = [this.#prefix];
    rows.forEach((row, index) => {
      if (index > 0) pieces.push(ROW_SEPARATOR);
      pieces.push(this.#row(row, first));
    });
    pieces.push(this.suffix);
    return Buffer.concat(pieces);
  }

  #row(row: InsertPlanRow, first: bigint | undefined): Buffer {
    const place = this.#places.get(row);
    if (place === undefined) throw new Error('a row of another plan');
    const { start, end, generated } = place;
    if (row.generatedAt === undefined || generated === undefined)
      return this.#piece(start, end, []);
    if (first === undefined) throw new Error('a generated id without a sequence');
    const replacement = `${row.generatedAt.separator}${first + BigInt(row.generatedAt.index)}`;
    return this.#piece(start, end, [{ ...generated, replacement }]);
  }

  /** The text from `from` to `to` with the changes that lie in it, and those given. */
  #piece(from: number, to: number, more: readonly Splice[]): Buffer {
    const isLast = to === this.#bound.text.length;
    const within = this.#splices.filter(
      // What is put in at a border belongs to the piece that begins there.
      ({ start, end }) => start >= from && end <= to && (start < to || isLast),
    );
    const shifted = [...within, ...more]
      .sort((a, b) => a.start - b.start || a.end - b.end)
      .map((splice) => ({ ...splice, start: splice.start - from, end: splice.end - from }));
    const piece = this.#bound.text.subarray(from, to);
    return shifted.length === 0 ? piece : applySplices(piece, shifted);
  }
}
