import type { RoutingLookup, RoutingLookups } from '../topology/routing-caches.ts';
import type { Topology } from '../topology/topology.ts';
import type { CollationWeights } from './collation-weights.ts';
import type { DirectoryStore } from './directory-store.ts';

/** Answers what routing does not know: weights from any shard, directory entries from the metadata shard. */
export class ShardLookups implements RoutingLookups {
  readonly #weights: CollationWeights;
  readonly #directories: DirectoryStore;
  readonly #current: () => Topology;

  constructor(parts: {
    readonly weights: CollationWeights;
    readonly directories: DirectoryStore;
    /** Look-ups go by the newest topology: a directory that is gone from it has nothing to tell. */
    readonly current: () => Topology;
  }) {
    this.#weights = parts.weights;
    this.#directories = parts.directories;
    this.#current = parts.current;
  }

  async resolve(
    lookups: readonly RoutingLookup[],
    options: { readonly assign: boolean },
  ): Promise<readonly RoutingLookup[]> {
    const place = this.#current();
    const weights = lookups.filter((lookup) => lookup.kind === 'weight');
    const directory = lookups.filter((lookup) => lookup.kind === 'directory');
    if (weights.length > 0) await this.#weights.load(weights, [...place.shards.keys()]);
    return directory.length === 0
      ? []
      : this.#directories.load(directory, { assign: options.assign, place });
  }
}
