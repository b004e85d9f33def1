import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ExecutionContext, StatementOutcome } from './execution.ts';
import type { RoutedStatement } from './routed-statement.ts';
import { type ShardAnswer, ShardAnswers } from './shard-answers.ts';
import { sumOk } from './write-counts.ts';

type RoutedDdl = Extract<RoutedStatement, { kind: 'ddl' }>;

/**
 * A schema change on every shard that holds the table. MySQL cannot take DDL back, so a failure on
 * one shard leaves the others changed: the error says which. All shards are asked at once: the time
 * in which they differ is then the shortest. The session re-reads the schemas afterwards, also after an error.
 */
export async function executeDdl(
  routed: RoutedDdl,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  const shards = routed.texts.map((text) => text.shard);
  const answers = new ShardAnswers(context, undefined);
  let settled: readonly PromiseSettledResult<ShardAnswer>[];
  try {
    settled = await answers.openAll(routed.texts);
  } finally {
    await answers.close();
  }
  const failure = ddlFailure(shards, settled);
  if (failure !== undefined) throw failure;
  const ends = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    if (one.value.result.kind === 'ok') return one.value.result.end;
    throw new ProxyError(
      'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
      `Shard '${one.value.lease.shard}' answers a schema change with rows`,
    );
  });
  const counts = { ...sumOk(ends), lastInsertId: 0 };
  context.reply.ok(counts);
  return { kind: 'ok', ...counts };
}

/** With the number of the first failing shard's error; where all shards say the same, just that. */
function ddlFailure(
  shards: readonly string[],
  settled: readonly PromiseSettledResult<ShardAnswer>[],
): Error | undefined {
  const failed = settled.flatMap((one, at) =>
    one.status === 'rejected' ? [{ shard: shards[at] as string, error: asError(one.reason) }] : [],
  );
  const [first] = failed;
  if (first === undefined) return undefined;
  const done = shards.filter((_, at) => settled[at]?.status === 'fulfilled');
  const alike = failed.every(({ error }) => error.message === first.error.message);
  if (done.length === 0 && alike) return first.error;
  const reports = failed.map(({ shard, error }) => `'${shard}': ${error.message}`);
  const doneOn =
    done.length === 0 ? 'on no shard' : `on ${done.map((shard) => `'${shard}'`).join(', ')}`;
  const message = `The schema change is done ${doneOn}, but failed on ${reports.join('; ')}`;
  return withMessage(first.error, first.shard, message);
}

function withMessage(error: Error, shard: string, message: string): Error {
  if (error instanceof ShardError) {
    return new ShardError({ errno: error.errno, sqlState: error.sqlState, message, shard });
  }
  if (error instanceof ProxyError) return new ProxyError(error.code, message, { cause: error });
  return new ProxyError('ER_QUERY_ON_FOREIGN_DATA_SOURCE', message, { cause: error });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
