import type { Lease } from '../backend/lease.ts';
import type { Logger } from '../observability/logger.ts';
import type { ErrPacket } from '../wire/reply-packets.ts';
import type { Warning } from './session-state.ts';
import { askShard } from './shard-question.ts';

/** max_error_count of a server: it keeps no more itself. */
const WARNINGS_MAX = 1024;

/**
 * SHOW WARNINGS of the statement that ended last on the lease, read while the lease is still the
 * session's: the next user of the connection would find them gone. Never throws.
 */
export async function readWarnings(lease: Lease, logger: Logger): Promise<readonly Warning[]> {
  try {
    const { rows } = await askShard(lease, 'SHOW WARNINGS', { rowsMax: WARNINGS_MAX });
    return rows.map(([level, code, message]) => ({
      level: level?.toString() ?? 'Warning',
      code: Number(code?.toString() ?? 0),
      message: message?.toString() ?? '',
    }));
  } catch (error) {
    // The statement itself went well; its count of warnings was told.
    logger.warn('warnings of a statement could not be read', { shard: lease.shard, error });
    return [];
  }
}

/** After a failed statement SHOW WARNINGS and SHOW ERRORS list its error. */
export function warningOfError(error: ErrPacket): readonly Warning[] {
  return [{ level: 'Error', code: error.errno, message: error.message }];
}
