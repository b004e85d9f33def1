import type { Lease } from '../backend/lease.ts';
import { queryRows, type ShardResult } from '../backend/row-reply.ts';
import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import { CopyWriter, GatherBudget } from './copy-writer.ts';
import type { ExecutionContext, StatementOutcome } from './execution.ts';
import { GatherLeases } from './gather-leases.ts';
import { type RoutedGather, type RoutedInput, textOverCopies } from './routed-gather.ts';
import { ScratchTables } from './scratch-tables.ts';
import { abortError, whileWanted } from './shard-command.ts';

const ER_PARSE_ERROR = 1064;
const ER_CANT_REOPEN_TABLE = 1137;

/**
 * Brings the rows that the statement may need to one server and has it run the statement over them.
 * Outside of a transaction that server's own rows are copied there, and what it holds whole is read
 * in place; inside of one all rows are fetched through the transaction, which may have changed them,
 * and the copies are on a connection beside it.
 */
export async function executeGather(
  routed: RoutedGather,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  const { inTransaction } = context.leases;
  const moved = routed.inputs.filter(({ input }) => inTransaction || !input.isAtFinish);
  const leases = await GatherLeases.take(routed.finish, moved, context);
  try {
    const scratch = new ScratchTables(leases.finish);
    const budget = new GatherBudget(context.topology.config.limits);
    scratch.create(moved);
    await fetchAll(moved, { leases, scratch, budget, routed });
    await scratch.finish();
    context.gathered?.(budget.rows, budget.bytes);
    return await answer(textOverCopies(routed, moved), { leases, scratch, routed }, context);
  } catch (error) {
    leases.fail(error);
    throw context.signal.aborted ? abortError(context.signal) : error;
  } finally {
    await leases.giveBack();
  }
}

interface Fetching {
  readonly leases: GatherLeases;
  readonly scratch: ScratchTables;
  readonly budget: GatherBudget;
  readonly routed: RoutedGather;
}

async function fetchAll(moved: readonly RoutedInput[], fetching: Fetching): Promise<void> {
  const { leases, scratch, budget } = fetching;
  const writers = new Map(
    moved.map((input) => [input, new CopyWriter(input, { scratch, budget })] as const),
  );
  const ofShard = new Map<ShardId, RoutedInput[]>();
  for (const input of moved) {
    for (const shard of input.shards) {
      if (leases.isOwn(shard)) {
        const sql = Buffer.concat([input.insertOwn, Buffer.from(` LIMIT ${budget.rowsMax + 1}`)]);
        scratch.copyOwn(sql, input, (rows) => budget.take(input, rows, 0));
      } else {
        ofShard.set(shard, [...(ofShard.get(shard) ?? []), input]);
      }
    }
  }
  const fetches = [...ofShard].map(async ([shard, inputs]) => {
    try {
      await fetchFrom(leases.of(shard), inputs, { writers, leases });
    } catch (error) {
      leases.fail(error);
      throw error;
    }
  });
  const failed = (await Promise.allSettled(fetches)).some(({ status }) => status === 'rejected');
  if (failed) throw leases.failure;
  for (const writer of writers.values()) writer.flush();
}

/** All questions to one shard go out together; the answers come in their order. */
async function fetchFrom(
  lease: Lease,
  inputs: readonly RoutedInput[],
  {
    writers,
    leases,
  }: {
    readonly writers: ReadonlyMap<RoutedInput, CopyWriter>;
    readonly leases: GatherLeases;
  },
): Promise<void> {
  const replies = inputs.map(({ fetch }) => {
    const reply = queryRows(lease, fetch, leases.signal);
    reply.catch(() => undefined); // looked at in its turn
    return reply;
  });
  try {
    for (const [index, input] of inputs.entries()) {
      const result = rowsOf(await (replies[index] as Promise<ShardResult>));
      const writer = writers.get(input);
      for await (const batch of result.batches) await writer?.add(batch);
    }
  } finally {
    for (const reply of replies) await drain(reply);
  }
}

/** A transaction lives on its connections: what was asked is read to the end. */
async function drain(reply: Promise<ShardResult>): Promise<void> {
  try {
    const result = await reply;
    if (result.kind === 'rows') await result.batches[Symbol.asyncIterator]().return?.();
  } catch {
    // Its error was told by whoever read it, or another one ended the statement first.
  }
}

async function answer(
  sql: Buffer,
  { leases, scratch, routed }: Omit<Fetching, 'budget'>,
  context: ExecutionContext,
): Promise<StatementOutcome> {
  const { reply, signal } = context;
  const asked = queryRows(scratch.lease, sql, leases.signal);
  asked.catch(() => undefined); // awaited below, unless the session's state could not be had again
  await scratch.settle();
  const result = rowsOf(
    await asked.catch((error) => inClientsWords(error, routed.text, scratch.lease)),
  );
  let rowsSent = 0;
  let begun = false;
  for await (const batch of result.batches) {
    if (!begun) reply.columns(result.columns);
    begun = true;
    rowsSent += batch.length;
    if (!reply.rows(batch)) await whileWanted(reply.drained(), signal);
  }
  if (!begun) reply.columns(result.columns);
  const { warningCount, statusFlags } = result.end();
  if (warningCount > 0) await context.collectWarnings?.(scratch.lease);
  else await context.rowsEnded?.(scratch.lease);
  reply.endOfRows({ warningCount });
  return { kind: 'rows', statusFlags, warningCount, affectedRows: 0, lastInsertId: 0, rowsSent };
}

function rowsOf(result: ShardResult): Extract<ShardResult, { kind: 'rows' }> {
  if (result.kind === 'rows') return result;
  throw new ProxyError('ER_UNKNOWN_ERROR', 'a SELECT was answered without rows');
}

/** Errors that quote our text, or that come of it, as the client's own statement would have them. */
async function inClientsWords(error: unknown, text: Buffer, lease: Lease): Promise<never> {
  if (!(error instanceof ShardError)) throw error;
  if (error.errno === ER_PARSE_ERROR) {
    // It does not get past the parser either.
    await queryRows(lease, text);
  }
  if (error.errno === ER_CANT_REOPEN_TABLE) {
    // MySQL opens a TEMPORARY table once in a statement.
    throw notSupported(
      'a common table expression that is used more than once over rows of several shards on MySQL: write it out ' +
        'where it is used',
    );
  }
  throw error;
}
