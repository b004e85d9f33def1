import { parseArgs } from 'node:util';
import type { ProxyConfig } from '../topology/config-schema.ts';
import { type Command, EXIT, type Terminal } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfig } from './config-option.ts';
import { readGreeting } from './server-greeting.ts';

const CONNECT_TIMEOUT_MS = 5_000;

export const checkCommand: Command = {
  summary: 'check a config without starting anything',
  help: `Usage: shardgate check [--config FILE] [--connect]

Reads the config and reports every problem with its line. Exit code 0: it is right; 78: it is not.

${CONFIG_HELP}
  --connect           also see whether a MySQL server answers at the address of each shard`,
  async run(args, terminal) {
    const { values } = parseArgs({
      args: [...args],
      options: { ...CONFIG_OPTION, connect: { type: 'boolean', default: false } },
    });
    const config = await loadConfig(values.config, terminal);
    if (config === undefined) return EXIT.config;
    terminal.out(`${values.config} is right: ${inventory(config)}`);
    return values.connect && !(await reachShards(config, terminal)) ? EXIT.failed : EXIT.ok;
  },
};

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
