import type { LiteralSpans } from '../sql/statement.ts';
import type { CachedPlan } from './plan.ts';

/** The template of a statement as the Fingerprinter leaves it. */
export interface Template {
  readonly template: Uint8Array;
  readonly templateLength: number;
  readonly hash: number;
  readonly literals: LiteralSpans;
  /** False: the template does not stand for the statement. */
  readonly cacheable: boolean;
}

/** A template with more pinned variants than this keeps the latest ones. */
const VARIANTS_MAX = 16;
const DIGIT_ZERO = 0x30;

interface Variant {
  readonly cached: CachedPlan;
  readonly pinned: readonly { readonly slot: number; readonly text: Buffer }[];
}

interface Entry {
  readonly template: Uint8Array;
  readonly database: string | undefined;
  readonly lexicalBits: number;
  readonly variants: Variant[];
  used: boolean;
}

/**
 * Plans by template, for one topology snapshot. Equal hashes are compared byte by byte: a collision
 * must never send a statement to another one's shard. When it is full, entries that were not used
 * since the last round make room.
 */
export class PlanCache {
  readonly #chains = new Map<number, Entry[]>();
  readonly #entriesMax: number;
  #entries = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** Templates in the cache. */
  get size(): number {
    return this.#entries;
  }

  /** `text` is the buffer that the template's literals lie in. */
  find(
    template: Template,
    text: Uint8Array,
    database: string | undefined,
    lexicalBits: number,
  ): CachedPlan | undefined {
    if (!template.cacheable) return undefined;
    const entry = this.#entry(template, database, lexicalBits);
    if (entry === undefined) return undefined;
    entry.used = true;
    const { variants } = entry;
    for (let index = 0; index < variants.length; index++) {
      const variant = variants[index] as Variant;
      if (serves(variant, text, template.literals)) return variant.cached;
    }
    return undefined;
  }

  store(
    template: Template,
    database: string | undefined,
    lexicalBits: number,
    cached: CachedPlan,
  ): void {
    if (!template.cacheable) return;
    let entry = this.#entry(template, database, lexicalBits);
    if (entry === undefined) {
      if (this.#entries >= this.#entriesMax) this.#makeRoom();
      entry = {
        template: template.template.slice(0, template.templateLength),
        database,
        lexicalBits,
        variants: [],
        used: false,
      };
      const chain = this.#chains.get(template.hash);
      if (chain === undefined) this.#chains.set(template.hash, [entry]);
      else chain.push(entry);
      this.#entries++;
    }
    if (entry.variants.length >= VARIANTS_MAX) entry.variants.shift();
    const pinned = cached.pinned.map(({ slot, text }) => ({ slot, text: Buffer.from(text) }));
    entry.variants.push({ cached, pinned });
  }

  #entry(template: Template, database: string | undefined, lexicalBits: number): Entry | undefined {
    const chain = this.#chains.get(template.hash);
    if (chain === undefined) return undefined;
    for (let index = 0; index < chain.length; index++) {
      const entry = chain[index] as Entry;
      if (
        entry.lexicalBits === lexicalBits &&
        entry.database === database &&
        sameBytes(entry.template, template)
      ) {
        return entry;
      }
    }
    return undefined;
  }

  /** Second chance: what was used since the last time stays, unless all was. */
  #makeRoom(): void {
    const goal = Math.floor(this.#entriesMax * 0.9);
    for (let round = 0; round < 2; round++) {
      for (const [hash, chain] of [...this.#chains]) {
        if (this.#entries <= goal) return;
        const kept = chain.filter((entry) => entry.used);
        for (const entry of kept) entry.used = false;
        this.#entries -= chain.length - kept.length;
        // To the end of the map: the next time others are looked at first.
        this.#chains.delete(hash);
        if (kept.length > 0) this.#chains.set(hash, kept);
      }
    }
  }
}

function sameBytes(bytes: Uint8Array, template: Template): boolean {
  const { templateLength: length } = template;
  if (bytes.length !== length) return false;
  const other = template.template;
  for (let at = 0; at < length; at++) if (bytes[at] !== other[at]) return false;
  return true;
}

function serves({ cached, pinned }: Variant, text: Uint8Array, literals: LiteralSpans): boolean {
  for (let index = 0; index < pinned.length; index++) {
    const pin = pinned[index] as Variant['pinned'][number];
    const start = literals.starts[pin.slot] as number;
    if ((literals.ends[pin.slot] as number) - start !== pin.text.length) return false;
    for (let at = 0; at < pin.text.length; at++) {
      if (text[start + at] !== pin.text[at]) return false;
    }
  }
  for (let index = 0; index < cached.nonZero.length; index++) {
    if (isZero(text, literals, cached.nonZero[index] as number)) return false;
  }
  return true;
}

function isZero(text: Uint8Array, literals: LiteralSpans, slot: number): boolean {
  const end = literals.ends[slot] as number;
  for (let at = literals.starts[slot] as number; at < end; at++) {
    if (text[at] !== DIGIT_ZERO) return false;
  }
  return true;
}
