import { ProxyError } from '../errors/proxy-error.ts';
import type { LimitsConfig } from '../topology/config-schema.ts';
import { type CopiedColumn, copiedColumn } from './copied-values.ts';
import type { RoutedInput } from './routed-gather.ts';
import { FairTurns } from './row-batches.ts';
import { RowFields } from './row-fields.ts';
import type { ScratchTables } from './scratch-tables.ts';

/** Far below any max_allowed_packet; larger ones are hardly quicker. */
const INSERT_CHARACTERS = 256 * 1024;

type GatherLimits = Pick<LimitsConfig, 'gather_rows_max' | 'gather_bytes_max'>;

/** Counts what one statement moves, and ends it when it is too much. */
export class GatherBudget {
  readonly #limits: GatherLimits;
  rows = 0;
  bytes = 0;

  constructor(limits: GatherLimits) {
    this.#limits = limits;
  }

  get rowsMax(): number {
    return this.#limits.gather_rows_max;
  }

  take(routed: RoutedInput, rows: number, bytes: number): void {
    this.rows += rows;
    this.bytes += bytes;
    const { gather_rows_max, gather_bytes_max } = this.#limits;
    if (this.rows > gather_rows_max)
      throw tooMuch(routed, `${gather_rows_max} rows`, 'gather_rows_max');
    if (this.bytes > gather_bytes_max) {
      throw tooMuch(routed, `${gather_bytes_max} bytes`, 'gather_bytes_max');
    }
  }
}

/** Turns the rows of one table reference, from whichever shards, into INSERTs. */
export class CopyWriter {
  readonly #routed: RoutedInput;
  readonly #scratch: ScratchTables;
  readonly #budget: GatherBudget;
  readonly #columns: readonly CopiedColumn[];
  readonly #fields: RowFields;
  readonly #turns = new FairTurns();
  #values = '';

  constructor(
    routed: RoutedInput,
    to: { readonly scratch: ScratchTables; readonly budget: GatherBudget },
  ) {
    this.#routed = routed;
    this.#scratch = to.scratch;
    this.#budget = to.budget;
    this.#columns = routed.input.columns.map(copiedColumn);
    this.#fields = new RowFields(this.#columns.length);
  }

  async add(rows: readonly Buffer[]): Promise<void> {
    for (const row of rows) {
      this.#budget.take(this.#routed, 1, row.length);
      this.#values += `${this.#values === '' ? '(' : ',('}${this.#literals(row)})`;
      if (this.#values.length > INSERT_CHARACTERS) {
        this.flush();
        await this.#scratch.room();
      }
    }
    await this.#turns.breathe();
  }

  flush(): void {
    if (this.#values === '') return;
    this.#scratch.insert(this.#values, this.#routed);
    this.#values = '';
  }

  #literals(row: Buffer): string {
    const fields = this.#fields.read(row);
    return this.#columns.map((column, index) => column.literal(fields, index)).join(',');
  }
}

function tooMuch({ input }: RoutedInput, limit: string, setting: string): ProxyError {
  const { table, alias } = input;
  const { placement } = table;
  const named = alias === table.name ? '' : ` (${alias})`;
  const key =
    placement.kind === 'sharded' ? `its shard key '${placement.keyColumns[0]}' or of ` : '';
  return new ProxyError(
    'ER_TOO_BIG_SELECT',
    `Rows of table '${table.name}'${named} would have to be moved between shards, more than ${limit} for this ` +
      `statement (limits.${setting}); add a condition of ${key}its columns alone, or raise the limit`,
  );
}
