import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { statementsOf } from './mysqltest-statements.ts';

const run = promisify(execFile);
const CACHE = '.cache/mariadb-test-data';
const SCRIPTS = 'usr/share/mysql/mysql-test/main';
/** Longer ones are tests of limits, not of grammar. */
const STATEMENT_CHARACTERS_MAX = 20_000;

/**
 * The statements of MariaDB's own test suite, one in `every` chosen by hash. Nothing of it is in
 * our repository: Debian's package is fetched once. Undefined where apt cannot bring it.
 */
export async function mysqltestCorpus(every: number): Promise<readonly string[] | undefined> {
  const folder = await scriptsFolder();
  if (folder === undefined) return undefined;
  const statements = new Set<string>();
  for (const file of (await readdir(folder)).sort()) {
    if (!file.endsWith('.test')) continue;
    const script = await readFile(join(folder, file), 'utf8');
    for (const statement of statementsOf(script)) {
      if (statement.length > STATEMENT_CHARACTERS_MAX || !isChosen(statement, every)) continue;
      statements.add(statement);
    }
  }
  return [...statements];
}

async function scriptsFolder(): Promise<string | undefined> {
  const folder = join(CACHE, SCRIPTS);
  if (existsSync(folder)) return folder;
  try {
    await mkdir('.cache', { recursive: true });
    const work = await mkdtemp('.cache/mariadb-test-data-');
    await run('apt-get', ['download', 'mariadb-test-data'], { cwd: work });
    const [archive = ''] = (await readdir(work)).filter((name) => name.endsWith('.deb'));
    await run('dpkg', ['-x', archive, 'x'], { cwd: work });
    await rename(join(work, 'x'), CACHE);
    await rm(work, { recursive: true });
    return existsSync(folder) ? folder : undefined;
  } catch (error) {
    // No apt, no network, no such package: the test that needs it skips loudly.
    console.warn(`mariadb-test-data cannot be fetched: ${String(error).slice(0, 300)}`);
    return undefined;
  }
}

function isChosen(statement: string, every: number): boolean {
  return createHash('md5').update(statement).digest().readUInt32LE(0) % every === 0;
}
