import type { ConfigPath } from './config-schema.ts';

/** One thing that is wrong with a config file, and where. Never holds a value: it may be a secret. */
export interface ConfigProblem {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `shards.s1.port`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** A problem found in the values, before it is given its place in the text. */
export interface PathProblem {
  readonly path: ConfigPath;
  readonly message: string;
}

/** One line a problem, as compilers write them: `shards.yaml:12:5: shards.s1.port must be …`. */
export function formatProblems(file: string, problems: readonly ConfigProblem[]): string {
  return problems
    .map(
      ({ line, column, path, message }) =>
        `${file}:${line}:${column}: ${path === '' ? message : `${path} ${message}`}`,
    )
    .join('\n');
}

/** `databases.shop.strategies.by_day.ranges[0].below` */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`,
    '',
  );
}

/** `; did you mean `port`?` when one of the names is near enough, else nothing. */
export function suggestion(wrong: string, names: readonly string[]): string {
  const allowed = Math.max(1, Math.floor(wrong.length / 3));
  const best = names
    .map((name) => ({ name, distance: editDistance(wrong.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= allowed ? `; did you mean \`${best.name}\`?` : '';
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from one to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
