import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane } from './decisions.ts';

const ER_XAER_RMERR = 1401; // MySQL's answer to XA RECOVER without XA_RECOVER_ADMIN (tried on 9.7).
const REFUSALS: readonly number[] = [1044, 1142, 1227];

/**
 * Tries what recovery needs on each shard. Each problem is one sentence that names the shard and,
 * where a privilege is missing, the statement that grants it.
 */
export async function checkRecoveryPrivileges(
  control: ControlPlane,
  shards: readonly ShardId[],
): Promise<readonly string[]> {
  const problems = await Promise.all(shards.map((shard) => checkShard(control, shard)));
  return problems.flat();
}

async function checkShard(control: ControlPlane, shard: ShardId): Promise<readonly string[]> {
  const problems: string[] = [];
  const scan = await errnoOf(control.query(shard, 'XA RECOVER'));
  if (scan === ER_XAER_RMERR || (scan !== undefined && REFUSALS.includes(scan))) {
    const user = await accountOf(control, shard);
    problems.push(
      `shard ${shard}: crashed transactions cannot be finished: GRANT XA_RECOVER_ADMIN ON *.* TO ${user}`,
    );
  }
  const table = await errnoOf(
    control.query(shard, 'SELECT decision FROM shardgate.decisions LIMIT 0'),
  );
  if (table !== undefined && REFUSALS.includes(table)) {
    const user = await accountOf(control, shard);
    problems.push(`shard ${shard}: decisions cannot be read: GRANT ALL ON shardgate.* TO ${user}`);
  }
  return problems;
}

/** The server's error number; undefined for success and for a shard that did not answer at all. */
async function errnoOf(query: Promise<unknown>): Promise<number | undefined> {
  try {
    await query;
    return undefined;
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
    return typeof errno === 'number' ? errno : undefined;
  }
}

async function accountOf(control: ControlPlane, shard: ShardId): Promise<string> {
  const { rows } = await control.query(shard, 'SELECT CURRENT_USER() AS account');
  const [row] = rows;
  const [user = '', host = '%'] = String(row?.account ?? '').split('@');
  return `'${user}'@'${host}'`;
}
