import { randomBytes } from 'node:crypto';
import type { ShardId } from '../topology/strategy.ts';
import type { ControlConnections } from './control-connection.ts';

const ID_BYTES = 9;

/**
 * The name that all proxies of one set of shards share, made by whichever of them started first. It is part
 * of the XID of every branch, so that no proxy finishes what is not its own.
 */
export async function readDeploymentId(
  control: ControlConnections,
  metadataShard: ShardId,
): Promise<string> {
  return control.session(metadataShard, async (session) => {
    await session.query('INSERT IGNORE INTO shardgate.deployment (only_row, id) VALUES (1, ?)', [
      randomBytes(ID_BYTES).toString('base64url'),
    ]);
    const { rows } = await session.query('SELECT id FROM shardgate.deployment');
    return String(rows[0]?.id);
  });
}
