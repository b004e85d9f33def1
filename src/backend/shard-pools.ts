import { ProxyError } from '../errors/proxy-error.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardConfig } from '../topology/config-schema.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';
import type { SessionState, ShardLeases } from './lease.ts';
import { Pool, type PoolOptions, type PoolStats } from './pool.ts';
import { connectToShard } from './shard-connection.ts';

export interface ShardStats extends PoolStats {
  readonly shard: ShardId;
  readonly host: string;
  readonly port: number;
  readonly connectionsMax: number;
}

export interface ShardPoolsOptions {
  readonly clock: Clock;
  /** `connectToShard`, unless a test has its own. */
  readonly connect?: PoolOptions['connect'];
}

/** A statement that started before its shard was removed may still ask for a connection. */
const FAREWELL_MS = 10_000;

/** One pool a shard, for the topology of now. */
export class ShardPools {
  readonly #clock: Clock;
  readonly #connect: PoolOptions['connect'];
  #pools = new Map<ShardId, Pool>();
  /** Of shards that were removed a moment ago. */
  readonly #removed = new Map<ShardId, Pool>();
  #leavers: Pool[] = [];

  constructor(topology: Topology, options: ShardPoolsOptions) {
    this.#clock = options.clock;
    this.#connect = options.connect ?? connectToShard;
    this.swap(topology);
  }

  /** Connections for one session, brought to the state it has on that shard when it asks. */
  leasesFor(stateOf: (shard: ShardId) => SessionState): ShardLeases {
    return {
      tryLease: (shard) =>
        (this.#pools.get(shard) ?? this.#removed.get(shard))?.tryAcquire(stateOf(shard)),
      lease: (shard, signal) => this.#poolOf(shard, (pool) => pool.acquire(stateOf(shard), signal)),
      inTransaction: false,
    };
  }

  /** Keeps the pools of servers that stay as they are; connections to others close when they come back. */
  swap(topology: Topology): void {
    const { limits } = topology.config;
    const pools = new Map<ShardId, Pool>();
    for (const [shard, config] of topology.shards) {
      const address = { shard, config };
      const before = this.#pools.get(shard);
      if (before !== undefined && isSameServer(before.address.config, config)) {
        before.adjust(address, limits);
        pools.set(shard, before);
      } else {
        pools.set(shard, new Pool({ address, limits, clock: this.#clock, connect: this.#connect }));
      }
    }
    for (const [shard, pool] of this.#pools) {
      if (pools.get(shard) === pool) continue;
      if (pools.has(shard)) this.#leave(pool);
      else this.#remove(shard, pool);
    }
    this.#pools = pools;
  }

  #remove(shard: ShardId, pool: Pool): void {
    this.#removed.set(shard, pool);
    this.#clock.after(FAREWELL_MS, () => {
      if (this.#removed.get(shard) === pool) this.#removed.delete(shard);
      this.#leave(pool);
    });
  }

  #leave(pool: Pool): void {
    pool.drain();
    this.#leavers = [...this.#leavers, pool].filter((leaver) => leaver.stats().connected > 0);
  }

  /** Of the shards of now, in the order of the configuration. */
  stats(): readonly ShardStats[] {
    return [...this.#pools].map(([shard, pool]) => {
      const { config } = pool.address;
      const where = { shard, host: config.host, port: config.port };
      return { ...where, connectionsMax: config.connections_max, ...pool.stats() };
    });
  }

  get pools(): ReadonlyMap<ShardId, Pool> {
    return this.#pools;
  }

  /** Gives out no more leases; those in use go on until they are given back. */
  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }

  /** Closes every connection, also those in use. */
  stop(): void {
    const pools = [...this.#pools.values(), ...this.#removed.values(), ...this.#leavers];
    for (const pool of pools) pool.stop();
  }

  #poolOf<Result>(shard: ShardId, use: (pool: Pool) => Promise<Result>): Promise<Result> {
    const pool = this.#pools.get(shard) ?? this.#removed.get(shard);
    if (pool !== undefined) return use(pool);
    return Promise.reject(
      new ProxyError(
        'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
        `Cannot connect to shard ${shard}: it is no longer part of the configuration`,
      ),
    );
  }
}

// What a connection was made with; limits can change under it.
function isSameServer(before: ShardConfig, after: ShardConfig): boolean {
  const identity = ({ host, port, user, password, tls }: ShardConfig): string =>
    JSON.stringify([host, port, user, password, tls]);
  return identity(before) === identity(after);
}
