import type { Topology } from './topology.ts';

/** Holds the snapshot in force. Whoever starts a statement reads it once and hands it down. */
export class TopologyStore {
  #current: Topology;
  readonly #listeners = new Set<(topology: Topology, before: Topology) => void>();

  constructor(first: Topology) {
    this.#current = first;
  }

  current(): Topology {
    return this.#current;
  }

  /** Puts a newer snapshot in force for every statement that starts from now on. */
  swap(next: Topology): void {
    if (next.generation <= this.#current.generation) {
      throw new Error(`snapshot ${next.generation} is not newer than ${this.#current.generation}`);
    }
    const before = this.#current;
    this.#current = next;
    for (const listener of this.#listeners) listener(next, before);
  }

  /** Calls back after each swap, in the same turn; returns how to stop that. */
  onSwap(listener: (topology: Topology, before: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
