import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane } from './decisions.ts';

/** One branch of a transaction that waits somewhere, as its proxy shows it to the others. */
export interface PublishedBranch {
  readonly gtrid: string;
  readonly shard: ShardId;
  readonly threadId: number;
  readonly begunAtMs: number;
  readonly waits: boolean;
}

/** A row that was not renewed belongs to a transaction that went on, or to a proxy that is gone. */
const FRESH_MS = 700;
const KEPT_SECONDS = 60;

/**
 * `shardgate.waiting_branches` on the metadata shard: a server knows connections, not which of them
 * are one transaction; only the proxy that owns it does, so proxies tell each other.
 */
export class PublishedWaits {
  readonly #control: ControlPlane;
  readonly #pattern: string;
  #published: readonly string[] = [];

  constructor(control: ControlPlane, deployment: string) {
    this.#control = control;
    this.#pattern = `sg1.${deployment.replaceAll('_', '\\_')}.%`;
  }

  /** Shows `own` instead of what was shown before, and reads what all proxies show, these included. */
  async exchange(
    metadataShard: ShardId,
    own: readonly PublishedBranch[],
  ): Promise<readonly PublishedBranch[]> {
    return this.#control.session(metadataShard, async (session) => {
      const gtrids = [...new Set(own.map(({ gtrid }) => gtrid))];
      const ended = this.#published.filter((gtrid) => !gtrids.includes(gtrid));
      this.#published = gtrids;
      if (ended.length > 0) {
        const marks = ended.map(() => '?').join(', ');
        await session.query(
          `DELETE FROM shardgate.waiting_branches WHERE gtrid IN (${marks})`,
          ended,
        );
      }
      if (own.length === 0) return [];
      const rows = own.map(() => '(?, ?, ?, ?, ?, UTC_TIMESTAMP(3))').join(', ');
      await session.query(
        'REPLACE INTO shardgate.waiting_branches (gtrid, shard, thread_id, begun_ms, waits, seen_at) ' +
          `VALUES ${rows}`,
        own.flatMap((one) => [
          one.gtrid,
          one.shard,
          one.threadId,
          Math.floor(one.begunAtMs),
          one.waits ? 1 : 0,
        ]),
      );
      const shown = await session.query(
        'SELECT gtrid, shard, thread_id, begun_ms, waits FROM shardgate.waiting_branches ' +
          'WHERE gtrid LIKE ? AND seen_at > UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND',
        [this.#pattern, FRESH_MS * 1000],
      );
      return shown.rows.map(branchOf);
    });
  }

  /** Rows of proxies that are gone. */
  async sweep(metadataShard: ShardId): Promise<void> {
    await this.#control.query(
      metadataShard,
      'DELETE FROM shardgate.waiting_branches WHERE seen_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND',
      [KEPT_SECONDS],
    );
  }
}

function branchOf(row: Readonly<Record<string, unknown>>): PublishedBranch {
  return {
    gtrid: String(row.gtrid),
    shard: String(row.shard) as ShardId, // Written by a proxy of the same deployment.
    threadId: Number(row.thread_id),
    begunAtMs: Number(row.begun_ms),
    waits: Number(row.waits) === 1,
  };
}
