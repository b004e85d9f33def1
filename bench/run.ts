/**
 * `npm run bench`: the same sysbench load against one server directly, through HAProxy in TCP mode,
 * and through Shardgate, interleaved in one run. Only ratios within a run mean anything: machines
 * are shared and their speed drifts.
 *
 *   npm run bench -- [--quick] [--rounds N] [--seconds N] [--rows N]
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { processUsage } from './process-cpu.ts';
import { median, shuffled, spread } from './statistics.ts';
import { prepare, sysbench } from './sysbench.ts';
import { BenchRig, type BenchTarget } from './targets.ts';

interface Scenario {
  readonly name: string;
  readonly script: string;
  readonly threads: number;
}

interface Sample {
  readonly queriesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  /** CPU microseconds of the proxy for one query; undefined without a proxy. */
  readonly cpuMicros: number | undefined;
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'point select, 16 threads', script: 'oltp_point_select', threads: 16 },
  { name: 'point select, 64 threads', script: 'oltp_point_select', threads: 64 },
  { name: 'read only, 16 threads', script: 'oltp_read_only', threads: 16 },
  { name: 'read/write, 16 threads', script: 'oltp_read_write', threads: 16 },
];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '100000' },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
const seconds = Number(options.seconds ?? (options.quick ? 2 : 4));
const tableRows = Number(options.rows);
const scenarios = options.quick ? SCENARIOS.slice(1, 2) : SCENARIOS;

const rig = await BenchRig.create();
try {
  const targets = await startTargets(rig);
  const results = new Map<string, Map<string, Sample[]>>();
  for (const scenario of scenarios) {
    const samples = new Map(targets.map((target) => [target.name, [] as Sample[]]));
    results.set(scenario.name, samples);
    for (let round = 1; round <= rounds; round += 1) {
      process.stderr.write(`${scenario.name}: round ${round} of ${rounds}\n`);
      for (const target of shuffled(targets)) {
        samples.get(target.name)?.push(await measure(target, scenario));
      }
    }
  }
  report(results);
  await save(results);
} finally {
  await rig.stop();
}

async function startTargets(bench: BenchRig): Promise<readonly BenchTarget[]> {
  const servers = await bench.startServers(5);
  const [single, ...cluster] = servers.map((server) => server.address);
  if (single === undefined) throw new Error('no server was started');
  for (const address of [single, ...cluster]) await createDatabase(address);
  const direct: BenchTarget = { ...single, name: 'direct' };
  await prepare(direct, tableRows);
  const sharded = await bench.startShardgate('shardgate-4-shards', cluster);
  await prepare(sharded, tableRows);
  return [
    direct,
    await bench.startHaproxy(single),
    await bench.startShardgate('shardgate', [single]),
    sharded,
  ];
}

async function createDatabase(address: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}): Promise<void> {
  const { host, port, user, password } = address;
  const connection = await createConnection({ host, port, user, password });
  await connection.query('CREATE DATABASE IF NOT EXISTS sbtest');
  await connection.end();
}

async function measure(target: BenchTarget, scenario: Scenario): Promise<Sample> {
  const before = target.pid === undefined ? undefined : processUsage(target.pid);
  const result = await sysbench(target, { ...scenario, seconds, tableRows });
  const after = target.pid === undefined ? undefined : processUsage(target.pid);
  return {
    queriesPerSecond: result.queriesPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    errors: result.errors,
    cpuMicros:
      before && after ? ((after.cpuSeconds - before.cpuSeconds) * 1e6) / result.queries : undefined,
  };
}

function report(all: Map<string, Map<string, Sample[]>>): void {
  for (const [scenario, samples] of all) {
    const base = median((samples.get('direct') ?? []).map((sample) => sample.queriesPerSecond));
    console.log(`\n${scenario} (median of ${rounds} × ${seconds} s)`);
    console.table(
      [...samples].map(([target, list]) => {
        const rate = median(list.map((sample) => sample.queriesPerSecond));
        const cpu = list.flatMap((sample) => sample.cpuMicros ?? []);
        return {
          target,
          'queries/s': Math.round(rate),
          'of direct': (rate / base).toFixed(2),
          'p50 ms': median(list.map((sample) => sample.p50Ms)).toFixed(2),
          'p99 ms': median(list.map((sample) => sample.p99Ms)).toFixed(2),
          'proxy CPU µs/query': cpu.length > 0 ? median(cpu).toFixed(1) : '',
          errors: list.reduce((sum, sample) => sum + sample.errors, 0),
          spread: `${Math.round(spread(list.map((sample) => sample.queriesPerSecond)) * 100)} %`,
        };
      }),
    );
  }
}

async function save(all: Map<string, Map<string, Sample[]>>): Promise<void> {
  const folder = new URL('results/', import.meta.url);
  await mkdir(folder, { recursive: true });
  const content = {
    made: new Date().toISOString(),
    node: process.version,
    cores: availableParallelism(),
    rounds,
    seconds,
    tableRows,
    scenarios: Object.fromEntries(
      [...all].map(([name, samples]) => [name, Object.fromEntries(samples)]),
    ),
  };
  const name = options.quick ? 'quick.json' : 'sysbench.json';
  await writeFile(new URL(name, folder), `${JSON.stringify(content, undefined, 1)}\n`);
}
