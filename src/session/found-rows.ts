import type { Lease } from '../backend/lease.ts';
import type { Logger } from '../observability/logger.ts';
import type { Plan } from '../plan/plan.ts';
import type { Statement } from '../sql/statement.ts';
import { askShard } from './shard-question.ts';

const skipping = new WeakSet<Plan>();

/**
 * Marks the plans of statements of which FOUND_ROWS() counts more rows than were sent: those that an
 * OFFSET leaves out, and in MariaDB all rows of a UNION. Remembered as long as the plan lives.
 */
export function noteSkipping(plan: Plan, statement: Statement): void {
  if (statement.kind !== 'select') return;
  const { body, limit } = statement.query;
  if (body.kind !== 'select' || limit?.offset !== undefined) skipping.add(plan);
}

export function skipsRows(plan: Plan): boolean {
  return skipping.has(plan);
}

/** Of the statement that ended last on the lease; undefined when it cannot be had. Never throws. */
export async function readFoundRows(lease: Lease, logger: Logger): Promise<bigint | undefined> {
  try {
    const { rows } = await askShard(lease, 'SELECT FOUND_ROWS()', { rowsMax: 1 });
    const count = rows[0]?.[0]?.toString('latin1');
    return count === undefined ? undefined : BigInt(count);
  } catch (error) {
    logger.warn('FOUND_ROWS() of a statement could not be read', { shard: lease.shard, error });
    return undefined;
  }
}
