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
  let settled: readonly PromiseSettledResult<ShardAnswer>[] = [];
  let collected = 0;
  const { leases, signal, facts, collectWarnings } = context;
  const answers = new ShardAnswers(
    {
      leases,
      signal,
      facts,
      collectWarnings: async (lease) => {
        if (!warnAlike(settled) || collected++ === 0) await collectWarnings?.(lease);
      },
    },
    undefined,
  );
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
  const sum = sumOk(ends);
  const warningCount = warnAlike(settled) ? (ends[0]?.warningCount ?? 0) : sum.warningCount;
  const counts = { ...sum, warningCount, lastInsertId: 0 };
  context.reply.ok(counts);
  return { kind: 'ok', ...counts };
}

/** True when every shard has as much to say: of the schema then, which is one, and not of its rows. */
function warnAlike(settled: readonly PromiseSettledResult<ShardAnswer>[]): boolean {
  const counts = settled.map((one) =>
    one.status === 'fulfilled' && one.value.result.kind === 'ok'
      ? one.value.result.end.warningCount
      : undefined,
  );
  return counts.every((count) => count !== undefined && count === counts[0]);
}

/**
 * Where all shards say the same, just that. Where some are changed the number is 1105: after the
 * error of one server (a lock wait that took too long, a duplicate key) nothing has changed, and
 * programs act on that.
 */
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
  if (done.length > 0) return new ProxyError('ER_UNKNOWN_ERROR', message, { cause: first.error });
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
