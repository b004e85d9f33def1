import type { Logger } from '../observability/logger.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ControlConnections } from './control-connection.ts';
import { ensureMetadataSchema } from './metadata-schema.ts';
import type { LoadedTopology, TopologyLoader } from './topology-loader.ts';

export interface LateShardsParts {
  readonly control: ControlConnections;
  readonly loader: TopologyLoader;
  readonly config: () => ProxyConfig;
  readonly logger: Logger;
  /** Puts what was read in force. */
  readonly onLoaded: (loaded: LoadedTopology) => void;
}

/** Shards that were down when they were to be read: their metadata and tables are read when they come up. */
export class LateShards {
  readonly #parts: LateShardsParts;
  readonly #missing: Set<ShardId>;

  constructor(parts: LateShardsParts, unreachable: readonly ShardId[]) {
    this.#parts = parts;
    this.#missing = new Set(unreachable);
  }

  /** Tells that a shard answers. Never rejects: what goes wrong is logged, and tried when it comes up again. */
  async shardIsUp(shard: ShardId): Promise<void> {
    if (!this.#missing.delete(shard)) return;
    const { control, loader, config, logger, onLoaded } = this.#parts;
    try {
      const stillDown = await ensureMetadataSchema(control, [shard]);
      const loaded = await loader.load(config);
      for (const missing of [...stillDown, ...loaded.unreachable]) this.#missing.add(missing);
      onLoaded(loaded);
      logger.info('tables of a shard were read late', { shard });
    } catch (error) {
      this.#missing.add(shard);
      logger.error('a shard that came up could not be read', { shard, error });
    }
  }
}
