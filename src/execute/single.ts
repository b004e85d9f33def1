import type { Lease, ReplyEnd } from '../backend/lease.ts';
import type { ExecutionContext, StatementOutcome } from './execution.ts';
import { type Relay, relaySingle } from './relay.ts';
import type { ShardText } from './render-text.ts';
import { abortError, queryCommand } from './shard-command.ts';

/** Relays one shard's reply where the caller may wait: outside the hot path, which is the session's. */
export async function executeSingle(
  target: ShardText,
  context: Pick<
    ExecutionContext,
    'leases' | 'reply' | 'signal' | 'commandFor' | 'collectWarnings' | 'rowsEnded'
  >,
): Promise<StatementOutcome> {
  const { leases, reply, signal } = context;
  const lease = leases.tryLease(target.shard) ?? (await leases.lease(target.shard, signal));
  if (signal.aborted) {
    lease.release();
    throw abortError(signal);
  }
  const command = await commandFor(lease, target.sql, context);
  const end = await new Promise<ReplyEnd>((resolve, reject) => {
    let relay: Relay | undefined;
    const stop = () => relay?.abort(abortError(signal));
    signal.addEventListener('abort', stop, { once: true });
    const done = (ended: ReplyEnd | undefined, error: Error | undefined) => {
      signal.removeEventListener('abort', stop);
      if (ended === undefined) reject(error);
      else resolve(ended);
    };
    relay = relaySingle({ lease, command, reply, done });
  });
  if (end.warningCount > 0) await context.collectWarnings?.(lease);
  else if (end.kind === 'rows') await context.rowsEnded?.(lease);
  lease.release();
  return end;
}

async function commandFor(
  lease: Lease,
  sql: Buffer,
  context: Pick<ExecutionContext, 'signal' | 'commandFor'>,
): Promise<Buffer> {
  if (context.commandFor === undefined) return queryCommand(sql);
  try {
    const command = await context.commandFor(lease, sql);
    if (context.signal.aborted) throw abortError(context.signal);
    return command;
  } catch (error) {
    lease.release();
    throw error;
  }
}
