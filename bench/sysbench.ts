import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SysbenchTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface SysbenchOptions {
  readonly script: string;
  readonly threads: number;
  readonly seconds: number;
  readonly tableRows: number;
  readonly extra?: readonly string[];
}

export interface SysbenchResult {
  readonly queriesPerSecond: number;
  readonly queries: number;
  readonly transactions: number;
  readonly errors: number;
  /** Latency of one event (a query, or a whole transaction) in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

function commonArguments(target: SysbenchTarget, tableRows: number): string[] {
  return [
    `--mysql-host=${target.host}`,
    `--mysql-port=${target.port}`,
    `--mysql-user=${target.user}`,
    `--mysql-password=${target.password}`,
    '--mysql-db=sbtest',
    '--tables=1',
    `--table-size=${tableRows}`,
  ];
}

export async function prepare(target: SysbenchTarget, tableRows: number): Promise<void> {
  await run('sysbench', ['oltp_read_write', ...commonArguments(target, tableRows), 'prepare']);
}

export async function sysbench(
  target: SysbenchTarget,
  options: SysbenchOptions,
): Promise<SysbenchResult> {
  const { stdout } = await run(
    'sysbench',
    [
      options.script,
      ...commonArguments(target, options.tableRows),
      '--db-ps-mode=disable',
      '--rand-type=uniform',
      '--histogram=on',
      `--threads=${options.threads}`,
      `--time=${options.seconds}`,
      ...(options.extra ?? []),
      'run',
    ],
    { maxBuffer: 16 * 1024 * 1024 },
  );
  return parseSysbench(stdout);
}

/** Reads sysbench 1.0's report. Throws when a figure is missing: a run that failed is no result. */
export function parseSysbench(report: string): SysbenchResult {
  const queries = figure(report, /queries:\s+(\d+)\s+\(([\d.]+) per sec/);
  const percentiles = histogramPercentiles(report);
  return {
    queries: Number(queries[1]),
    queriesPerSecond: Number(queries[2]),
    transactions: Number(figure(report, /transactions:\s+(\d+)/)[1]),
    errors: Number(figure(report, /ignored errors:\s+(\d+)/)[1]),
    p50Ms: percentiles(0.5),
    p99Ms: percentiles(0.99),
  };
}

function figure(report: string, pattern: RegExp): RegExpMatchArray {
  const match = report.match(pattern);
  if (match === null) throw new Error(`sysbench printed no ${pattern}:\n${report.slice(-2000)}`);
  return match;
}

function histogramPercentiles(report: string): (share: number) => number {
  const bars = [...report.matchAll(/^\s*([\d.]+) \|[* ]*\s(\d+)$/gm)].map((bar) => ({
    ms: Number(bar[1]),
    count: Number(bar[2]),
  }));
  const total = bars.reduce((sum, bar) => sum + bar.count, 0);
  return (share) => {
    let seen = 0;
    for (const bar of bars) {
      seen += bar.count;
      if (seen >= share * total) return bar.ms;
    }
    return Number.NaN;
  };
}
