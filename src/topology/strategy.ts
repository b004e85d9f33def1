/** The name of a shard in shards.yaml. */
export type ShardId = string & { readonly __brand: 'ShardId' };

/** Names that a checked config gives to shards. */
export function shardIds(names: readonly string[]): readonly ShardId[] {
  return names as unknown as readonly ShardId[];
}

/**
 * A shard key value in the one form that equal values share, by the key column's declared type:
 * integers are `number` (or `bigint` beyond 2^53), decimals a canonical decimal string, dates and
 * times a fixed-width string that sorts as text, text and binary a latin1 ("binary") string of
 * the collation's weight bytes. NULL is `null`.
 */
export type RoutingKey = number | bigint | string | null;

/** How values of the key column are brought to a `RoutingKey` and compared. */
export type KeyType =
  | { readonly kind: 'integer'; readonly unsigned: boolean; readonly bytes: 1 | 2 | 3 | 4 | 8 }
  | {
      readonly kind: 'decimal';
      readonly precision: number;
      readonly scale: number;
      readonly unsigned?: boolean;
    }
  | { readonly kind: 'date' }
  | { readonly kind: 'datetime'; readonly fraction: number }
  | {
      readonly kind: 'text';
      readonly charset: string;
      readonly collation: string;
      /** Longer values are refused or cut by the server; undefined when that is not known. */
      readonly charsMax?: number;
      /** CHAR: trailing spaces are not stored. */
      readonly fixedLength?: boolean;
    }
  | {
      readonly kind: 'binary';
      readonly bytesMax?: number;
      /** BINARY: short values are filled with zero bytes. */
      readonly fixedLength?: boolean;
    };

/** One side of a range; `undefined` key is unbounded. */
export interface KeyBound {
  readonly key: RoutingKey | undefined;
  readonly inclusive: boolean;
}

/** A rule from key value to shard. Pure: what it cannot know by itself it says with `undefined`. */
export interface Strategy {
  readonly name: string;
  readonly kind: 'hash' | 'range' | 'directory';
  /** Every shard a key can live on, without doubles, in the order of the config. */
  readonly shards: readonly ShardId[];
  /**
   * The shard that holds rows with this key. `undefined` only for directory keys that are not
   * cached: the caller looks them up (and, for a write, has them assigned) and asks again.
   */
  shardOf(key: RoutingKey): ShardId | undefined;
  /** The shards that can hold keys in the range: all of them unless the strategy is ordered. */
  shardsBetween(low: KeyBound, high: KeyBound): readonly ShardId[];
  /** True when every key has a shard without a look-up. */
  readonly selfContained: boolean;
}
