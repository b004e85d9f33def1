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
  /**
   * Returns the look-ups that found nothing: directory keys that have no shard, so that no row has them. That
   * holds for the statement in hand only and is not cached; to ask all shards of the strategy is right for it.
   */
  resolve(
    lookups: readonly RoutingLookup[],
    options: { readonly assign: boolean },
  ): Promise<readonly RoutingLookup[]>;
}

export type Directory = ReadonlyMap<RoutingKey, ShardId>;
