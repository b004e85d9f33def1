import type { Lease, ReplyEnd, ReplySink } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import { COM_QUERY } from '../wire/flags.ts';
import { lostConnection } from './relay.ts';

/** The COM_QUERY command for a text. */
export function queryCommand(sql: Buffer | string): Buffer {
  const text = typeof sql === 'string' ? Buffer.from(sql) : sql;
  const command = Buffer.allocUnsafe(text.length + 1);
  command[0] = COM_QUERY;
  text.copy(command, 1);
  return command;
}

/**
 * Sends a statement of our own that returns no rows; it goes out at once, behind what was sent
 * before. Resolves at the end of its reply (also an ERR), rejects when the connection is lost.
 */
export function sendCommand(lease: Lease, sql: string): Promise<ReplyEnd> {
  return new Promise((resolve, reject) => {
    const sink: ReplySink = {
      onReplyBytes: () => undefined,
      onReplyEnd: resolve,
      onReplyLost: (cause) => reject(lostConnection(lease.shard, cause)),
    };
    lease.send(queryCommand(sql), sink);
  });
}

/** What the client is told when its statement was ended from outside. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof ProxyError) return reason;
  return new ProxyError('ER_QUERY_INTERRUPTED', 'Query execution was interrupted', {
    cause: reason,
  });
}

/** Waits for `promise`, but not longer than the statement lasts. */
export async function whileWanted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw abortError(signal);
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
