import type { ReplyEnd } from '../backend/lease.ts';
import type { ExecutionContext } from './execution.ts';
import type { InsertFacts } from './insert-text.ts';
import type { ShardText } from './render-text.ts';
import { RowFields } from './row-fields.ts';
import { ShardAnswers } from './shard-answers.ts';
import type { OkCounts } from './write-counts.ts';

export interface InsertAnswers {
  /** In the order of `routed.texts`. */
  readonly ends: readonly ReplyEnd[];
  readonly counts: OkCounts;
  readonly routed: { readonly texts: readonly ShardText[]; readonly reference: boolean };
  readonly insert: InsertFacts;
}

type InsertOutcome = OkCounts & { readonly generatedId: bigint | undefined };

const INSERT_INFO = /^Records: (\d+) {2}Duplicates: (\d+) {2}Warnings: (\d+)$/;

/**
 * The OK of an INSERT as one server would give it. Its insert id is the first generated id that got
 * into the table (LAST_INSERT_ID() from then on); without generated ids the last explicit one.
 */
export async function insertOutcome(
  answers: InsertAnswers,
  context: ExecutionContext,
): Promise<InsertOutcome> {
  const { counts, routed, insert } = answers;
  const ok = { ...counts, info: routed.reference ? counts.info : insertInfo(answers) };
  const generatedId = await firstGenerated(answers, ok, context);
  if (generatedId !== undefined) {
    const small = generatedId <= Number.MAX_SAFE_INTEGER;
    return { ...ok, lastInsertId: small ? Number(generatedId) : generatedId, generatedId };
  }
  // With ON DUPLICATE KEY UPDATE that is the id of the row which was there already.
  const last = routed.texts.findIndex((text) => text.shard === insert.lastShard);
  const lastInsertId = answers.ends[last]?.lastInsertId ?? 0;
  return { ...ok, lastInsertId, generatedId: undefined };
}

/** Shards that got a single row say nothing; one server says it all when there are several rows. */
function insertInfo({ ends, routed, insert }: InsertAnswers): string {
  const total = [...insert.rowNumbers.values()].reduce((sum, rows) => sum + rows.length, 0);
  if (total === 1) return '';
  let duplicates = 0;
  let warnings = 0;
  ends.forEach((end, at) => {
    const match = INSERT_INFO.exec(end.info);
    if (match !== null) {
      duplicates += Number(match[2]);
      warnings += Number(match[3]);
    } else {
      warnings += end.warningCount;
      // Replaced or updated: 2. Left out by IGNORE: 0, and a warning says so.
      const count = insert.rowNumbers.get((routed.texts[at] as ShardText).shard)?.length;
      const leftOut = end.affectedRows === 0 && end.warningCount > 0;
      if (count === 1 && (end.affectedRows === 2 || leftOut)) duplicates += 1;
    }
  });
  return `Records: ${total}  Duplicates: ${duplicates}  Warnings: ${warnings}`;
}

async function firstGenerated(
  answers: InsertAnswers,
  ok: OkCounts,
  context: ExecutionContext,
): Promise<bigint | undefined> {
  const { generated } = answers.insert;
  if (generated === undefined || ok.affectedRows === 0) return undefined;
  if (everyRowIsNew(answers, ok)) return generated.first;
  // IGNORE, REPLACE or ON DUPLICATE KEY UPDATE: which ids got in, only the table knows.
  const texts = answers.routed.reference ? answers.routed.texts.slice(0, 1) : answers.routed.texts;
  return probe(texts, generated.probe, context);
}

/** Told by the shards' OKs, which is what happens nearly always. */
function everyRowIsNew({ ends, insert, routed }: InsertAnswers, ok: OkCounts): boolean {
  const { generated } = insert;
  const rows = routed.reference
    ? (insert.rowNumbers.get(insert.lastShard)?.length ?? 0)
    : [...insert.rowNumbers.values()].reduce((sum, rows) => sum + rows.length, 0);
  if (BigInt(ok.affectedRows) !== BigInt(rows)) return false;
  if (rows > 1) return INSERT_INFO.exec(ok.info)?.[2] === '0';
  // To clients with CLIENT_FOUND_ROWS a row that was only found counts as 1 too.
  if (generated?.toldBy === 'id') return BigInt(ends[0]?.lastInsertId ?? 0) === generated.first;
  return generated?.toldBy === 'count';
}

async function probe(
  texts: readonly ShardText[],
  sql: string,
  context: ExecutionContext,
): Promise<bigint | undefined> {
  const answers = new ShardAnswers(context, undefined);
  const fields = new RowFields(1);
  let least: bigint | undefined;
  try {
    const opened = await answers.open(texts.map(({ shard }) => ({ shard, sql: Buffer.from(sql) })));
    for (const { rows } of opened) {
      for await (const batch of rows) {
        for (const row of batch) {
          const text = fields.read(row).latin1(0);
          if (text !== undefined && (least === undefined || BigInt(text) < least)) {
            least = BigInt(text);
          }
        }
      }
    }
  } finally {
    await answers.close();
  }
  return least;
}
