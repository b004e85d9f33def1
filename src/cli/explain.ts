import { parseArgs } from 'node:util';
import type { ProxyConfig } from '../topology/config-schema.ts';
import { type ClientLogin, connectClient } from './client-connection.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfig } from './config-option.ts';
import { reasonOf } from './start.ts';
import { formatTable } from './text-table.ts';

export const explainCommand: Command = {
  summary: 'ask the running proxy where a statement would go',
  help: `Usage: shardgate explain [--config FILE] [--user NAME] [--database NAME] "STATEMENT"

Asks the proxy that runs with this config; the statement itself is not carried out.

${CONFIG_HELP}
  -u, --user NAME     one of the users of the config that has a password (default: the first)
  -d, --database NAME the current database (default: the first of the config)

Example: shardgate explain "SELECT * FROM users WHERE id = 42"`,
  async run(args, terminal) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...CONFIG_OPTION,
        user: { type: 'string', short: 'u' },
        database: { type: 'string', short: 'd' },
      },
    });
    const [statement] = positionals;
    if (statement === undefined || positionals.length > 1) {
      throw new UsageError('wants one statement, in quotes');
    }
    const config = await loadConfig(values.config, terminal);
    if (config === undefined) return EXIT.config;
    try {
      const client = await connectClient(loginOf(config, values));
      try {
        terminal.out(formatTable(await client.query(`EXPLAIN ROUTE ${statement}`)));
      } finally {
        await client.end();
      }
    } catch (error) {
      // The proxy's own words: it is not running, or it refuses the statement.
      terminal.say(`shardgate explain: ${reasonOf(error)}`);
      return EXIT.failed;
    }
    return EXIT.ok;
  },
};

function loginOf(
  config: ProxyConfig,
  wanted: { readonly user?: string | undefined; readonly database?: string | undefined },
): ClientLogin {
  const [user, account] =
    Object.entries(config.users).find(
      ([name, { password }]) =>
        password !== undefined && (wanted.user === undefined || name === wanted.user),
    ) ?? [];
  if (user === undefined || account?.password === undefined) {
    throw new UsageError('the config has no such user with a password in clear text');
  }
  const database = wanted.database ?? Object.keys(config.databases)[0];
  const { host, port } = config.listen;
  return {
    host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host,
    port,
    user,
    password: account.password,
    ...(database === undefined ? {} : { database }),
  };
}
