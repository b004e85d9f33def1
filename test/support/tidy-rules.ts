/** One source file as the rules see it: its path from the repository, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A breach of a rule, in words for the person who has to repair it. */
export type Finding = string;

export type Rule = (files: readonly SourceFile[]) => readonly Finding[];

/** Who may import whom, by folder: an entry is a folder, one file below `src/`, or `type:` and a folder. */
export type ImportTable = ReadonlyMap<string, readonly string[]>;

/** Reads the table of the architecture page: rows of two cells, with names in backticks. */
export function readImportTable(page: string): ImportTable {
  const table = new Map<string, readonly string[]>();
  const section = page.split('## Who may import whom')[1]?.split('\n## ')[0] ?? '';
  for (const [, folder = '', cell = ''] of section.matchAll(/^\| `([\w-]+)` \| (.*) \|$/gm)) {
    table.set(
      folder,
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    );
  }
  return table;
}

/** The one file that may import each package. mysql2 has a second: in `cli` it is a client of the proxy, not of a shard. */
const DOORS: Readonly<Record<string, string>> = {
  mysql2: 'src/backend/control-connection.ts src/cli/client-connection.ts',
  'node-sql-parser': 'src/sql/schema-statement.ts',
  'js-yaml': 'src/topology/config-file.ts',
  chokidar: 'src/topology/config-watcher.ts',
  zod: 'src/topology/config-schema.ts',
  pino: 'src/observability/logger.ts',
  'prom-client': 'src/observability/metrics.ts',
  testcontainers: 'src/cli/docker-servers.ts',
};

const PURE_FOLDERS = ['errors', 'wire', 'sql', 'plan'];
const PURE_FILES = ['strategy', 'hash-ring', 'range-map', 'directory'].map(
  (name) => `src/topology/${name}.ts`,
);
const PURE_NODE_MODULES = ['node:buffer', 'node:crypto', 'node:util', 'node:zlib'];
const IMPURE_CODE =
  /\b(async|await|setTimeout|setInterval|setImmediate|queueMicrotask|console|process)\b|\b(?:Date\.now|performance\.now|new Date\(\)|Math\.random)/;

/** Files that may be longer than the bound. This list may only get shorter. */
const LONG_FILES: readonly string[] = [
  'src/sql/statement.ts', // One union of tree nodes, types only.
];
const FILE_LINES_MAX = 500;

export const followsImportTable =
  (table: ImportTable): Rule =>
  (files) =>
    sourcesOnly(files).flatMap((file) => {
      const from = folderOf(file.path);
      return importsOf(file).flatMap(({ target, typesOnly }) => {
        const to = target.startsWith('src/') ? folderOf(target) : undefined;
        if (to === undefined || to === from || from === 'cli') return [];
        if (to === 'cli') return [`${file.path} imports ${target}: nothing may import cli`];
        if (from === ROOT) return [];
        const allowed = table.get(from);
        if (allowed === undefined)
          return [`${file.path}: the import table has no row for ${from}/`];
        if (allowed.includes(to) || allowed.includes(target.slice('src/'.length))) return [];
        if (typesOnly && allowed.includes(`type:${to}`)) return [];
        return [`${file.path} imports ${target}: ${from}/ may not import ${to}/`];
      });
    });

export const entersPackagesByTheirDoor: Rule = (files) =>
  sourcesOnly(files).flatMap((file) =>
    importsOf(file).flatMap(({ target }) => {
      if (target.startsWith('src/') || target.startsWith('node:')) return [];
      const name = packageName(target);
      const door = DOORS[name];
      if (door === undefined) return [`${file.path} imports ${name}, which has no door`];
      return door.split(' ').includes(file.path)
        ? []
        : [`${file.path} imports ${name}: only ${door} may`];
    }),
  );

export const keepsPureFoldersPure: Rule = (files) =>
  sourcesOnly(files)
    .filter(({ path }) => PURE_FOLDERS.includes(folderOf(path)) || PURE_FILES.includes(path))
    .flatMap((file) => {
      const doors = importsOf(file)
        .filter(({ target }) => target.startsWith('node:') && !PURE_NODE_MODULES.includes(target))
        .map(({ target }) => `${file.path} is pure but imports ${target}`);
      const words = codeLines(file.text).flatMap((line, index) => {
        const [word] = IMPURE_CODE.exec(line) ?? [];
        return word === undefined ? [] : [`${file.path}:${index + 1} is pure but says ${word}`];
      });
      return [...doors, ...words];
    });

export const hasNoBarrels: Rule = (files) =>
  sourcesOnly(files).flatMap(({ path, text }) => {
    if (/\/index\.ts$/.test(path)) return [`${path}: a barrel; import from where things live`];
    const starred = /^export\s+(type\s+)?\*/m.test(text);
    const rest = text.replace(/^(import|export)\b[^;]*?\bfrom\s*'[^']*';/gm, '');
    const reexportsOnly = /^export\b[^;]*\bfrom\b/m.test(text) && !/\w/.test(withoutComments(rest));
    return starred || reexportsOnly ? [`${path} only passes on what others export`] : [];
  });

export const hasNoDefaultExports: Rule = (files) =>
  files
    .filter(({ path, text }) => path !== 'vitest.config.ts' && /^export default\b/m.test(text))
    .map(({ path }) => `${path} has a default export`);

export const hasNoCycles: Rule = (files) => {
  const graph = new Map(
    sourcesOnly(files).map((file) => [file.path, importsOf(file).map(({ target }) => target)]),
  );
  const done = new Set<string>();
  const trail: string[] = [];
  const findings: Finding[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      findings.push(`import cycle: ${[...trail.slice(start), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return findings;
};

export const keepsFilesShort: Rule = (files) =>
  files.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split('\n').length;
    const isException = LONG_FILES.includes(path);
    if (lines > FILE_LINES_MAX && !isException) return [`${path} has ${lines} lines`];
    return lines <= FILE_LINES_MAX && isException ? [`${path} is no longer an exception`] : [];
  });

export const namesFilesWell: Rule = (files) =>
  files.flatMap(({ path }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config))?\.ts$/.test(name)) {
      return [`${path}: names are kebab-case`];
    }
    const says = /^((.+-)?(utils?|helpers?|commons?|misc|managers?)|types)\.(test\.)?ts$/.exec(
      name,
    );
    return says === null ? [] : [`${path}: "${says[1]}" names nothing`];
  });

export const readsEnvironmentAtTheEdge: Rule = (files) =>
  sourcesOnly(files)
    .filter(({ path }) => folderOf(path) !== 'cli' && path !== 'src/topology/config-file.ts')
    .flatMap(({ path, text }) =>
      codeLines(text).flatMap((line, index) =>
        line.includes('process.env')
          ? [`${path}:${index + 1} reads process.env: only cli and config-file may`]
          : [],
      ),
    );

export const namesAnIssueForUnfinishedWork: Rule = (files) =>
  files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const unfinished = /\/[/*].*\b(TO_?DO|FIX_?ME)\b/.test(line) && !/issue \d+/.test(line);
      return unfinished ? [`${path}:${index + 1} is unfinished and names no issue`] : [];
    }),
  );

const ROOT = '(root)';

interface Import {
  /** A path below `src/`, or the name of a package as written. */
  readonly target: string;
  readonly typesOnly: boolean;
}

/** Every module that a file names, by import, re-export or `import()`. */
function importsOf({ path, text }: SourceFile): readonly Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(/^(?:import|export)\b([^;'"]*?)\bfrom\s*['"]([^'"]+)['"]/gm)) {
    const [, clause = '', module = ''] = match;
    found.push({ target: resolve(path, module), typesOnly: isTypesOnly(clause) });
  }
  for (const match of text.matchAll(/^import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm)) {
    found.push({ target: resolve(path, match[1] ?? match[2] ?? ''), typesOnly: false });
  }
  return found;
}

function isTypesOnly(clause: string): boolean {
  if (/^\s*type\b/.test(clause)) return true;
  const names = /^\s*\{([^}]*)\}\s*$/.exec(clause)?.[1]?.split(',') ?? [''];
  return names.filter((name) => name.trim() !== '').every((name) => /^\s*type\s/.test(name));
}

function resolve(from: string, module: string): string {
  if (!module.startsWith('.')) return module;
  const parts = from.split('/').slice(0, -1);
  for (const step of module.split('/')) {
    if (step === '..') parts.pop();
    else if (step !== '.') parts.push(step);
  }
  return parts.join('/');
}

function folderOf(path: string): string {
  const [, folder = ROOT, ...rest] = path.split('/');
  return rest.length === 0 ? ROOT : folder;
}

function packageName(module: string): string {
  return module
    .split('/')
    .slice(0, module.startsWith('@') ? 2 : 1)
    .join('/');
}

function sourcesOnly(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ path }) => path.startsWith('src/'));
}

/** The lines of a file with comments and the insides of strings blanked, so that words in them count for nothing. */
function codeLines(text: string): readonly string[] {
  return withoutComments(text).split('\n');
}

function withoutComments(text: string): string {
  const regexOrTextOrComment =
    /(?<=[=(,:[!&|?{};\n]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(regexOrTextOrComment, (match) => match.replace(/[^\n]/g, ' '));
}
