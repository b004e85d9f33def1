import type { Lease, ReplyEnd } from '../backend/lease.ts';
import type { ShardResult } from '../backend/row-reply.ts';
import { notSupported } from '../errors/proxy-error.ts';
import { assert } from '../runtime/assert.ts';
import type { ExecutionContext, StatementOutcome } from './execution.ts';
import { insertOutcome } from './insert-outcome.ts';
import type { InsertFacts } from './insert-text.ts';
import type { ShardText } from './render-text.ts';
import { type RoutedStatement, writesSeveralShards } from './routed-statement.ts';
import { firstByRow } from './row-numbers.ts';
import { ShardAnswers, statementClock } from './shard-answers.ts';
import { abortError } from './shard-command.ts';
import { agreedOk, sumOk } from './write-counts.ts';

type RoutedWrite = Extract<RoutedStatement, { kind: 'write' }>;

/**
 * A write on several shards, all or nothing by the transaction it runs in, or an INSERT whose ids
 * come from a sequence. The OK goes to `context.reply` when all shards have done their part: in
 * autocommit the session holds it back until the commit.
 */
export async function executeWrite(
  routed: RoutedWrite,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  assert(
    !writesSeveralShards(routed) || context.leases.inTransaction,
    'a write on several shards runs in a transaction',
  );
  const shards = routed.texts.map((text) => text.shard);
  const ends = await writeAll(routed, context);
  const counts = routed.reference ? agreedOk(ends, shards) : sumOk(ends);
  const outcome =
    routed.insert === undefined
      ? { ...counts, generatedId: undefined }
      : await insertOutcome({ ends, counts, routed, insert: routed.insert }, context);
  const { generatedId, ...ok } = outcome;
  context.reply.ok(ok);
  if (routed.insert?.generated === undefined) return { kind: 'ok', ...ok };
  // The OK may name a row that was there before, which LAST_INSERT_ID() is not to know of.
  if (generatedId === undefined) return { kind: 'ok', ...ok, lastInsertId: 0 };
  return { kind: 'ok', ...ok, generatedId };
}

/**
 * All shards are asked at once, in the order of the config. Two statements that want the same rows of
 * several shards can then still wait for each other, each on another shard, until a lock wait times
 * out; asking one shard after the other would prevent it at the price of a round trip a shard.
 * Reference tables, whose few rows everybody writes on all shards, pay for one: who has got the
 * rows of the first shard gets them everywhere.
 */
async function writeAll(
  routed: RoutedWrite,
  context: ExecutionContext,
): Promise<readonly ReplyEnd[]> {
  const [first, ...others] = routed.texts;
  const clock = routed.texts.length > 1 ? statementClock(context) : undefined;
  const write = (texts: readonly ShardText[]): Promise<readonly ReplyEnd[]> =>
    writeAtOnce(texts, { clock, insert: routed.insert }, context);
  if (!routed.reference || first === undefined || others.length === 0) {
    return write(routed.texts);
  }
  const gate = await write([first]);
  return [...gate, ...(await write(others))];
}

async function writeAtOnce(
  texts: readonly ShardText[],
  how: { readonly clock: string | undefined; readonly insert: InsertFacts | undefined },
  context: ExecutionContext,
): Promise<readonly ReplyEnd[]> {
  const answers = new ShardAnswers(context, how.clock);
  try {
    const settled = await answers.openAll(texts);
    if (context.signal.aborted) throw abortError(context.signal);
    const failed = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (failed.length > 0) {
      throw how.insert === undefined ? failed[0] : firstByRow(failed, how.insert);
    }
    return settled.flatMap((one) =>
      one.status === 'fulfilled' ? [okEnd(one.value.result, one.value.lease)] : [],
    );
  } finally {
    await answers.close();
  }
}

function okEnd(result: ShardResult, lease: Lease): ReplyEnd {
  if (result.kind === 'ok') return result.end;
  throw notSupported(
    `writes that return rows (RETURNING) with generated ids or on several shards; shard '${lease.shard}' sent rows`,
  );
}
