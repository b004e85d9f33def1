import type { ReplyEnd } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';

/** What the OK of a statement on several shards says. */
export interface OkCounts {
  readonly affectedRows: number | bigint;
  readonly lastInsertId: number | bigint;
  readonly statusFlags: number;
  readonly warningCount: number;
  readonly info: string;
}

/** The count in an OK packet has two bytes. */
const WARNINGS_MAX = 0xffff;

/** Each shard has done its part: everything counts. */
export function sumOk(ends: readonly ReplyEnd[]): OkCounts {
  return {
    affectedRows: ends.reduce<number | bigint>((sum, end) => add(sum, end.affectedRows), 0),
    lastInsertId: ends.find((end) => end.lastInsertId !== 0)?.lastInsertId ?? 0,
    statusFlags: ends.reduce((flags, end) => flags | end.statusFlags, 0),
    warningCount: warningsOf(ends),
    info: mergeInfo(ends.map((end) => end.info)),
  };
}

/** Each shard has done the same on its copy: one counts, and all must say so. */
export function agreedOk(ends: readonly ReplyEnd[], shards: readonly string[]): OkCounts {
  const [first] = ends;
  if (first === undefined) throw new Error('a write on no shard');
  const differing = ends.findIndex((end) => end.affectedRows !== first.affectedRows);
  if (differing !== -1) {
    throw new ProxyError(
      'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
      `The copies of a reference table differ: the statement changes ${first.affectedRows} rows on ` +
        `shard '${shards[0]}' and ${ends[differing]?.affectedRows} on '${shards[differing]}'`,
    );
  }
  return { ...sumOk([first]), statusFlags: sumOk(ends).statusFlags };
}

/**
 * 'Rows matched: 5  Changed: 3  Warnings: 0': numbers add up where all shards say the same words.
 */
export function mergeInfo(infos: readonly string[]): string {
  const [first = '', ...rest] = infos.filter((info) => info !== '');
  const words = first.replace(/\d+/g, '#');
  if (rest.some((info) => info.replace(/\d+/g, '#') !== words)) return '';
  const columns = [first, ...rest].map((info) => (info.match(/\d+/g) ?? []).map(BigInt));
  let at = 0;
  return first.replace(/\d+/g, () => {
    const sum = columns.reduce((total, numbers) => total + (numbers[at] ?? 0n), 0n);
    at += 1;
    return sum.toString();
  });
}

function warningsOf(ends: readonly ReplyEnd[]): number {
  return Math.min(
    ends.reduce((sum, end) => sum + end.warningCount, 0),
    WARNINGS_MAX,
  );
}

function add(a: number | bigint, b: number | bigint): number | bigint {
  const sum = BigInt(a) + BigInt(b);
  return sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}
