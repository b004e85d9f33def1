import type { Lease, ReplyEnd } from './lease.ts';

/**
 * Sends a command whose reply only matters by its end: rows are passed over. Throws the shard's
 * error, or that of a lost connection.
 */
export function runCommand(target: Pick<Lease, 'send'>, command: Buffer): Promise<ReplyEnd> {
  return new Promise((resolve, reject) => {
    target.send(command, {
      onReplyBytes: () => {},
      onReplyEnd: (end) => (end.error === undefined ? resolve(end) : reject(end.error)),
      onReplyLost: reject,
    });
  });
}
