import { rename, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { CONFIG_HELP, CONFIG_OPTION, loadConfigFile } from './config-option.ts';
import { type LiveCluster, withLiveCluster } from './live-cluster.ts';
import { reasonOf } from './start.ts';

const EFFECT_MS_MAX = 10_000;
const LOOK_EVERY_MS = 100;

export const rollbackCommand: Command = {
  summary: 'save an earlier version of the config again',
  help: `Usage: shardgate rollback N [--config FILE]

Puts the text of version N (see SHOW CONFIG VERSIONS) into the config file, and waits until the proxy that watches the
file has recorded it. It is an edit like any other: when it would strand rows it is refused, and SHOW CONFIG says why.
Exit code 0: it is in force; 1: it is not.

${CONFIG_HELP}`,
  async run(args, terminal) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: CONFIG_OPTION,
    });
    const [word = ''] = positionals;
    if (positionals.length !== 1 || !/^[1-9]\d{0,8}$/.test(word)) {
      throw new UsageError('wants the number of one version');
    }
    const file = await loadConfigFile(values.config, terminal);
    if (file === undefined) return EXIT.config;
    try {
      const done = await withLiveCluster(file, terminal.env, (cluster) =>
        rollBack(cluster, { path: values.config, version: Number(word) }, terminal),
      );
      if (done !== undefined) return done;
      terminal.say('nothing is recorded for this cluster: no proxy has started with it yet');
    } catch (error) {
      if (error instanceof UsageError) throw error;
      terminal.say(`shardgate rollback: ${reasonOf(error)}`);
    }
    return EXIT.failed;
  },
};

async function rollBack(
  cluster: LiveCluster,
  wanted: { readonly path: string; readonly version: number },
  terminal: Terminal,
): Promise<number> {
  const { versions, newest } = cluster;
  const { path, version } = wanted;
  const target = await versions.read(version);
  if (target === undefined) throw new UsageError(`there is no version ${version}`);
  // Renamed into place, so that no proxy reads half of it. It may hold passwords, as the file before did.
  const temporary = `${path}.rollback`;
  await writeFile(temporary, target.text, { mode: 0o600 });
  await rename(temporary, path);
  terminal.say(`${path} is version ${version} again`);
  for (const until = Date.now() + EFFECT_MS_MAX; Date.now() < until; ) {
    const [now] = await versions.list(1);
    if (now !== undefined && now.version > newest.version && now.text === target.text) {
      terminal.out(`it is in force as version ${now.version}`);
      return EXIT.ok;
    }
    await delay(LOOK_EVERY_MS);
  }
  terminal.say('no proxy has taken it over: it says the same, or SHOW CONFIG and the log say why');
  return EXIT.failed;
}
