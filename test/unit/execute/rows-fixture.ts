import type { RowBatches } from '../../../src/execute/row-batches.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import type { ColumnDefinition } from '../../../src/wire/result-set-packets.ts';
import { decodeTextRow, encodeTextRow } from '../../../src/wire/result-set-packets.ts';

export type Value = string | null;

export function column(
  name: string,
  type: number,
  more: Partial<ColumnDefinition> = {},
): ColumnDefinition {
  return {
    catalog: 'def',
    schema: 'shop',
    table: 't',
    orgTable: 't',
    name,
    orgName: name,
    collationId: 63,
    columnLength: 20,
    type,
    flags: 0,
    decimals: 0,
    ...more,
  };
}

/** A raw text row; values are text with one character a byte. */
export function row(values: readonly Value[]): Buffer {
  const writer = new PacketWriter();
  encodeTextRow(
    values.map((value) => (value === null ? undefined : Buffer.from(value, 'latin1'))),
    writer,
  );
  return Buffer.from(writer.take());
}

export function values(raw: Buffer): Value[] {
  return decodeTextRow(raw).map((field) => field?.toString('latin1') ?? null);
}

/** An input that counts whether it was ended. */
export async function* batches(
  ...all: readonly (readonly (readonly Value[])[])[]
): AsyncGenerator<readonly Buffer[]> {
  for (const batch of all) yield batch.map(row);
}

export async function collected(input: RowBatches): Promise<Value[][]> {
  const rows: Value[][] = [];
  for await (const batch of input) rows.push(...batch.map(values));
  return rows;
}
