import type { ProxyConfig, ShardConfig } from './config-schema.ts';
import type { KeyType, ShardId, Strategy } from './strategy.ts';
import type { TableSchema } from './table-schema.ts';

/**
 * One immutable, numbered snapshot of everything the config says and of the table schemas read
 * from the shards. A statement reads `TopologyHolder.current()` once and routes with that.
 */
export interface Topology {
  /** Grows with every swap: a new config or refreshed table schemas. Plans are cached per snapshot. */
  readonly generation: number;
  readonly config: ProxyConfig;
  readonly shards: ReadonlyMap<ShardId, ShardConfig>;
  readonly metadataShard: ShardId;
  readonly databases: ReadonlyMap<string, Database>;
}

export interface Database {
  readonly name: string;
  /** Where tables live whole that the config does not name. */
  readonly defaultShard: ShardId;
  /** Every shard that this database exists on: the default and those of the strategies. */
  readonly shards: readonly ShardId[];
  readonly strategies: ReadonlyMap<string, Strategy>;
  /** Tables named in the config and tables found on the shards. See `tableOf` for the others. */
  readonly tables: ReadonlyMap<string, Table>;
}

export type Placement =
  | {
      readonly kind: 'sharded';
      readonly strategy: Strategy;
      /** One column until composite keys arrive. */
      readonly keyColumns: readonly string[];
      /** Of each key column; undefined while the table does not exist on the shards. */
      readonly keyTypes: readonly (KeyType | undefined)[];
    }
  | { readonly kind: 'reference'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'unsharded'; readonly shard: ShardId };

export interface Table {
  readonly database: string;
  readonly name: string;
  readonly placement: Placement;
  /** Columns whose missing values the proxy fills from a sequence. */
  readonly generated: ReadonlySet<string>;
  /** Undefined when no shard has the table (yet): statements on it get the shard's own 1146. */
  readonly schema: TableSchema | undefined;
}

/** The table of that name: as configured, as found on the shards, else unsharded and unknown. */
export function tableOf(database: Database, name: string): Table {
  return (
    database.tables.get(name) ?? {
      database: database.name,
      name,
      placement: { kind: 'unsharded', shard: database.defaultShard },
      generated: new Set(),
      schema: undefined,
    }
  );
}

/** Every shard that holds the table, or would. */
export function shardsOfTable(table: Table): readonly ShardId[] {
  switch (table.placement.kind) {
    case 'sharded':
      return table.placement.strategy.shards;
    case 'reference':
      return table.placement.shards;
    case 'unsharded':
      return [table.placement.shard];
  }
}
