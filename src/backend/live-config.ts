import { hostname, userInfo } from 'node:os';
import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import { configDifference, isSameMap, withLocalSettings } from '../topology/config-diff.ts';
import { type ConfigFile, type Environment, readConfig } from '../topology/config-file.ts';
import {
  type ConfigProblem,
  formatProblems,
  type PathProblem,
} from '../topology/config-problems.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import type { RehomingQuestion } from '../topology/rehoming.ts';
import { shardIds } from '../topology/strategy.ts';
import type { TopologyStore } from '../topology/topology-store.ts';
import { metadataShardOf } from './cluster-metadata.ts';
import type { CollationWeights } from './collation-weights.ts';
import {
  countLate,
  createMissing,
  type ExaminedChange,
  examineChange,
  misplacedProblems,
  shardMap,
} from './config-change.ts';
import type { ControlConnections } from './control-connection.ts';
import type { DirectoryStore } from './directory-store.ts';
import { recordIdentities } from './shard-identities.ts';
import type { TopologyLoader } from './topology-loader.ts';
import type { TopologyVersions } from './topology-versions.ts';

/** How often the recorded version is looked at: other proxies record too. */
const FOLLOW_MS = 500;
/** A recorded version that cannot be taken over is tried again this often. */
const RETRY_MS = 5_000;

/** When rows are looked for that statements and transactions of the map before have written after the count. */
const LOOK_BACK_MS = [1_500, 15_000];

type CheckedFile = Extract<ConfigFile, { readonly ok: true }>;

/** The config that a proxy runs, and where it came from. */
export interface ConfigInForce {
  readonly file: CheckedFile;
  readonly text: string;
  readonly version: number;
}

export interface LiveConfigParts {
  readonly path: string;
  readonly env: Environment;
  readonly control: ControlConnections;
  readonly weights: CollationWeights;
  readonly directories: DirectoryStore;
  readonly loader: TopologyLoader;
  readonly versions: TopologyVersions;
  readonly store: TopologyStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Settings of this proxy's own file, which stay whatever is recorded. */
  readonly own: ProxyConfig;
  readonly ownText: string;
  readonly inForce: ConfigInForce;
  /** Gets ready what a config needs (certificates); throws when that fails. The result puts it in use. */
  readonly prepare: (config: ProxyConfig) => Promise<() => void>;
}

export type Outcome = 'applied' | 'unchanged' | 'refused';

/** Why the config changes: the file was saved, another proxy recorded a version, or an edit is taken back. */
type ChangeCause =
  | { readonly by: 'edit' }
  | { readonly by: 'return' }
  | { readonly by: 'follow'; readonly version: number };

/** For SHOW CONFIG. */
export interface ConfigStatus {
  readonly path: string;
  readonly version: number;
  /** What became of the last edit, and why it was refused. */
  readonly last: Outcome;
  readonly problems: readonly ConfigProblem[];
}

/**
 * The config while the proxy runs. One edit at a time: it comes into force whole, recorded as the next version of the
 * cluster, or not at all. Versions that other proxies record are followed.
 */
export class LiveConfig {
  readonly #parts: LiveConfigParts;
  #own: ProxyConfig;
  /** The last content of this proxy's own file. */
  #ownText: string;
  #inForce: ConfigInForce;
  #last: Outcome = 'unchanged';
  #problems: readonly ConfigProblem[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  /** The newest text that waits for its turn; texts between were never seen by anybody. */
  #waiting: string | undefined;
  #cancelFollow: () => void = () => {};
  #isStopped = false;

  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
    this.#own = parts.own;
    this.#ownText = parts.ownText;
    this.#inForce = parts.inForce;
  }

  status(): ConfigStatus {
    const { version } = this.#inForce;
    return { path: this.#parts.path, version, last: this.#last, problems: this.#problems };
  }

  /** Looks for versions of other proxies from now on. */
  start(): void {
    if (this.#isStopped) return;
    this.#cancelFollow = this.#parts.clock.after(FOLLOW_MS, () => {
      void this.#inTurn(() => this.#follow()).then(
        () => this.start(),
        (error: unknown) => {
          this.#parts.logger.warn('the recorded config could not be followed', { error });
          this.#cancelFollow = this.#parts.clock.after(RETRY_MS, () => this.start());
        },
      );
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelFollow();
    await this.#turn.catch(() => {}); // Whoever asked for it has heard.
  }

  /** The file has a new content. Never rejects: what is wrong is logged, and kept for SHOW CONFIG. */
  async edited(text: string): Promise<Outcome> {
    this.#waiting = text;
    this.#ownText = text;
    return this.#inTurn(async () => {
      if (this.#waiting !== text) return 'unchanged';
      this.#waiting = undefined;
      try {
        this.#last = await this.#edit(text);
      } catch (error) {
        const message = `could not be applied: ${error instanceof Error ? error.message : error}`;
        this.#last = this.#refuse([{ line: 1, column: 1, path: '', message }]);
      }
      return this.#last;
    });
  }

  /**
   * Somebody asks to read the file again. A text that this proxy has taken in before is no new wish: others may have
   * saved since. But its certificate may be new, and what was refused may be right by now.
   */
  async reread(text: string): Promise<Outcome> {
    if (text !== this.#ownText || this.#last === 'refused') return this.edited(text);
    return this.#inTurn<Outcome>(async () => {
      (await this.#parts.prepare(this.#own))();
      return 'unchanged';
    });
  }

  /** The file cannot be read. */
  unreadable(error: unknown): void {
    const message = `cannot be read: ${error instanceof Error ? error.message : error}`;
    this.#last = this.#refuse([{ line: 1, column: 1, path: '', message }]);
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine;
    return mine;
  }

  async #edit(text: string): Promise<Outcome> {
    // A version of another proxy that is recorded already is what this edit follows.
    await this.#follow();
    const file = readConfig(text, this.#parts.env);
    if (!file.ok) return this.#refuse(file.problems);
    const fixed = fixedSettingProblems(this.#own, this.#inForce.file.config, file.config);
    if (fixed.length > 0) return this.#refuse(fixed.map(file.locate));
    if (isSameMap(file.written, this.#inForce.file.written)) {
      (await this.#parts.prepare(file.config))();
      this.#own = file.config;
      this.#problems = [];
      return 'unchanged';
    }
    return this.#change(text, file, { by: 'edit' });
  }

  async #follow(): Promise<void> {
    const { versions, env, logger } = this.#parts;
    if ((await versions.newest()) <= this.#inForce.version) return;
    const [newest] = await versions.list(1);
    if (newest === undefined) return;
    const file = readConfig(newest.text, env);
    if (!file.ok) {
      const where = `version ${newest.version}`;
      throw new Error(`this proxy cannot use it: ${formatProblems(where, file.problems)}`);
    }
    const shared = { ...file, config: withLocalSettings(file.config, this.#own) };
    if (
      (await this.#change(newest.text, shared, { by: 'follow', version: newest.version })) ===
      'refused'
    ) {
      throw new Error('this proxy cannot use it, see SHOW CONFIG');
    }
    logger.info('follows the config of another proxy', {
      version: newest.version,
      author: newest.author,
      difference: newest.difference.split('\n'),
    });
  }

  /** One change of everything, in the loader's turn so that no schema change comes between. */
  async #change(text: string, file: CheckedFile, cause: ChangeCause): Promise<Outcome> {
    const { loader, control, weights, store, prepare } = this.#parts;
    const isEdit = cause.by !== 'follow';
    const install = await prepare(file.config);
    return loader.change(async (draftOf) => {
      const before = store.current();
      const examined = await examineChange({
        control,
        weights,
        draftOf,
        before: before.config,
        after: file.config,
        metadataShard: before.metadataShard,
        isEdit,
        isReturn: cause.by === 'return',
      });
      if (examined.draft === undefined) return this.#refuse(examined.problems.map(file.locate));
      const base = this.#inForce.version;
      const difference = configDifference(this.#inForce.file.written, file.written);
      const { topology } = examined.draft.loaded;
      // From here on the shards of both configs can be asked.
      this.#useShards({ ...before.config.shards, ...file.config.shards });
      if (isEdit) {
        await createMissing(control, before, { topology, missing: examined.missing });
        if (!(await this.#record(base, text, difference))) {
          this.#useShards(before.config.shards);
          const message = `another proxy recorded version ${base + 1} at the same moment: look at it and save again`;
          return this.#refuse([{ line: 1, column: 1, path: '', message }]);
        }
        await this.#settle(before.config, file.config, examined);
      }
      examined.draft.accept();
      const was = this.#inForce;
      this.#inForce = { file, text, version: cause.by === 'follow' ? cause.version : base + 1 };
      if (cause.by === 'edit') this.#own = file.config;
      store.swap(topology);
      install();
      this.#parts.directories.configChanged(file.config);
      // What another proxy records says nothing of what was wrong with our own file.
      if (isEdit) this.#problems = [];
      this.#useShards(file.config.shards);
      const { version } = this.#inForce;
      if (isEdit) {
        this.#parts.logger.info('config applied', { version, difference });
        if (cause.by === 'edit') this.#lookBackLater(was, examined.questions);
      }
      return 'applied';
    });
  }

  /** In use at once; connections to others close when their work is done, and nobody waits for that. */
  #useShards(shards: ProxyConfig['shards']): void {
    this.#parts.control.setShards(shardMap(shards)).catch((error: unknown) => {
      this.#parts.logger.warn('connections to a shard did not close', { error });
    });
  }

  #lookBackLater(was: ConfigInForce, questions: readonly RehomingQuestion[]): void {
    if (questions.length === 0) return;
    const { version } = this.#inForce;
    for (const delayMs of LOOK_BACK_MS) {
      this.#parts.clock.after(delayMs, () => {
        if (this.#isStopped) return;
        void this.#inTurn(async () => {
          // A later edit has looked at these tables itself.
          if (this.#inForce.version === version) await this.#lookBack(was, questions);
        }).catch((error: unknown) => {
          this.#parts.logger.error('rows of the map before could not be looked for', { error });
        });
      });
    }
  }

  /**
   * A statement that began before a change may write by the map before it, after the count. The change is taken back
   * then, which is an edit like any other: when rows were written by the new map too, that is refused, and a person
   * has to put them together.
   */
  async #lookBack(was: ConfigInForce, questions: readonly RehomingQuestion[]): Promise<void> {
    const { weights, logger, path } = this.#parts;
    const { file } = this.#inForce;
    const late = await countLate(
      { weights, before: was.file.config, after: file.config },
      questions,
    );
    if (late.length === 0) return;
    const problems = misplacedProblems(late).map(file.locate);
    const outcome = await this.#change(was.text, was.file, { by: 'return' });
    this.#last = 'refused';
    if (outcome === 'applied') this.#problems = problems;
    logger.error(
      outcome === 'applied'
        ? 'a config was taken back: rows were written by the map before while it came into force'
        : 'rows are out of place, and the config cannot be taken back',
      { version: this.#inForce.version, problems: formatProblems(path, problems).split('\n') },
    );
  }

  async #record(base: number, text: string, difference: readonly string[]): Promise<boolean> {
    const author = `${userName()}@${hostname()}`;
    return this.#parts.versions.record(base, { text, author, difference: difference.join('\n') });
  }

  /** What follows from a recorded version on the metadata shard. Done again by the next edit when it fails. */
  async #settle(before: ProxyConfig, config: ProxyConfig, { ids }: ExaminedChange): Promise<void> {
    const { control, directories, logger } = this.#parts;
    const metadataShard = metadataShardOf(config);
    const isOther = (name: 'shards' | 'databases') =>
      JSON.stringify(before[name]) !== JSON.stringify(config[name]);
    try {
      const place = { metadataShard, cluster: config.cluster };
      const shards = shardIds(Object.keys(config.shards));
      if (isOther('shards')) await recordIdentities(control, place, { shards, ids });
      if (isOther('databases')) await directories.releaseKeys(config, metadataShard);
    } catch (error) {
      // The version is recorded and stands: proxies follow it whatever became of this.
      logger.warn('metadata of a new config is not complete', { error });
    }
  }

  #refuse(problems: readonly ConfigProblem[]): Outcome {
    const { logger, path } = this.#parts;
    this.#problems = problems;
    logger.error('config refused, nothing changed', {
      version: this.#inForce.version,
      problems: formatProblems(path, problems).split('\n'),
    });
    return 'refused';
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** Settings that a running proxy cannot change. */
function fixedSettingProblems(
  own: ProxyConfig,
  inForce: ProxyConfig,
  next: ProxyConfig,
): readonly PathProblem[] {
  const isOther = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const problems: PathProblem[] = [];
  const needsRestart = (path: readonly string[]) =>
    problems.push({ path, message: 'cannot change while Shardgate runs: it needs a restart' });
  if (isOther(own.listen, next.listen)) needsRestart(['listen']);
  if (isOther(own.admin, next.admin)) needsRestart(['admin']);
  if (inForce.cluster !== next.cluster) needsRestart(['cluster']);
  if (metadataShardOf(inForce) !== metadataShardOf(next)) {
    const message = `would move the metadata from ${metadataShardOf(inForce)} to ${metadataShardOf(next)}, which is not built: sequences and directory entries live there`;
    problems.push({ path: next.metadata === undefined ? ['shards'] : ['metadata'], message });
  }
  return problems;
}
