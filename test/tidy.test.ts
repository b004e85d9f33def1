import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as rules from './support/tidy-rules.ts';

const REPOSITORY = join(import.meta.dirname, '..');
const FOLDERS = ['src', 'test', 'bench', 'scripts'];

const followsImportTable = rules.followsImportTable(
  rules.readImportTable(readFileSync(join(REPOSITORY, 'ARCHITECTURE.md'), 'utf8')),
);

const RULES: Readonly<Record<string, rules.Rule>> = {
  'imports follow the table of ARCHITECTURE.md': followsImportTable,
  'packages are entered by their door': rules.entersPackagesByTheirDoor,
  'pure folders are pure': rules.keepsPureFoldersPure,
  'there are no barrels': rules.hasNoBarrels,
  'there are no default exports': rules.hasNoDefaultExports,
  'there are no import cycles': rules.hasNoCycles,
  'files are short': rules.keepsFilesShort,
  'names say something': rules.namesFilesWell,
  'the environment is read at the edge': rules.readsEnvironmentAtTheEdge,
  'unfinished work names an issue': rules.namesAnIssueForUnfinishedWork,
};

describe('the sources', async () => {
  const files = await readSources();

  test.each(Object.entries(RULES))('%s', (_name, rule) => {
    expect(rule(files)).toEqual([]);
  });

  test('there are sources to look at', () => {
    expect(files.length).toBeGreaterThan(20);
  });
});

describe('each rule sees what it forbids', () => {
  test.each<[rules.Rule, string, string, RegExp]>([
    [followsImportTable, 'src/txn/a.ts', "import { b } from '../session/b.ts';", /txn\/ may not/],
    [followsImportTable, 'src/wire/a.ts', "import '../sql/b.ts';", /wire\/ may not/],
    [followsImportTable, 'src/proxy.ts', "import { b } from './cli/b.ts';", /import cli/],
    [followsImportTable, 'src/novel/a.ts', "import { b } from '../sql/b.ts';", /no row/],
    [
      followsImportTable,
      'src/admin/a.ts',
      "import { type B, b } from '../session/b.ts';",
      /admin\/ may not/,
    ],
    [
      followsImportTable,
      'src/execute/a.ts',
      "import {\n  b,\n} from '../txn/b.ts';",
      /execute\/ may not/,
    ],
    [
      followsImportTable,
      'src/execute/a.ts',
      "import { Tokenizer } from '../sql/tokenizer.ts';",
      /execute\/ may not/,
    ],
    [
      rules.entersPackagesByTheirDoor,
      'src/session/a.ts',
      "import { createPool } from 'mysql2/promise';",
      /only src\/backend\/control-connection/,
    ],
    [rules.entersPackagesByTheirDoor, 'src/session/a.ts', "import a from 'lodash';", /no door/],
    [
      rules.entersPackagesByTheirDoor,
      'src/plan/a.ts',
      "const a = await import('zod');",
      /only src\/topology/,
    ],
    [
      rules.keepsPureFoldersPure,
      'src/wire/a.ts',
      "import { connect } from 'node:net';",
      /node:net/,
    ],
    [rules.keepsPureFoldersPure, 'src/sql/a.ts', 'export async function a() {}', /async/],
    [rules.keepsPureFoldersPure, 'src/topology/hash-ring.ts', 'const a = Date.now();', /Date\.now/],
    [rules.hasNoBarrels, 'src/wire/index.ts', 'export const a = 1;', /barrel/],
    [rules.hasNoBarrels, 'src/wire/all.ts', "export * from './a.ts';", /passes on/],
    [
      rules.hasNoBarrels,
      'src/wire/all.ts',
      "export { a } from './a.ts';\nexport { b } from './b.ts';",
      /passes on/,
    ],
    [rules.hasNoDefaultExports, 'src/wire/a.ts', 'export default 1;', /default/],
    [rules.keepsFilesShort, 'src/wire/a.ts', 'a();\n'.repeat(501), /501 lines/],
    [rules.namesFilesWell, 'src/wire/packet-utils.ts', '', /names nothing/],
    [rules.namesFilesWell, 'src/wire/types.ts', '', /names nothing/],
    [rules.namesFilesWell, 'src/wire/packetReader.ts', '', /kebab/],
    [rules.readsEnvironmentAtTheEdge, 'src/txn/a.ts', 'const a = process.env.A;', /process\.env/],
    [rules.namesAnIssueForUnfinishedWork, 'src/txn/a.ts', '// TO' + 'DO: finish', /no issue/],
  ])('%o in %s', (rule, path, text, expected) => {
    const findings = rule([{ path, text }]);

    expect(findings.join('\n')).toMatch(expected);
  });

  test('a cycle of types only is a cycle', () => {
    const findings = rules.hasNoCycles([
      { path: 'src/plan/a.ts', text: "import type { B } from './b.ts';" },
      { path: 'src/plan/b.ts', text: "import type { C } from './c.ts';" },
      { path: 'src/plan/c.ts', text: "import type { A } from './a.ts';" },
    ]);

    expect(findings).toEqual([
      'import cycle: src/plan/a.ts -> src/plan/b.ts -> src/plan/c.ts -> src/plan/a.ts',
    ]);
  });

  test.each([
    ['a long function', `export function a(): void {\n${'  b();\n'.repeat(71)}}\n`, /70/],
    ['a default export', 'export default 1;\n', /noDefaultExport/],
    ['any', 'export const a: any = 1;\n', /noExplicitAny/],
    ['an enum', 'export enum A {\n  B,\n}\n', /noEnum/],
  ])('biome refuses %s', async (_title, text, expected) => {
    expect(await lint(text)).toMatch(expected);
  });
});

describe('no rule is over-eager', () => {
  test.each<[rules.Rule, string, string]>([
    [
      followsImportTable,
      'src/admin/a.ts',
      "import type { B } from '../session/b.ts';\nimport { type C } from '../session/c.ts';",
    ],
    [
      followsImportTable,
      'src/execute/a.ts',
      "import { splice } from '../sql/splice.ts';\nimport type { Statement } from '../sql/statement.ts';",
    ],
    [followsImportTable, 'src/cli/a.ts', "import { b } from '../wire/b.ts';"],
    [rules.keepsPureFoldersPure, 'src/wire/a.ts', "// async\nconst a = 'await'; /* process */"],
    [rules.keepsPureFoldersPure, 'src/wire/a.ts', "import { createHash } from 'node:crypto';"],
    [rules.hasNoBarrels, 'src/wire/a.ts', "export type { B } from './b.ts';\nexport const c = 1;"],
    [rules.namesFilesWell, 'src/wire/column-types.ts', ''],
    [rules.namesAnIssueForUnfinishedWork, 'src/a.ts', '// TO' + 'DO: see issue 5'],
  ])('%o in %s', (rule, path, text) => {
    expect(rule([{ path, text }])).toEqual([]);
  });
});

async function readSources(): Promise<readonly rules.SourceFile[]> {
  const listings = await Promise.all(FOLDERS.map(listSources));
  return Promise.all(
    listings.flat().map(async (path) => ({
      path: path.split(sep).join('/'),
      text: await readFile(join(REPOSITORY, path), 'utf8'),
    })),
  );
}

async function listSources(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(REPOSITORY, folder), { recursive: true });
  return entries.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
}

/** What biome, with the settings of this repository, says about a file of `src/` with this text. */
async function lint(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shardgate-tidy-'));
  try {
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'src/example.ts'), text);
    await copyFile(join(REPOSITORY, 'biome.json'), join(folder, 'biome.json'));
    const biome = join(REPOSITORY, 'node_modules/.bin/biome');
    const { stdout, stderr } = spawnSync(biome, ['lint', 'src'], { cwd: folder, encoding: 'utf8' });
    return stdout + stderr;
  } finally {
    await rm(folder, { recursive: true });
  }
}
