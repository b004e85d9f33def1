import { ShardError } from '../errors/shard-error.ts';
import type { InsertFacts } from './insert-text.ts';

/** How servers end the message of an error or warning that belongs to one row of an INSERT. */
const AT_ROW = / at row (\d+)$/;

/**
 * A shard counts the rows that it got; the client counts those of its statement. Other errors, and
 * numbers that are no row of the shard's, stay as they are.
 */
export function withStatementRow(error: ShardError, insert: InsertFacts): ShardError {
  const found = AT_ROW.exec(error.message);
  if (found === null) return error;
  const number = rowsOf(error.shard, insert)[Number(found[1]) - 1];
  if (number === undefined) return error;
  return new ShardError({
    errno: error.errno,
    sqlState: error.sqlState,
    shard: error.shard,
    message: `${error.message.slice(0, found.index)} at row ${number}`,
  });
}

/** Of errors of several shards the one that a single server, which stops at a row, would have met first. */
export function firstByRow(errors: readonly unknown[], insert: InsertFacts): unknown {
  let first: { readonly row: number; readonly error: unknown } | undefined;
  for (const thrown of errors) {
    const error = thrown instanceof ShardError ? withStatementRow(thrown, insert) : thrown;
    const row = error instanceof ShardError ? rowOf(error, insert) : 0;
    if (first === undefined || row < first.row) first = { row, error };
  }
  return first?.error;
}

/** Errors that name no row (a duplicate key) can be of any row of their shard: the shard's first counts. */
function rowOf(error: ShardError, insert: InsertFacts): number {
  const found = AT_ROW.exec(error.message);
  if (found !== null) return Number(found[1]);
  return rowsOf(error.shard, insert)[0] ?? 0;
}

function rowsOf(shard: string, insert: InsertFacts): readonly number[] {
  return [...insert.rowNumbers].find(([one]) => one === shard)?.[1] ?? [];
}
