import type { Directory } from './routing-caches.ts';
import type { KeyBound, RoutingKey, ShardId, Strategy } from './strategy.ts';

/**
 * Each key has its own entry: pinned in the config, or recorded on the metadata shard. The entries
 * are a view of what this proxy has read so far; its owner adds to it.
 */
export class DirectoryMap implements Strategy {
  readonly kind = 'directory';
  readonly selfContained = false;
  readonly name: string;
  readonly shards: readonly ShardId[];
  readonly pins: Directory;
  readonly #entries: Directory;

  constructor(options: {
    readonly name: string;
    readonly shards: readonly ShardId[];
    readonly pins: Directory;
    readonly entries: Directory;
  }) {
    this.name = options.name;
    this.shards = options.shards;
    this.pins = options.pins;
    this.#entries = options.entries;
  }

  shardOf(key: RoutingKey): ShardId | undefined {
    return this.pins.get(key) ?? this.#entries.get(key);
  }

  shardsBetween(low: KeyBound, high: KeyBound): readonly ShardId[] {
    const isOneKey =
      low.key !== undefined && low.key === high.key && low.inclusive && high.inclusive;
    const shard = isOneKey && low.key !== undefined ? this.shardOf(low.key) : undefined;
    return shard === undefined ? this.shards : [shard];
  }
}
