import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder, type ServerBinary } from './server-binaries.ts';

const run = promisify(execFile);

/** MySQL's root may only come from "localhost", which a server that does not resolve names never sees on TCP. */
const ROOT_FROM_LOOPBACK = `CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
`;

/** Small files make a copy of the template quick. */
const FILE_OPTIONS = {
  mariadb: ['--innodb-log-file-size=16M', '--innodb-buffer-pool-size=32M'],
  mysql: ['--innodb-redo-log-capacity=32M', '--innodb-buffer-pool-size=32M'],
} as const;

/**
 * Fills `target` with a fresh data directory. Initialising one takes seconds, so that is done once per server version,
 * into a template in the cache folder, and copied from then on.
 */
export async function copyDataDirectory(
  binary: ServerBinary,
  target: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  await cp(await templateFor(binary, env), target, { recursive: true });
  await rm(join(target, 'auto.cnf'), { force: true }); // The server's UUID: every copy draws its own.
}

/** The options that must stay the same from initialisation on. */
export function fileOptions(binary: ServerBinary): readonly string[] {
  return FILE_OPTIONS[binary.flavour];
}

/** A server refuses to run as root unless it is told that this is meant. */
export function userOptions(): readonly string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/** Servers that are started together wait for the one initialisation instead of each making their own. */
const templatesBeingMade = new Map<string, Promise<void>>();

async function templateFor(binary: ServerBinary, env: NodeJS.ProcessEnv): Promise<string> {
  const folder = join(cacheFolder(env), 'server-templates');
  const recipe = JSON.stringify([binary.command, fileOptions(binary), ROOT_FROM_LOOPBACK]);
  const id = createHash('sha256').update(recipe).digest('hex').slice(0, 8);
  const template = join(
    folder,
    `${binary.flavour}-${binary.version.replace(/[^\w.]/g, '_')}-${id}`,
  );
  if (await exists(template)) return template;

  const making = templatesBeingMade.get(template) ?? makeTemplate(binary, folder, template);
  templatesBeingMade.set(template, making);
  await making;
  return template;
}

async function makeTemplate(binary: ServerBinary, folder: string, template: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const draft = await mkdtemp(join(folder, 'draft-'));
  try {
    await initialise(binary, join(draft, 'data'));
    await rename(join(draft, 'data'), template);
  } catch (error) {
    // Another process may have been quicker; its template is as good as ours.
    if (!(await exists(template))) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function initialise(binary: ServerBinary, dataFolder: string): Promise<void> {
  const [program, ...args] =
    binary.installer === undefined
      ? await mysqlInitialiser(binary, dataFolder)
      : mariadbInitialiser(binary.installer, binary, dataFolder);
  try {
    await run(program, args, { timeout: 120_000, maxBuffer: 16 << 20 });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    const words = output.trim().split('\n').slice(-5).join('\n');
    throw new Error(`${basename(program)} could not prepare a data directory:\n${words}`, {
      cause: error,
    });
  }
}

function mariadbInitialiser(
  installer: string,
  binary: ServerBinary,
  dataFolder: string,
): [string, ...string[]] {
  return [
    installer,
    '--no-defaults',
    `--datadir=${dataFolder}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    ...userOptions(),
    ...fileOptions(binary),
  ];
}

async function mysqlInitialiser(
  binary: ServerBinary,
  dataFolder: string,
): Promise<[string, ...string[]]> {
  const script = `${dataFolder}.sql`;
  await writeFile(script, ROOT_FROM_LOOPBACK);
  const [program = '', ...leading] = binary.command;
  return [
    program,
    ...leading,
    '--no-defaults',
    '--initialize-insecure',
    `--datadir=${dataFolder}`,
    `--init-file=${script}`,
    '--secure-file-priv=NULL',
    ...userOptions(),
    ...binary.options,
    ...fileOptions(binary),
  ];
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // Not there yet: the caller makes it.
  }
}
