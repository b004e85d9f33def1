import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ShardPools } from './shard-pools.ts';

export interface HealthOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** A server that takes longer counts as down. */
  readonly pingTimeoutMs: number;
  /** Told when a shard was reached for the first time, went away, or came back. */
  readonly onChange: (change: HealthChange) => void;
}

export interface HealthChange {
  readonly shard: ShardId;
  readonly up: boolean;
  readonly reason: string | undefined;
}

/**
 * Pings idle shards in turns, so that a shard that went away is known before a statement needs it, and
 * closes connections that were idle for too long.
 */
export class HealthCheck {
  readonly #pools: ShardPools;
  readonly #options: HealthOptions;
  readonly #known = new Map<ShardId, boolean>();
  #cancel: () => void = () => {};
  #isStopped = false;

  constructor(pools: ShardPools, options: HealthOptions) {
    this.#pools = pools;
    this.#options = options;
  }

  /** Resolves after the first round; later ones follow by themselves until `stop`. */
  async start(): Promise<void> {
    await this.#round();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  async #round(): Promise<void> {
    const pools = [...this.#pools.pools.values()];
    await Promise.all(
      pools.map(async (pool) => {
        pool.sweep();
        await pool.ping(this.#options.pingTimeoutMs);
      }),
    );
    this.#publish();
    if (this.#isStopped) return;
    const { clock, intervalMs } = this.#options;
    // A round never rejects: a ping that fails is what it looks for.
    this.#cancel = clock.after(intervalMs, () => void this.#round());
  }

  #publish(): void {
    const stats = this.#pools.stats();
    for (const { shard, up, lastError } of stats) {
      if (up === undefined || this.#known.get(shard) === up) continue;
      this.#known.set(shard, up);
      this.#options.onChange({ shard, up, reason: lastError });
    }
    const shards = new Set(stats.map(({ shard }) => shard));
    for (const shard of this.#known.keys()) if (!shards.has(shard)) this.#known.delete(shard);
  }
}
