import { parseArgs } from 'node:util';
import { metadataShardOf } from '../backend/cluster-metadata.ts';
import type { DirectoryStrategyConfig } from '../topology/config-schema.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfigFile } from './config-option.ts';
import { type LiveCluster, withLiveCluster } from './live-cluster.ts';
import { reasonOf } from './start.ts';
import { formatTable } from './text-table.ts';

export const rebalanceCommand: Command = {
  summary: 'show how uneven the directories are, and what would make them even',
  help: `Usage: shardgate rebalance --plan [--config FILE]

For each directory strategy: the keys on each shard, how far the fullest is above its fair part, and how many keys
would have to go from where to where. Only the plan: moving keys is not built yet.

${CONFIG_HELP}
  --plan              required, for the day when there is more than the plan`,
  async run(args, terminal) {
    const { values } = parseArgs({
      args: [...args],
      options: { ...CONFIG_OPTION, plan: { type: 'boolean', default: false } },
    });
    if (!values.plan) throw new UsageError('only shows a plan: say --plan');
    const file = await loadConfigFile(values.config, terminal);
    if (file === undefined) return EXIT.config;
    try {
      const done = await withLiveCluster(file, terminal.env, (cluster) => show(cluster, terminal));
      if (done !== undefined) return done;
      terminal.say('nothing is recorded for this cluster: no proxy has started with it yet');
    } catch (error) {
      terminal.say(`shardgate rebalance: ${reasonOf(error)}`);
    }
    return EXIT.failed;
  },
};

async function show(cluster: LiveCluster, terminal: Terminal): Promise<number> {
  for (const [database, { strategies }] of Object.entries(cluster.config.databases)) {
    for (const [name, strategy] of Object.entries(strategies)) {
      if (strategy.type !== 'directory') continue;
      const keys = await keysOf(cluster, { database, name, strategy });
      const { imbalance, loads, moves } = rebalancePlan(strategy, keys);
      terminal.out(
        `${database}.${name}: the fullest shard has ${imbalance.toFixed(2)} times its part`,
      );
      terminal.out(formatTable(loads));
      for (const { from, to, count } of moves)
        terminal.out(`  ${count} keys from ${from} to ${to}`);
    }
  }
  return EXIT.ok;
}

async function keysOf(
  { control, config }: LiveCluster,
  what: {
    readonly database: string;
    readonly name: string;
    readonly strategy: DirectoryStrategyConfig;
  },
): Promise<ReadonlyMap<string, number>> {
  const keys = new Map(what.strategy.shards.map((shard) => [shard, 0]));
  const { rows } = await control.query(
    metadataShardOf(config),
    'SELECT shard, COUNT(*) AS n FROM shardgate.directory_entries WHERE database_name = ? AND strategy_name = ? GROUP BY shard',
    [what.database, what.name],
  );
  for (const row of rows) keys.set(String(row.shard), Number(row.n));
  for (const shard of Object.values(what.strategy.pins))
    keys.set(shard, (keys.get(shard) ?? 0) + 1);
  return keys;
}

interface RebalancePlan {
  /** The load of the fullest shard as a multiple of its fair part; 1 is even. */
  readonly imbalance: number;
  readonly loads: readonly Readonly<Record<string, unknown>>[];
  readonly moves: readonly { readonly from: string; readonly to: string; readonly count: number }[];
}

/** Takes from shards above their part and gives to those below, whole keys only. */
export function rebalancePlan(
  { shards, weights }: Pick<DirectoryStrategyConfig, 'shards' | 'weights'>,
  keys: ReadonlyMap<string, number>,
): RebalancePlan {
  const total = [...keys.values()].reduce((sum, count) => sum + count, 0);
  const weightOf = (shard: string) => (shards.includes(shard) ? (weights[shard] ?? 1) : 0);
  const weightSum = shards.reduce((sum, shard) => sum + weightOf(shard), 0);
  const excess = new Map<string, number>();
  const loads: Record<string, unknown>[] = [];
  let imbalance = total === 0 ? 1 : 0;
  for (const [shard, count] of keys) {
    const part = (total * weightOf(shard)) / weightSum;
    excess.set(shard, count - Math.round(part));
    loads.push({ shard, keys: count, 'fair part': Math.round(part) });
    if (part > 0) imbalance = Math.max(imbalance, count / part);
    else if (count > 0) imbalance = Number.POSITIVE_INFINITY;
  }
  const moves: { from: string; to: string; count: number }[] = [];
  for (const [from, over] of excess) {
    let rest = over;
    for (const [to, under] of excess) {
      if (rest <= 0) break;
      const count = Math.min(rest, -under);
      if (count <= 0) continue;
      moves.push({ from, to, count });
      excess.set(to, under + count);
      rest -= count;
    }
  }
  return { imbalance, loads, moves };
}
