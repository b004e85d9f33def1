import {
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from 'js-yaml';
import type { ConfigValues } from './config-diff.ts';
import { type ConfigProblem, formatPath, type PathProblem, suggestion } from './config-problems.ts';
import { configRuleProblems } from './config-rules.ts';
import {
  type ConfigPath,
  type ProxyConfig,
  parseConfigValue,
  type SchemaProblem,
  settingsAt,
} from './config-schema.ts';
import {
  type ConfigEntry,
  type ConfigNode,
  mapScalars,
  offsetOfPath,
  valueOfTree,
} from './config-tree.ts';

/** Aliases (`*name`) can make a short file unfold into a huge one. */
const NODES_MAX = 1_000_000;

export type Environment = Readonly<Record<string, string | undefined>>;

export type ConfigFile =
  | {
      readonly ok: true;
      readonly config: ProxyConfig;
      /** The settings as they are written, variables unreplaced: for comparing files. */
      readonly written: ConfigValues;
      /** Gives problems that are found later, against the shards, their place in the file. */
      locate(problem: PathProblem): ConfigProblem;
    }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Reads and checks the text of a config file. Every problem is reported, in the order of the file. */
export function readConfig(text: string, environment: Environment): ConfigFile {
  const place = placesIn(text);
  const found: { readonly offset: number; readonly problem: PathProblem }[] = [];
  const failed = (): ConfigFile => ({
    ok: false,
    problems: found
      .map(({ offset, problem }) => ({
        ...place(offset),
        path: formatPath(problem.path),
        message: problem.message,
      }))
      .sort((a, b) => a.line - b.line || a.column - b.column),
  });

  let tree: ConfigNode | undefined;
  try {
    tree = new TreeBuilder(markVariables(text), (offset, problem) =>
      found.push({ offset, problem }),
    ).build();
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    // Only the reason: the exception's own text quotes the line, which may hold a password.
    const message = `is not YAML: ${error.reason}`;
    found.push({ offset: error.mark?.position ?? 0, problem: { path: [], message } });
  }
  if (tree === undefined) return failed();
  const root = mapScalars(tree, (scalar, { offset, path }) =>
    substituteVariables(scalar, environment, (message) =>
      found.push({ offset, problem: { path, message } }),
    ),
  );
  const locate = (problem: PathProblem) => ({ offset: offsetOfPath(root, problem.path), problem });

  const parsed = parseConfigValue(valueOfTree(root));
  if (parsed.ok) found.push(...configRuleProblems(parsed.config).map(locate));
  else found.push(...parsed.problems.map(withSuggestion).map(locate));
  if (found.length > 0 || !parsed.ok) return failed();
  return {
    ok: true,
    config: parsed.config,
    written: flatten(
      mapScalars(tree, (scalar) => withBraces(scalar)),
      [],
    ),
    locate: (problem) => ({
      ...place(offsetOfPath(root, problem.path)),
      path: formatPath(problem.path),
      message: problem.message,
    }),
  };
}

function withSuggestion(problem: SchemaProblem): PathProblem {
  if (problem.unknownKey === undefined) return problem;
  const known = settingsAt(problem.path.slice(0, -1));
  return { path: problem.path, message: problem.message + suggestion(problem.unknownKey, known) };
}

/** Characters for private use: they stand for the braces of a variable while YAML is parsed. */
const [OPEN, DOLLAR, CLOSE] = ['\uf8f0', '\uf8f1', '\uf8f2'];

/**
 * Takes the braces out of `${NAME}` and `${NAME:-default}`, which YAML would take for a mapping where such a
 * value stands bare in a list or mapping in braces. Every offset stays as it was.
 */
function markVariables(text: string): string {
  return text.replace(
    /(?<!\$)\$\{([A-Za-z_]\w*(?::-[^}\n]*)?)\}/g,
    (_, inner: string) => `${DOLLAR}${OPEN}${inner}${CLOSE}`,
  );
}

function withBraces(text: string): string {
  const marks = new Map([
    [OPEN, '{'],
    [DOLLAR, '$'],
    [CLOSE, '}'],
  ]);
  return text.replace(
    new RegExp(`[${OPEN}${DOLLAR}${CLOSE}]`, 'g'),
    (mark) => marks.get(mark) ?? '',
  );
}

/** Puts in the values of variables. `$${` stands for the characters `${`. */
function substituteVariables(
  text: string,
  environment: Environment,
  report: (message: string) => void,
): string {
  const marked = text.replace(
    new RegExp(`${DOLLAR}${OPEN}(\\w+)(?::-([^${CLOSE}]*))?${CLOSE}`, 'g'),
    (_, name: string, fallback: string | undefined) => {
      const value = environment[name];
      // As in the shell: `:-` also takes the place of an empty value.
      if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
      if (value === undefined) report(`uses the variable ${name}, which is not set`);
      return value ?? '';
    },
  );
  if (marked === text && /(?<!\$)\$\{/.test(text)) {
    report('has a `$` with a brace that is no variable; write `$$` before a brace for a plain `$`');
  }
  return marked === text ? text.replaceAll('$${', '${') : marked;
}

function flatten(node: ConfigNode, path: ConfigPath): ConfigValues {
  switch (node.kind) {
    case 'scalar':
      return new Map([[formatPath(path), node.text]]);
    case 'list':
      return new Map(node.items.flatMap((item, index) => [...flatten(item, [...path, index])]));
    case 'mapping':
      if (node.entries.length === 0) return new Map([[formatPath(path), '{}']]);
      return new Map(node.entries.flatMap(({ key, value }) => [...flatten(value, [...path, key])]));
  }
}

function placesIn(text: string): (offset: number) => { line: number; column: number } {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    const after = starts.findIndex((start) => start > offset);
    const line = after < 0 ? starts.length : after;
    return { line, column: offset - (starts[line - 1] ?? 0) + 1 };
  };
}

/** Builds the tree from the parser's events, which know where each key stands. */
class TreeBuilder {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #report: (offset: number, problem: PathProblem) => void;
  readonly #anchors = new Map<string, ConfigNode>();
  readonly #sizes = new Map<ConfigNode, number>();
  #next = 0;
  #nodes = 0;
  #offset = 0;

  constructor(text: string, report: (offset: number, problem: PathProblem) => void) {
    this.#text = text;
    this.#events = parseEvents(text, {});
    this.#report = report;
  }

  /** Undefined when the file holds nothing to go on with; that has been reported. */
  build(): ConfigNode | undefined {
    const documents = this.#events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
    if (documents > 1) {
      this.#report(0, { path: [], message: 'must be one document: remove the `---` between them' });
      return undefined;
    }
    this.#next = 1;
    const event = this.#events[this.#next];
    if (event === undefined || event.type === EVENT_ID.POP) {
      this.#report(0, { path: [], message: 'the file is empty' });
      return undefined;
    }
    const root = this.#node([]);
    if (root.kind === 'mapping') return root;
    this.#report(root.offset, { path: [], message: 'must be a mapping of settings' });
    return undefined;
  }

  #node(path: ConfigPath): ConfigNode {
    const before = this.#nodes;
    const event = this.#events[this.#next++];
    if (event === undefined) throw new Error('the parser ended within a node');
    const node = this.#nodeOf(event, path);
    if ('anchorStart' in event && event.type !== EVENT_ID.ALIAS && event.anchorStart >= 0) {
      this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), node);
      this.#sizes.set(node, this.#nodes - before);
    }
    return node;
  }

  #nodeOf(event: Event, path: ConfigPath): ConfigNode {
    this.#nodes++;
    switch (event.type) {
      case EVENT_ID.SCALAR: {
        if (event.valueStart >= 0) this.#offset = event.valueStart;
        const text = getScalarValue(this.#text, event);
        const plain = event.style === SCALAR_STYLE.PLAIN;
        return { kind: 'scalar', offset: this.#offset, text, plain };
      }
      case EVENT_ID.SEQUENCE: {
        this.#offset = event.start;
        const items: ConfigNode[] = [];
        while (!this.#atEnd()) items.push(this.#node([...path, items.length]));
        return { kind: 'list', offset: event.start, items };
      }
      case EVENT_ID.MAPPING:
        this.#offset = event.start;
        return { kind: 'mapping', offset: event.start, entries: this.#entries(path) };
      case EVENT_ID.ALIAS:
        return this.#aliased(event, path);
      default:
        throw new Error('the parser sent a document within a document');
    }
  }

  #entries(path: ConfigPath): readonly ConfigEntry[] {
    const entries = new Map<string, ConfigEntry>();
    while (!this.#atEnd()) {
      const keyNode = this.#node(path);
      const key = keyNode.kind === 'scalar' ? keyNode.text : '';
      const value = this.#node([...path, key]);
      const wrong = keyProblem(keyNode, entries);
      if (wrong === undefined) entries.set(key, { key, keyOffset: keyNode.offset, value });
      else this.#report(keyNode.offset, { path: [...path, key], message: wrong });
    }
    return [...entries.values()];
  }

  #aliased(event: Extract<Event, { type: 5 }>, path: ConfigPath): ConfigNode {
    const anchor = this.#text.slice(event.anchorStart, event.anchorEnd);
    const node = this.#anchors.get(anchor);
    this.#nodes += node === undefined ? 0 : (this.#sizes.get(node) ?? 0);
    if (node !== undefined && this.#nodes <= NODES_MAX) return node;
    const message = node === undefined ? `*${anchor} has no anchor before it` : 'unfolds too far';
    this.#report(event.anchorStart, { path, message });
    return { kind: 'scalar', offset: event.anchorStart, text: '', plain: false };
  }

  /** True, and moves on, when the list or mapping being read is complete. */
  #atEnd(): boolean {
    if (this.#events[this.#next]?.type !== EVENT_ID.POP) return false;
    this.#next++;
    return true;
  }
}

function keyProblem(
  key: ConfigNode,
  entries: ReadonlyMap<string, ConfigEntry>,
): string | undefined {
  if (key.kind !== 'scalar') return 'has a list or mapping for a name';
  if (key.text === '<<') return 'is a merge key, which YAML 1.2 does not have: repeat the settings';
  if (key.text === '__proto__') return 'is not a possible name';
  return entries.has(key.text) ? 'is set twice' : undefined;
}
