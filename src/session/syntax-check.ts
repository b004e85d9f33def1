import type { Lease } from '../backend/lease.ts';
import { prepareOn } from '../backend/prepare-on-shard.ts';
import { notSupported } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { NotParsed } from '../sql/parse-error.ts';
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
    const error = await errorOf(lease, text);
    if (error !== undefined && TEXT_ERRNOS.has(error.errno)) return error;
    return notSupported(`this statement: ${notParsed.message}`);
  } finally {
    lease.release();
  }
}

/** The error that the server has against the text; undefined when it would execute it. */
async function errorOf(lease: Lease, text: Buffer): Promise<ShardError | undefined> {
  try {
    await prepareOn(lease, text, undefined);
    return undefined;
  } catch (error) {
    if (error instanceof ShardError) return error;
    throw error;
  }
}
