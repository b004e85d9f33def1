import type { LiteralSpans } from '../sql/statement.ts';

/**
 * Places of the text as places of the template, like `templatePosition`, for a planner that asks
 * for thousands of them in one long INSERT.
 */
export class TemplatePlaces {
  readonly #literals: LiteralSpans;
  /** By how much longer the literals before a slot are than their marks. */
  #shifts: Int32Array | undefined;

  constructor(literals: LiteralSpans) {
    this.#literals = literals;
  }

  of(textPosition: number): number {
    const { starts, ends } = this.#literals;
    const slot = this.#lastBefore(textPosition);
    if (slot < 0) return textPosition;
    const shift = this.#shiftBefore(slot);
    const start = starts[slot] as number;
    const end = ends[slot] as number;
    return end > textPosition ? start - shift : textPosition - shift - (end - start - 1);
  }

  /** The last literal that starts before the position; -1 when there is none. */
  #lastBefore(textPosition: number): number {
    const { count, starts } = this.#literals;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) < textPosition) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #shiftBefore(slot: number): number {
    this.#shifts ??= shiftsOf(this.#literals);
    return this.#shifts[slot] as number;
  }
}

function shiftsOf({ count, starts, ends }: LiteralSpans): Int32Array {
  const shifts = new Int32Array(count);
  let shift = 0;
  for (let slot = 0; slot < count; slot++) {
    shifts[slot] = shift;
    shift += (ends[slot] as number) - (starts[slot] as number) - 1;
  }
  return shifts;
}
