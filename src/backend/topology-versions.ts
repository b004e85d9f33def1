import { ShardError } from '../errors/shard-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ControlConnections } from './control-connection.ts';

/** One recorded config of a cluster. */
export interface TopologyVersion {
  readonly version: number;
  /** The file as it was saved: variables stand as `${NAME}`. */
  readonly text: string;
  readonly author: string;
  /** One line a setting that differs from the version before. */
  readonly difference: string;
  /** UTC. */
  readonly createdAt: string;
}

const ER_DUP_ENTRY = 1062;
const COLUMNS = 'version, config, author, difference, created_at';
const LISTED_MAX = 1_000;

/** What was in force and is: on the metadata shard, a row a version, never changed once it is there. */
export class TopologyVersions {
  readonly #control: ControlConnections;
  readonly #shard: ShardId;
  readonly #cluster: string;

  constructor(
    control: ControlConnections,
    place: { readonly shard: ShardId; readonly cluster: string },
  ) {
    this.#control = control;
    this.#shard = place.shard;
    this.#cluster = place.cluster;
  }

  /** The number of the newest; 0 when nothing is recorded. */
  async newest(): Promise<number> {
    const { rows } = await this.#control.query(
      this.#shard,
      'SELECT COALESCE(MAX(version), 0) AS version FROM shardgate.config_versions WHERE cluster = ?',
      [this.#cluster],
    );
    return Number(rows[0]?.version);
  }

  /** The newest first. */
  async list(limit = LISTED_MAX): Promise<readonly TopologyVersion[]> {
    return this.#read('ORDER BY version DESC LIMIT ?', [limit]);
  }

  async read(version: number): Promise<TopologyVersion | undefined> {
    return (await this.#read('AND version = ?', [version]))[0];
  }

  /**
   * Makes `next` the version after `base`. False when `base` is not the newest any more: of two proxies that record
   * at once, the primary key lets one through. `base` is a version that has been read.
   */
  async record(
    base: number,
    next: Omit<TopologyVersion, 'version' | 'createdAt'>,
  ): Promise<boolean> {
    try {
      await this.#control.query(
        this.#shard,
        'INSERT INTO shardgate.config_versions (cluster, version, config, author, difference, created_at) VALUES (?, ?, ?, ?, ?, UTC_TIMESTAMP())',
        [this.#cluster, base + 1, next.text, next.author, next.difference],
      );
      return true;
    } catch (error) {
      if (error instanceof ShardError && error.errno === ER_DUP_ENTRY) return false;
      throw error;
    }
  }

  async #read(tail: string, params: readonly unknown[]): Promise<readonly TopologyVersion[]> {
    const { rows } = await this.#control.query(
      this.#shard,
      `SELECT ${COLUMNS} FROM shardgate.config_versions WHERE cluster = ? ${tail}`,
      [this.#cluster, ...params],
    );
    return rows.map((row) => ({
      version: Number(row.version),
      text: String(row.config),
      author: String(row.author),
      difference: String(row.difference),
      createdAt: String(row.created_at),
    }));
  }
}
