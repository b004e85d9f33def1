import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type ServerFlavour = 'mariadb' | 'mysql';

/** A server program on this machine that can be started on a data directory of our own. */
export interface ServerBinary {
  readonly flavour: ServerFlavour;
  readonly version: string;
  /** The program and the arguments that must come before all others. */
  readonly command: readonly string[];
  /** Options that tell this program where its own files lie. */
  readonly options: readonly string[];
  /** `mariadb-install-db`; MySQL's server initialises a data directory by itself. */
  readonly installer: string | undefined;
}

/** Where downloads and prepared data directories are kept between runs. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return env.SHARDGATE_CACHE_DIR ?? join(packageFolder(), '.cache');
}

/**
 * The server programs of this machine, at most one of each flavour: first what is on the PATH (and in the sbin folders,
 * which are missing from a normal user's PATH), then the MySQL that scripts/get-mysql unpacked.
 */
export async function findServerBinaries(env: NodeJS.ProcessEnv): Promise<readonly ServerBinary[]> {
  const found = new Map<ServerFlavour, ServerBinary>();
  const candidates = [
    ...searchPath(env).flatMap((folder) => [join(folder, 'mysqld'), join(folder, 'mariadbd')]),
  ];
  for (const program of candidates) {
    const binary = await installedBinary(program, env);
    if (binary !== undefined && !found.has(binary.flavour)) found.set(binary.flavour, binary);
  }
  const unpacked = found.has('mysql') ? undefined : await unpackedMysql(env);
  if (unpacked !== undefined) found.set('mysql', unpacked);
  return [...found.values()];
}

async function installedBinary(
  program: string,
  env: NodeJS.ProcessEnv,
): Promise<ServerBinary | undefined> {
  if (!(await isExecutable(program))) return undefined;
  const version = await versionOf([program]);
  if (version === undefined) return undefined;
  if (!version.includes('MariaDB')) {
    return { flavour: 'mysql', version, command: [program], options: [], installer: undefined };
  }
  const installer = await findInstaller(env);
  if (installer === undefined) return undefined;
  return { flavour: 'mariadb', version, command: [program], options: [], installer };
}

async function unpackedMysql(env: NodeJS.ProcessEnv): Promise<ServerBinary | undefined> {
  const tree = env.SHARDGATE_MYSQL_DIR ?? join(cacheFolder(env), 'mysql');
  if (!(await isExecutable(join(tree, 'run')))) return undefined;
  const command = [join(tree, 'run'), 'usr/sbin/mysqld'];
  const version = await recordedVersion(tree);
  if (version === undefined) return undefined;
  const options = [
    `--lc-messages-dir=${join(tree, 'usr/share/mysql')}`,
    `--character-sets-dir=${join(tree, 'usr/share/mysql/charsets')}`,
    `--plugin-dir=${join(tree, 'usr/lib/mysql/plugin')}`,
  ];
  return { flavour: 'mysql', version, command, options, installer: undefined };
}

async function recordedVersion(tree: string): Promise<string | undefined> {
  try {
    return parseVersion(await readFile(join(tree, 'version'), 'utf8'));
  } catch {
    return undefined; // The folder is half filled: as good as absent.
  }
}

async function versionOf(command: readonly [string, ...string[]]): Promise<string | undefined> {
  const [program, ...args] = command;
  try {
    const { stdout } = await run(program, [...args, '--no-defaults', '--version'], {
      timeout: 10_000,
    });
    return parseVersion(stdout);
  } catch {
    return undefined; // Not a program for this machine: the search goes on.
  }
}

function parseVersion(text: string): string | undefined {
  return /\bVer (\S+)/.exec(text)?.[1];
}

async function findInstaller(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of searchPath(env)) {
    for (const name of ['mariadb-install-db', 'mysql_install_db']) {
      if (await isExecutable(join(folder, name))) return join(folder, name);
    }
  }
  return undefined;
}

function searchPath(env: NodeJS.ProcessEnv): readonly string[] {
  const named = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...new Set([...named, '/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/usr/bin'])];
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false; // Absent or forbidden: either way it cannot be started.
  }
}

// Both `src/cli` and the built `dist/cli` lie two folders below the package.
function packageFolder(): string {
  return dirname(dirname(dirname(fileURLToPath(import.meta.url))));
}
