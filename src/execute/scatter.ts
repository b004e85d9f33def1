import type { ReplyEnd } from '../backend/lease.ts';
import type { ShardResult } from '../backend/row-reply.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import { decodeColumnDefinition } from '../wire/result-set-packets.ts';
import type { ClientReply, ExecutionContext, StatementOutcome } from './execution.ts';
import { mergeRows } from './merge-rows.ts';
import type { RoutedStatement } from './routed-statement.ts';
import { MergeMemory, type RowBatches } from './row-batches.ts';
import { RowCutter } from './row-fields.ts';
import { replyEnd, type ShardAnswer, ShardAnswers, statementClock } from './shard-answers.ts';
import { whileWanted } from './shard-command.ts';
import { sumOk } from './write-counts.ts';

type RoutedScatter = Extract<RoutedStatement, { kind: 'scatter' }>;
type RowsResult = Extract<ShardResult, { kind: 'rows' }>;

/** The count in an EOF packet has two bytes. */
const WARNINGS_MAX = 0xffff;

/** Asks the shards, merges their rows while they come, and streams the result to the client. */
export async function executeScatter(
  routed: RoutedScatter,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  const answers = new ShardAnswers(context, routed.fixClock ? statementClock(context) : undefined);
  let rowsSent = 0;
  let results: readonly RowsResult[];
  try {
    const opened = await answers.open(routed.texts);
    const oks = opened.map(({ result }) => result).filter((result) => result.kind === 'ok');
    if (oks.length === opened.length) {
      await answers.close();
      return answerOk(
        oks.map((ok) => ok.end),
        context.reply,
      );
    }
    results = rowResults(opened);
    const columns = (results[0] as RowsResult).columns;
    const rows = mergeRows(
      opened.map((answer) => answer.rows),
      {
        merge: routed.merge,
        limit: routed.limit,
        columns: columns.map(decodeColumnDefinition),
        memory: new MergeMemory(context.topology.config.limits),
      },
    );
    rowsSent = await sendRows(rows, columns, routed.merge.hiddenColumns, context);
  } finally {
    await answers.close();
  }
  const outcome = answerRows(results, rowsSent, context.reply);
  // Without a row sent, nobody knows how many there are before the offset.
  return rowsSent === 0
    ? outcome
    : { ...outcome, rowsFound: rowsSent + (routed.limit?.offset ?? 0) };
}

/** Sends definitions and rows without the columns that only the merge needed. */
async function sendRows(
  rows: RowBatches,
  columns: readonly Buffer[],
  hidden: number,
  context: Pick<ExecutionContext, 'reply' | 'signal'>,
): Promise<number> {
  const { reply, signal } = context;
  const cutter = hidden === 0 ? undefined : new RowCutter(columns.length - hidden);
  let sent = 0;
  let begun = false;
  const begin = () => {
    // Only now: what goes wrong before the first row is still a plain error.
    if (!begun) reply.columns(columns.slice(0, columns.length - hidden));
    begun = true;
  };
  for await (const batch of rows) {
    begin();
    const visible = cutter === undefined ? batch : batch.map((row) => cutter.cut(row));
    sent += visible.length;
    if (!reply.rows(visible)) await whileWanted(reply.drained(), signal);
  }
  begin();
  return sent;
}

function answerRows(
  results: readonly RowsResult[],
  rowsSent: number,
  reply: ClientReply,
): StatementOutcome {
  let statusFlags = 0;
  let warnings = 0;
  for (const result of results) {
    // A shard that was stopped since its rows were not wanted has no end.
    const end = replyEnd(result);
    if (end === undefined) continue;
    statusFlags |= end.statusFlags;
    warnings += end.warningCount;
  }
  const warningCount = Math.min(warnings, WARNINGS_MAX);
  reply.endOfRows({ warningCount });
  return { kind: 'rows', statusFlags, warningCount, affectedRows: 0, lastInsertId: 0, rowsSent };
}

function answerOk(ends: readonly ReplyEnd[], reply: ClientReply): StatementOutcome {
  const counts = sumOk(ends);
  reply.ok(counts);
  return { kind: 'ok', ...counts };
}

/** Every shard answers with rows, of one shape; anything else is schemas that have drifted apart. */
function rowResults(answers: readonly ShardAnswer[]): readonly RowsResult[] {
  const first = answers[0]?.result;
  return answers.map(({ result, lease }) => {
    if (
      result.kind !== 'rows' ||
      first?.kind !== 'rows' ||
      result.columns.length !== first.columns.length
    ) {
      throw new ProxyError(
        'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
        `Shard '${lease.shard}' answers with other columns than '${answers[0]?.lease.shard}'; ` +
          'the table differs between the shards',
      );
    }
    return result;
  });
}
