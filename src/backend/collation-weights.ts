import { ProxyError } from '../errors/proxy-error.ts';
import { isNoPad, withoutPad } from '../topology/collation.ts';
import type { RoutingCaches, RoutingLookup } from '../topology/routing-caches.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type ControlConnections, isUnreachable } from './control-connection.ts';

type WeightLookup = Extract<RoutingLookup, { kind: 'weight' }>;

/** Texts whose weights are asked for in one statement. */
const TEXTS_PER_QUERY = 500;

/** Weight strings of text keys, asked of the shards and kept, the least recently used given up first. */
export class CollationWeights implements RoutingCaches {
  readonly #control: ControlConnections;
  readonly #entriesMax: number;
  readonly #pads = new Map<string, string>();
  /** Two generations by collation: what was not used while `young` filled up goes with `old`. */
  #young = new Map<string, Map<string, string>>();
  #old: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map();
  #youngCount = 0;

  constructor(control: ControlConnections, options: { readonly entriesMax: number }) {
    this.#control = control;
    this.#entriesMax = options.entriesMax;
  }

  weightOf(collation: string, text: string): string | undefined {
    const known = this.#young.get(collation)?.get(text);
    if (known !== undefined) return known;
    const old = this.#old.get(collation)?.get(text);
    if (old !== undefined) this.#keep(collation, text, old);
    return old;
  }

  padOf(collation: string): string | undefined {
    return this.#pads.get(collation);
  }

  /** Asks one of the shards; another one when that does not answer. */
  async load(lookups: readonly WeightLookup[], shards: readonly ShardId[]): Promise<void> {
    const wanted = lookups.filter(
      ({ collation, text }) => this.weightOf(collation, text) === undefined,
    );
    for (const [collation, texts] of Map.groupBy(wanted, (lookup) => lookup.collation)) {
      for (let at = 0; at < texts.length; at += TEXTS_PER_QUERY) {
        await this.#loadSome(collation, texts.slice(at, at + TEXTS_PER_QUERY), shards);
      }
    }
  }

  async #loadSome(
    collation: string,
    lookups: readonly WeightLookup[],
    shards: readonly ShardId[],
  ): Promise<void> {
    const charset = lookups[0]?.charset ?? '';
    if (!/^\w+$/.test(charset) || !/^\w+$/.test(collation)) {
      throw new ProxyError('ER_UNKNOWN_ERROR', `${charset}/${collation} is no collation`);
    }
    const expression = `WEIGHT_STRING(CONVERT(? USING ${charset}) COLLATE ${collation})`;
    const sql = `SELECT ${expression} AS pad${lookups.map((_, i) => `, ${expression} AS w${i}`).join('')}`;
    const texts = [' ', ...lookups.map(({ text }) => text)];
    const row = (await this.#askAny(sql, texts, shards)) ?? {};
    const pad = isNoPad(collation) ? '' : latin1Of(row.pad, collation);
    this.#pads.set(collation, pad);
    for (const [i, { text }] of lookups.entries()) {
      this.#keep(collation, text, withoutPad(latin1Of(row[`w${i}`], collation), pad));
    }
  }

  async #askAny(sql: string, params: readonly string[], shards: readonly ShardId[]) {
    let failure: unknown;
    for (const shard of shards) {
      try {
        return (await this.#control.query(shard, sql, params)).rows[0];
      } catch (error) {
        // Weights are the same everywhere, so a shard that is down need not stop statements for the others.
        if (!isUnreachable(error)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  #keep(collation: string, text: string, weights: string): void {
    if (this.#youngCount >= this.#entriesMax / 2) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngCount = 0;
    }
    let ofCollation = this.#young.get(collation);
    if (ofCollation === undefined) {
      ofCollation = new Map();
      this.#young.set(collation, ofCollation);
    }
    ofCollation.set(text, weights);
    this.#youngCount++;
  }
}

function latin1Of(value: unknown, collation: string): string {
  if (Buffer.isBuffer(value)) return value.toString('latin1');
  throw new ProxyError('ER_UNKNOWN_ERROR', `the shards give no weights for ${collation}`);
}
