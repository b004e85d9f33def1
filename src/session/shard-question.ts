import type { Lease } from '../backend/lease.ts';
import { queryRows } from '../backend/row-reply.ts';
import {
  MYSQL_TYPE_DECIMAL,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NEWDECIMAL,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_YEAR,
} from '../wire/column-types.ts';
import {
  type ColumnDefinition,
  decodeColumnDefinition,
  decodeTextRow,
} from '../wire/result-set-packets.ts';

export interface ShardAnswer {
  readonly columns: readonly ColumnDefinition[];
  readonly rows: readonly (readonly (Buffer | undefined)[])[];
}

const NUMBER_TYPES = new Set([
  MYSQL_TYPE_DECIMAL,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_YEAR,
  MYSQL_TYPE_NEWDECIMAL,
]);

/** Asks a shard something small for the session itself. Throws what the shard says against it. */
export async function askShard(
  lease: Lease,
  sql: string | Buffer,
  options: { readonly rowsMax: number },
): Promise<ShardAnswer> {
  const reply = await queryRows(lease, sql);
  if (reply.kind === 'ok') return { columns: [], rows: [] };
  const rows: (readonly (Buffer | undefined)[])[] = [];
  for await (const batch of reply.batches) {
    for (const row of batch) if (rows.length < options.rowsMax) rows.push(decodeTextRow(row));
  }
  return { columns: reply.columns.map(decodeColumnDefinition), rows };
}

export function isDoubleColumn({ type }: ColumnDefinition): boolean {
  return type === MYSQL_TYPE_DOUBLE || type === MYSQL_TYPE_FLOAT;
}

export function isNumberColumn(column: ColumnDefinition | undefined): boolean {
  return column !== undefined && NUMBER_TYPES.has(column.type);
}
