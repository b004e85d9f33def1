import { notSupported } from '../errors/proxy-error.ts';
import type { MergeAggregate } from '../plan/plan.ts';
import type { ColumnDefinition } from '../wire/result-set-packets.ts';
import { printDouble } from './double-text.ts';
import {
  addScaled,
  averageText,
  DECIMAL_DIGITS_MAX,
  parseScaled,
  printScaled,
  type ScaledNumber,
} from './exact-number.ts';
import type { RowFields } from './row-fields.ts';
import {
  columnIndex,
  compareSortValues,
  readSortValue,
  type SortColumn,
  type SortValue,
  sortColumn,
  valueKind,
} from './sort-values.ts';

/** One group's value of one aggregate, while rows of the group come in. */
export interface Accumulator {
  add(fields: RowFields): void;
  /** The merged fields by column, encoded as they stand in a row. */
  write(merged: Map<number, Buffer>): void;
}

const NULL_FIELD = Buffer.from([0xfb]);
const ONE_BYTE_LENGTH_MAX = 0xfa;

/** What is to be merged and how, decided once a result from the columns' types. */
export function aggregateFactory(
  aggregates: readonly MergeAggregate[],
  columns: readonly ColumnDefinition[],
  hiddenColumns: number,
): () => Accumulator[] {
  const makers = aggregates.map((one) => accumulatorMaker(one, columns, hiddenColumns));
  return () => makers.map((make) => make());
}

function accumulatorMaker(
  aggregate: MergeAggregate,
  columns: readonly ColumnDefinition[],
  hiddenColumns: number,
): () => Accumulator {
  const place = (index: number) => columnIndex(index, columns.length, hiddenColumns);
  const index = place(aggregate.column);
  const column = columns[index];
  if (column === undefined) throw new Error(`no column ${aggregate.column} to aggregate`);
  switch (aggregate.kind) {
    case 'count':
      return () => new ExactSum({ index, scale: 0, whenEmpty: '0' });
    case 'sum':
      return isDouble(column)
        ? () => new DoubleSum(index, column.decimals)
        : () => new ExactSum({ index, scale: column.decimals, whenEmpty: undefined });
    case 'avg': {
      const parts = { sum: place(aggregate.sumColumn), count: place(aggregate.countColumn) };
      return isDouble(column)
        ? () => new DoubleAverage(index, parts, column.decimals)
        : () => new ExactAverage(index, parts, column.decimals);
    }
    case 'min':
    case 'max': {
      const compared = sortColumn(aggregate, columns, hiddenColumns);
      return () => new Extreme({ index, compared, largest: aggregate.kind === 'max' });
    }
  }
}

function isDouble(column: ColumnDefinition): boolean {
  const kind = valueKind(column);
  if (kind === 'double') return true;
  if (kind === 'decimal' || kind === 'integer') return false;
  throw notSupported(`the merged sum of '${column.name}', whose type is no number`);
}

/** COUNT, and SUM of integers and decimals: without rounding, whatever the size. */
class ExactSum implements Accumulator {
  readonly #options: {
    readonly index: number;
    readonly scale: number;
    readonly whenEmpty: string | undefined;
  };
  #sum: ScaledNumber | undefined;

  constructor(options: { index: number; scale: number; whenEmpty: string | undefined }) {
    this.#options = options;
  }

  add(fields: RowFields): void {
    this.#sum = addField(this.#sum, fields.latin1(this.#options.index));
  }

  write(merged: Map<number, Buffer>): void {
    const { index, scale, whenEmpty } = this.#options;
    merged.set(
      index,
      textField(this.#sum === undefined ? whenEmpty : decimalText(this.#sum, scale)),
    );
  }
}

class ExactAverage implements Accumulator {
  readonly #index: number;
  readonly #parts: { readonly sum: number; readonly count: number };
  readonly #scale: number;
  #sum: ScaledNumber | undefined;
  #count = 0n;

  constructor(index: number, parts: { sum: number; count: number }, scale: number) {
    this.#index = index;
    this.#parts = parts;
    this.#scale = scale;
  }

  add(fields: RowFields): void {
    this.#sum = addField(this.#sum, fields.latin1(this.#parts.sum));
    this.#count += BigInt(fields.latin1(this.#parts.count) ?? 0);
  }

  write(merged: Map<number, Buffer>): void {
    const none = this.#sum === undefined || this.#count === 0n;
    const text = none
      ? undefined
      : averageText(this.#sum as ScaledNumber, this.#count, this.#scale);
    merged.set(this.#index, textField(text));
  }
}

class DoubleSum implements Accumulator {
  readonly #index: number;
  readonly #decimals: number;
  #sum: number | undefined;

  constructor(index: number, decimals: number) {
    this.#index = index;
    this.#decimals = decimals;
  }

  add(fields: RowFields): void {
    const text = fields.latin1(this.#index);
    if (text !== undefined) this.#sum = (this.#sum ?? 0) + Number(text);
  }

  write(merged: Map<number, Buffer>): void {
    merged.set(this.#index, textField(doubleText(this.#sum, this.#decimals)));
  }
}

class DoubleAverage implements Accumulator {
  readonly #index: number;
  readonly #parts: { readonly sum: number; readonly count: number };
  readonly #decimals: number;
  #sum: number | undefined;
  #count = 0;

  constructor(index: number, parts: { sum: number; count: number }, decimals: number) {
    this.#index = index;
    this.#parts = parts;
    this.#decimals = decimals;
  }

  add(fields: RowFields): void {
    const sum = fields.latin1(this.#parts.sum);
    if (sum !== undefined) this.#sum = (this.#sum ?? 0) + Number(sum);
    this.#count += Number(fields.latin1(this.#parts.count) ?? 0);
  }

  write(merged: Map<number, Buffer>): void {
    const average = this.#sum === undefined ? undefined : this.#sum / this.#count;
    merged.set(this.#index, textField(doubleText(average, this.#decimals)));
  }
}

/** MIN and MAX keep the winning shard's own text (and the weight it won by, for a later order). */
class Extreme implements Accumulator {
  readonly #index: number;
  readonly #compared: SortColumn;
  readonly #sign: 1 | -1;
  #best: SortValue = null;
  #value: Buffer = NULL_FIELD;
  #weight: Buffer = NULL_FIELD;

  constructor(options: { index: number; compared: SortColumn; largest: boolean }) {
    this.#index = options.index;
    this.#compared = options.compared;
    this.#sign = options.largest ? 1 : -1;
  }

  add(fields: RowFields): void {
    const value = readSortValue(fields, this.#compared);
    if (value === null) return;
    const order = compareSortValues(value, this.#best, this.#compared) * this.#sign;
    if (this.#best !== null && order <= 0) return;
    this.#best = value;
    this.#value = fields.encoded(this.#index, this.#index + 1);
    this.#weight = fields.encoded(this.#compared.index, this.#compared.index + 1);
  }

  write(merged: Map<number, Buffer>): void {
    merged.set(this.#compared.index, this.#weight);
    merged.set(this.#index, this.#value);
  }
}

function addField(
  sum: ScaledNumber | undefined,
  text: string | undefined,
): ScaledNumber | undefined {
  if (text === undefined) return sum;
  const value = parseScaled(text);
  return sum === undefined ? value : addScaled(sum, value);
}

function decimalText(sum: ScaledNumber, scale: number): string {
  const text = printScaled(sum, scale);
  if (text.length <= DECIMAL_DIGITS_MAX) return text;
  if (text.replace(/[-.]/g, '').length <= DECIMAL_DIGITS_MAX) return text;
  throw notSupported(`sums of more than ${DECIMAL_DIGITS_MAX} digits over several shards`);
}

function doubleText(value: number | undefined, decimals: number): string | undefined {
  if (value === undefined) return undefined;
  if (!Number.isFinite(value)) throw notSupported('sums beyond the range of DOUBLE');
  return printDouble(value, decimals);
}

/** A short ASCII text as a field of a row. */
function textField(text: string | undefined): Buffer {
  if (text === undefined) return NULL_FIELD;
  if (text.length <= ONE_BYTE_LENGTH_MAX) {
    const field = Buffer.allocUnsafe(text.length + 1);
    field[0] = text.length;
    field.write(text, 1, 'latin1');
    return field;
  }
  // A DOUBLE with fixed decimals can have more than 300 digits.
  const header = Buffer.from([0xfc, text.length & 0xff, text.length >> 8]);
  return Buffer.concat([header, Buffer.from(text, 'latin1')]);
}
