#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { checkCommand } from './check.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { configCommand } from './config.ts';
import { devCommand } from './dev.ts';
import { explainCommand } from './explain.ts';
import { rebalanceCommand } from './rebalance.ts';
import { rollbackCommand } from './rollback.ts';
import { startCommand } from './start.ts';

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['start', startCommand],
  ['check', checkCommand],
  ['config', configCommand],
  ['dev', devCommand],
  ['explain', explainCommand],
  ['rollback', rollbackCommand],
  ['rebalance', rebalanceCommand],
]);

/** Runs one command line and resolves with its exit code. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  const [word, ...rest] = args;
  switch (word) {
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      return help(rest[0], terminal);
    case 'version':
    case '--version':
    case '-v':
      terminal.out(`shardgate ${packageVersion()}`);
      return EXIT.ok;
  }
  const command = COMMANDS.get(word);
  if (command === undefined) return unknown(word, terminal);
  if (rest.includes('--help') || rest.includes('-h')) return help(word, terminal);
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    if (!isUsageError(error)) throw error;
    terminal.say(`shardgate ${word}: ${error.message}\n\n${command.help}`);
    return EXIT.usage;
  }
}

function help(word: string | undefined, terminal: Terminal): number {
  if (word === undefined) {
    terminal.out(overview());
    return EXIT.ok;
  }
  const command = COMMANDS.get(word);
  if (command === undefined) return unknown(word, terminal);
  terminal.out(command.help);
  return EXIT.ok;
}

function overview(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((word) => word.length)) + 3;
  const line = (word: string, summary: string) => `  ${word.padEnd(width)}${summary}`;
  return [
    'shardgate makes many MySQL servers look like one.',
    '',
    'Usage: shardgate COMMAND [options]',
    '',
    ...[...COMMANDS].map(([word, { summary }]) => line(word, summary)),
    line('version', 'print the version'),
    line('help', 'print this, or the help of one command: shardgate help start'),
    '',
    'New here? `shardgate dev` starts four throwaway servers and a sharded sample shop.',
  ].join('\n');
}

function unknown(word: string, terminal: Terminal): number {
  terminal.say(`shardgate: there is no command "${word}"\n\n${overview()}`);
  return EXIT.usage;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const description: { readonly version: string } = JSON.parse(text);
  return description.version;
}

// node:util's parseArgs has no error class of its own, only codes.
function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('ERR_PARSE_ARGS_');
}

if (import.meta.main) {
  const terminal: Terminal = {
    env: process.env,
    out: (text) => void process.stdout.write(`${text}\n`),
    say: (text) => void process.stderr.write(`${text}\n`),
  };
  // Whatever a command left open must not keep a finished program running.
  process.exit(await runCommandLine(process.argv.slice(2), terminal));
}
