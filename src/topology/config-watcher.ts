import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import type { Clock } from '../runtime/clock.ts';

/** A file that parses must have stayed the same for this long: whoever writes in pieces is waited for. */
const SETTLE_MS = 80;
/** A file that does not parse is most likely half written, so it is given longer. */
const SETTLE_BROKEN_MS = 300;
const POLL_MS = 500;

/** What Kubernetes swaps when a ConfigMap changes. */
const CONFIG_MAP_LINK = '..data';

export interface ConfigWatcherOptions {
  readonly path: string;
  readonly clock: Clock;
  /** What is in force: only other texts are news. */
  readonly text: string;
  /** False for what looks like a file in the middle of being written. */
  readonly isWhole: (text: string) => boolean;
  /** A new content that has settled. */
  readonly onText: (text: string) => void;
  /** The file has been gone, or not readable, for a while. Told once until it is back. */
  readonly onUnreadable: (error: unknown) => void;
  /** Of the file's state, beside the system's notices, which network and container mounts may not send. */
  readonly pollMs?: number;
  /** No notices from the system: the file is only polled. */
  readonly pollOnly?: boolean;
}

/**
 * Tells of every new content of the config file, however it came there: written in place, renamed over, swapped by
 * symbolic link, deleted and made again. Contents are compared, so that a notice too many does no harm.
 */
export class ConfigWatcher {
  readonly #options: ConfigWatcherOptions;
  readonly #path: string;
  #watcher: FSWatcher | undefined;
  #cancelPoll: () => void = () => {};
  #cancelSettle: () => void = () => {};
  #delivered: string;
  #seen: string | undefined;
  #fileState = '';
  #isReading = false;
  #readAgain = false;
  #isUnreadable = false;
  #isStopped = false;

  constructor(options: ConfigWatcherOptions) {
    this.#options = options;
    this.#path = resolve(options.path);
    this.#delivered = options.text;
  }

  /** Resolves once changes are noticed. */
  async start(): Promise<void> {
    this.#fileState = await this.#stateOfFile();
    this.#poll();
    if (this.#options.pollOnly === true) return;
    const folder = dirname(this.#path);
    const link = join(folder, CONFIG_MAP_LINK);
    const watched = new Set([folder, this.#path, link]);
    const watcher = watch([folder, this.#path], {
      depth: 0,
      ignoreInitial: true,
      ignored: (path) => !watched.has(resolve(path)),
    });
    this.#watcher = watcher;
    watcher.on('all', () => void this.#read());
    watcher.on('raw', () => void this.#read());
    // Without the system's notices (too many watches, say) the poll still sees every change.
    watcher.on('error', () => {});
    await new Promise<void>((ready) => watcher.once('ready', () => ready()));
    // What was saved while the watcher got ready.
    await this.#read();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelPoll();
    this.#cancelSettle();
    await this.#watcher?.close();
  }

  #poll(): void {
    const { clock, pollMs = POLL_MS } = this.#options;
    this.#cancelPoll = clock.after(pollMs, () => {
      void this.#stateOfFile().then((state) => {
        if (this.#isStopped) return;
        if (state !== this.#fileState) {
          this.#fileState = state;
          void this.#read();
        }
        this.#poll();
      });
    });
  }

  async #stateOfFile(): Promise<string> {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.#path);
      return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    } catch {
      // Not there or not to be looked at: reading it will tell.
      return '';
    }
  }

  /** One reader at a time; a notice that comes meanwhile makes it read once more. */
  async #read(): Promise<void> {
    if (this.#isReading) {
      this.#readAgain = true;
      return;
    }
    this.#isReading = true;
    do {
      this.#readAgain = false;
      try {
        this.#look(await readFile(this.#path, 'utf8'));
      } catch (error) {
        this.#lookAtFailure(error);
      }
    } while (this.#readAgain && !this.#isStopped);
    this.#isReading = false;
  }

  #look(text: string): void {
    this.#isUnreadable = false;
    if (this.#isStopped || (text === this.#seen && text !== this.#delivered)) return;
    this.#cancelSettle();
    this.#seen = text;
    if (text === this.#delivered) return;
    const settleMs = this.#options.isWhole(text) ? SETTLE_MS : SETTLE_BROKEN_MS;
    this.#cancelSettle = this.#options.clock.after(settleMs, () => void this.#settle(text));
  }

  /** The last look decides: a notice for a write just before may still be on its way. */
  async #settle(text: string): Promise<void> {
    let now: string | undefined;
    try {
      now = await readFile(this.#path, 'utf8');
    } catch {
      // It went away again; the notice of that, or the poll, goes on from there.
    }
    if (this.#isStopped || this.#seen !== text) return;
    if (now !== text) {
      this.#seen = undefined;
      await this.#read();
      return;
    }
    this.#delivered = text;
    this.#options.onText(text);
  }

  /** Between a delete and the new file it is gone for a moment, which is nothing to speak of. */
  #lookAtFailure(error: unknown): void {
    if (this.#isStopped || this.#isUnreadable) return;
    this.#seen = undefined;
    this.#isUnreadable = true;
    this.#cancelSettle();
    this.#cancelSettle = this.#options.clock.after(SETTLE_BROKEN_MS, () => {
      if (this.#isUnreadable) this.#options.onUnreadable(error);
    });
  }
}
