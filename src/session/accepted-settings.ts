import type { Warning } from './session-state.ts';

/** A variable to SQL text of its value; undefined takes it back to the server's default. */
export type Settings = ReadonlyMap<string, string | undefined>;

export interface Accepted {
  readonly settings: Settings;
  readonly warnings: readonly Warning[];
}

const ACCEPTED_MAX = 1000;

/**
 * SET values that a shard has accepted and what it made of them ('utf8' is 'utf8mb3', ON is 1).
 * Applications send the same few at the start of each connection.
 */
export class AcceptedSettings {
  readonly #known = new Map<string, Accepted>();

  get(wanted: Settings): Accepted | undefined {
    return this.#known.get(keyOf(wanted));
  }

  add(wanted: Settings, accepted: Accepted): void {
    if (this.#known.size >= ACCEPTED_MAX) this.#known.clear();
    this.#known.set(keyOf(wanted), accepted);
  }
}

function keyOf(settings: Settings): string {
  return JSON.stringify([...settings].map(([name, value]) => [name, value ?? null]));
}
