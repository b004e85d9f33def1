import { randomUUID } from 'node:crypto';
import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { Logger } from '../observability/logger.ts';
import { MalformedPacket } from '../wire/packet-reader.ts';
import type { ErrPacket } from '../wire/reply-packets.ts';

const MESSAGE_MAX = 512;

/**
 * The only place where something thrown becomes an ERR packet. A shard's error goes through
 * unchanged; ours says what the operator may read; anything else is a bug of ours, named by an id.
 */
export function errorReply(error: unknown, logger: Logger): ErrPacket {
  if (error instanceof ShardError) {
    return { errno: error.errno, sqlState: error.sqlState, message: error.message };
  }
  if (error instanceof ProxyError) {
    logger.debug('statement refused', { code: error.code, ...error.details });
    return { errno: error.errno, sqlState: error.sqlState, message: shortened(error.message) };
  }
  if (error instanceof MalformedPacket) {
    return { errno: 1835, sqlState: 'HY000', message: 'Malformed communication packet.' };
  }
  const errorId = randomUUID();
  logger.error('internal error', { errorId, error });
  return {
    errno: 1105,
    sqlState: 'HY000',
    message: `Internal error of Shardgate; its log has the details under ${errorId}`,
  };
}

/** MySQL's messages end at 512 bytes and some clients have no more room. */
function shortened(message: string): string {
  return message.length <= MESSAGE_MAX ? message : `${message.slice(0, MESSAGE_MAX - 1)}…`;
}
