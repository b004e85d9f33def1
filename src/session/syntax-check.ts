import type { Lease, ReplySink } from '../backend/lease.ts';
import { notSupported } from '../errors/proxy-error.ts';
import type { ShardError } from '../errors/shard-error.ts';
import type { NotParsed } from '../sql/parse-error.ts';
import { COM_STMT_PREPARE } from '../wire/flags.ts';
import { leaseAnyShard } from './any-shard.ts';
import type { SessionContext } from './session-context.ts';

/** ER_PARSE_ERROR, ER_EMPTY_QUERY, ER_SYNTAX_ERROR: errors of the text alone, the same on any shard. */
const TEXT_ERRNOS: ReadonlySet<number> = new Set([1064, 1065, 1149]);

/**
 * What to tell the client about a text that our parser does not read. A shard judges it by
 * preparing it, which parses and executes nothing: if it is no SQL, the client reads the server's own
 * words. If it is, it is a statement that Shardgate does not understand and so does not route.
 */
export async function unparsedReason(
  text: Buffer,
  notParsed: NotParsed,
  context: SessionContext,
): Promise<Error> {
  const { poolLeases, services, data } = context;
  const lease = await leaseAnyShard(poolLeases, services.current().topology, data.database);
  try {
    const error = await prepare(lease, text);
    if (error !== undefined && TEXT_ERRNOS.has(error.errno)) return error;
    return notSupported(`this statement: ${notParsed.message}`);
  } finally {
    // The pool resets a connection that has prepared something, which closes the statement.
    lease.release();
  }
}

/** The error that the server has against the text; undefined when it would execute it. */
function prepare(lease: Lease, text: Buffer): Promise<ShardError | undefined> {
  return new Promise((resolve, reject) => {
    const sink: ReplySink = {
      onReplyBytes: () => {},
      onReplyEnd: (end) => resolve(end.error),
      onReplyLost: reject,
    };
    lease.send(Buffer.concat([Buffer.from([COM_STMT_PREPARE]), text]), sink);
  });
}
