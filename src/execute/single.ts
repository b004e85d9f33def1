import type { ReplyEnd } from '../backend/lease.ts';
import type { ExecutionContext, StatementOutcome } from './execution.ts';
import { type Relay, relaySingle } from './relay.ts';
import type { ShardText } from './render-text.ts';
import { abortError, queryCommand } from './shard-command.ts';

/** Relays one shard's reply where the caller may wait: outside the hot path, which is the session's. */
export async function executeSingle(
  target: ShardText,
  context: Pick<ExecutionContext, 'leases' | 'reply' | 'signal' | 'collectWarnings'>,
): Promise<StatementOutcome> {
  const { leases, reply, signal } = context;
  const lease = leases.tryLease(target.shard) ?? (await leases.lease(target.shard, signal));
  if (signal.aborted) {
    lease.release();
    throw abortError(signal);
  }
  const end = await new Promise<ReplyEnd>((resolve, reject) => {
    let relay: Relay | undefined;
    const stop = () => relay?.abort(abortError(signal));
    signal.addEventListener('abort', stop, { once: true });
    const done = (ended: ReplyEnd | undefined, error: Error | undefined) => {
      signal.removeEventListener('abort', stop);
      if (ended === undefined) reject(error);
      else resolve(ended);
    };
    relay = relaySingle({ lease, command: queryCommand(target.sql), reply, done });
  });
  if (end.warningCount > 0) await context.collectWarnings?.(lease);
  lease.release();
  return end;
}
