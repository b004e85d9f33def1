import { parseArgs } from 'node:util';
import { type RunningProxy, startProxy } from '../proxy.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfig } from './config-option.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export const startCommand: Command = {
  summary: 'start the proxy',
  help: `Usage: shardgate start [--config FILE] [--log-level LEVEL]

Starts the proxy and stays in the foreground. The log goes to standard error, one JSON object a line.
A saved config takes effect at once when it is right; SIGHUP reads it, and the certificate, again.
SIGTERM or SIGINT: no new clients, running statements finish, then it ends; a second signal ends it at once.
Exit code 0: stopped in order; 1: could not start (a port in use, say); 78: the config is wrong.

${CONFIG_HELP}
  --log-level LEVEL   debug, info (default), warn or error`,
  async run(args, terminal) {
    const { values } = parseArgs({
      args: [...args],
      options: { ...CONFIG_OPTION, 'log-level': { type: 'string', default: 'info' } },
    });
    const logLevel = LOG_LEVELS.find((level) => level === values['log-level']);
    if (logLevel === undefined)
      throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
    if ((await loadConfig(values.config, terminal)) === undefined) return EXIT.config;

    let proxy: RunningProxy;
    try {
      proxy = await startProxy({ configPath: values.config, env: terminal.env, logLevel });
    } catch (error) {
      terminal.say(`shardgate could not start: ${reasonOf(error)}`);
      return EXIT.failed;
    }
    terminal.out(listening(proxy));
    process.on('SIGHUP', () => {
      terminal.say('SIGHUP: reading the config again');
      proxy.reload().catch((error: unknown) => {
        terminal.say(`the config cannot be read: ${reasonOf(error)}`);
      });
    });
    await untilToldToStop(terminal, ['SIGTERM', 'SIGINT']);
    await proxy.stop();
    return EXIT.ok;
  },
};

/** The words for the operator: what is in the way, and where. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE' && 'address' in error && 'port' in error) {
    return `the address ${error.address}:${error.port} is in use by another program`;
  }
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}

/** Resolves at the first of the signals; from then on another one ends the program at once. */
export function untilToldToStop(
  terminal: Terminal,
  signals: readonly NodeJS.Signals[],
): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of signals) {
      process.on(signal, () => {
        if (isStopping) process.exit(EXIT.failed);
        isStopping = true;
        terminal.say(`${signal}: finishing what runs; send it again to end at once`);
        resolve();
      });
    }
  });
}

function listening({ address, adminAddress }: RunningProxy): string {
  const admin =
    adminAddress === undefined
      ? ''
      : `, http://${adminAddress.host}:${adminAddress.port} for operators`;
  return `shardgate listens on ${address.host}:${address.port}${admin}`;
}
