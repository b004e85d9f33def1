import { parseArgs } from 'node:util';
import { quoted } from '../backend/rehoming-count.ts';
import { configDifference } from '../topology/config-diff.ts';
import { formatProblems } from '../topology/config-problems.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import { HashRing } from '../topology/hash-ring.ts';
import { positionOfKey } from '../topology/key-hash.ts';
import { shardIds } from '../topology/strategy.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfig, loadConfigFile } from './config-option.ts';
import { type CheckedFile, type LiveCluster, withLiveCluster } from './live-cluster.ts';
import { readGreeting } from './server-greeting.ts';
import { reasonOf } from './start.ts';
import { formatTable } from './text-table.ts';

const CONNECT_TIMEOUT_MS = 5_000;

export const checkCommand: Command = {
  summary: 'check a config: by itself, or against the running cluster',
  help: `Usage: shardgate check [--config FILE] [--connect]
       shardgate check FILE
       shardgate check --distribution [--keys N] [--config FILE]

Reads the config and reports every problem with its line. Exit code 0: it is right; 78: it is not.

With FILE, also asks the shards what saving it would do: the settings that differ from those in force, and how many
rows of which tables would have to move from where to where. Nothing is changed. Exit code 1: it would be refused.

${CONFIG_HELP}
  --connect           also see whether a MySQL server answers at the address of each shard
  --distribution      the rows of each sharded table by shard, and how far they are from even
  --keys N            instead of rows: the integers from 1 to N, as each hash strategy would place them`,
  async run(args, terminal) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...CONFIG_OPTION,
        connect: { type: 'boolean', default: false },
        distribution: { type: 'boolean', default: false },
        keys: { type: 'string' },
      },
    });
    if (positionals.length > 1) throw new UsageError('checks one file at a time');
    const [path] = positionals;
    if (values.distribution || path !== undefined) {
      const file = await loadConfigFile(path ?? values.config, terminal);
      if (file === undefined) return EXIT.config;
      if (!values.distribution) return tryOut(path as string, file, terminal);
      return values.keys === undefined
        ? rowsByShard(file, terminal)
        : keysByShard(file.config, countOf(values.keys), terminal);
    }
    const config = await loadConfig(values.config, terminal);
    if (config === undefined) return EXIT.config;
    terminal.out(`${values.config} is right: ${inventory(config)}`);
    return values.connect && !(await reachShards(config, terminal)) ? EXIT.failed : EXIT.ok;
  },
};

/** Runs `work` on the cluster of the file; what is in the way is said in words. */
async function onCluster(
  file: CheckedFile,
  terminal: Terminal,
  work: (cluster: LiveCluster) => Promise<number>,
): Promise<number> {
  try {
    const result = await withLiveCluster(file, terminal.env, work);
    if (result !== undefined) return result;
    terminal.out('nothing is recorded for this cluster: no proxy has started with it yet');
    return EXIT.ok;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    terminal.say(`the cluster cannot be asked: ${reasonOf(error)}`);
    return EXIT.failed;
  }
}

function tryOut(path: string, file: CheckedFile, terminal: Terminal): Promise<number> {
  return onCluster(file, terminal, async (cluster) => {
    const difference = configDifference(cluster.written, file.written);
    if (difference.length === 0) {
      terminal.out(`${path} says the same as version ${cluster.newest.version}, which is in force`);
      return EXIT.ok;
    }
    terminal.out(`${path} against version ${cluster.newest.version}, which is in force:`);
    for (const line of difference) terminal.out(`  ${line}`);
    const examined = await cluster.examine(file);
    if (examined.misplaced.length > 0) {
      terminal.out('rows that it would give another home:');
      terminal.out(
        formatTable(
          examined.misplaced.map(({ question, rows, to }) => ({
            table: `${question.database}.${question.table}`,
            from: question.shard,
            to,
            rows,
          })),
        ),
      );
    }
    if (examined.draft === undefined) {
      terminal.say(formatProblems(path, examined.problems.map(file.locate)));
      terminal.say('saving it would be refused');
      return EXIT.failed;
    }
    for (const { database, table, to } of examined.missing) {
      terminal.out(`table ${database}.${table} would be made on ${to}`);
    }
    terminal.out('saving it would move no row');
    return EXIT.ok;
  });
}

function rowsByShard(file: CheckedFile, terminal: Terminal): Promise<number> {
  return onCluster(file, terminal, async (cluster) => {
    const topology = await cluster.topology();
    for (const database of topology.databases.values()) {
      for (const { name, placement, schema } of database.tables.values()) {
        if (placement.kind !== 'sharded' || schema === undefined) continue;
        const counts = new Map<string, number>();
        for (const shard of placement.strategy.shards) {
          const { rows } = await cluster.control.query(
            shard,
            `SELECT COUNT(*) AS n FROM ${quoted(database.name)}.${quoted(name)}`,
          );
          counts.set(shard, Number(rows[0]?.n));
        }
        terminal.out(`${database.name}.${name} by ${placement.strategy.name}`);
        terminal.out(shares(counts, 'rows'));
      }
    }
    return EXIT.ok;
  });
}

function keysByShard(config: ProxyConfig, count: number, terminal: Terminal): number {
  for (const [database, { strategies }] of Object.entries(config.databases)) {
    for (const [name, strategy] of Object.entries(strategies)) {
      if (strategy.type !== 'hash') continue;
      const shards = shardIds(strategy.shards);
      const weights = new Map(shards.map((shard) => [shard, strategy.weights[shard] ?? 1]));
      const virtualNodes = strategy.virtual_nodes;
      const ring = new HashRing({ name, shards, virtualNodes, weights });
      const counts = new Map<string, number>(shards.map((shard) => [shard, 0]));
      for (let key = 1; key <= count; key++) {
        const shard = ring.ownerOf(positionOfKey(key));
        counts.set(shard, (counts.get(shard) ?? 0) + 1);
      }
      terminal.out(`${database}.${name}: the integers from 1 to ${count}`);
      terminal.out(shares(counts, 'keys'));
    }
  }
  return EXIT.ok;
}

/** Each shard's part, and how far it is from an equal part. */
function shares(counts: ReadonlyMap<string, number>, unit: string): string {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const mean = total / counts.size;
  return formatTable(
    [...counts].map(([shard, count]) => ({
      shard,
      [unit]: count,
      share: total === 0 ? '-' : `${((100 * count) / total).toFixed(1)} %`,
      'from even': mean === 0 ? '-' : `${(100 * (count / mean - 1)).toFixed(1)} %`,
    })),
  );
}

function countOf(text: string): number {
  const count = Number(text);
  if (/^\d{1,9}$/.test(text) && count > 0) return count;
  throw new UsageError('--keys wants a number up to 999999999');
}

function inventory(config: ProxyConfig): string {
  const databases = Object.values(config.databases);
  const tables = databases.flatMap(({ tables }) => Object.keys(tables));
  return [
    counted(Object.keys(config.shards).length, 'shard'),
    counted(databases.length, 'database'),
    `${counted(tables.length, 'table')} named`,
    counted(Object.keys(config.users).length, 'user'),
  ].join(', ');
}

async function reachShards(config: ProxyConfig, terminal: Terminal): Promise<boolean> {
  const answers = await Promise.all(
    Object.entries(config.shards).map(async ([shard, { host, port }]) => {
      const greeting = await readGreeting({ host, port }, CONNECT_TIMEOUT_MS);
      const found = greeting === undefined ? 'nobody answers' : greeting.version;
      terminal.out(`shard ${shard} at ${host}:${port}: ${found}`);
      return greeting !== undefined;
    }),
  );
  return answers.every((reached) => reached);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
