import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { type ConfigFile, readConfig } from '../topology/config-file.ts';
import { formatProblems } from '../topology/config-problems.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import type { Terminal } from './command.ts';

/** The option that every command with a config has. */
export const CONFIG_OPTION = {
  config: { type: 'string', short: 'c', default: './shards.yaml' },
} as const;

export const CONFIG_HELP = '  -c, --config FILE   the config (default ./shards.yaml)';

/** The checked config; when it is wrong, says everything that is, one problem a line, and is undefined. */
export async function loadConfig(
  path: string,
  terminal: Terminal,
): Promise<ProxyConfig | undefined> {
  return (await loadConfigFile(path, terminal))?.config;
}

/** The same with the text's own view of its settings. */
export async function loadConfigFile(
  path: string,
  terminal: Terminal,
): Promise<Extract<ConfigFile, { readonly ok: true }> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    // The system's own words hold the path and the reason.
    terminal.say(`cannot read the config: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
  const file = readConfig(text, terminal.env);
  if (file.ok) return file;
  terminal.say(formatProblems(path, file.problems));
  const count = file.problems.length;
  terminal.say(
    `${basename(path)} has ${count} problem${count === 1 ? '' : 's'}; nothing was started`,
  );
  return undefined;
}
