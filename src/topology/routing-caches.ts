import type { RoutingKey, ShardId } from './strategy.ts';

/**
 * What routing needs to know from the shards, as far as it is cached. A miss is a value (a
 * `RoutingLookup`): whoever may wait has it looked up and routes again.
 */
export interface RoutingCaches {
  /** WEIGHT_STRING of `text` under the collation, trailing pad removed, as a latin1 string. */
  weightOf(collation: string, text: string): string | undefined;
  /**
   * What the collation pads with when it compares: the weight of a space; empty for NO PAD. Known
   * once any weight of the collation has been looked up.
   */
  padOf?(collation: string): string | undefined;
}

export type RoutingLookup =
  | {
      readonly kind: 'weight';
      readonly charset: string;
      readonly collation: string;
      /** UTF-8 text of the key value. */
      readonly text: string;
    }
  | {
      readonly kind: 'directory';
      readonly database: string;
      readonly strategy: string;
      readonly key: RoutingKey;
    };

/** Fills the caches; `assign` lets unknown directory keys be given a shard (a write is coming). */
export interface RoutingLookups {
  resolve(lookups: readonly RoutingLookup[], options: { readonly assign: boolean }): Promise<void>;
}

export type Directory = ReadonlyMap<RoutingKey, ShardId>;
