import { ProxyError } from '../errors/proxy-error.ts';
import type { DirectoryStrategyConfig, ProxyConfig } from '../topology/config-schema.ts';
import type { Directory, RoutingLookup } from '../topology/routing-caches.ts';
import { type RoutingKey, type ShardId, shardIds } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';
import type { ControlConnections, ControlSession } from './control-connection.ts';

type DirectoryLookup = Extract<RoutingLookup, { kind: 'directory' }>;

const KEY_BYTES_MAX = 2_048;
const KEYS_PER_QUERY = 1_000;

/** The statement's own view of where things are. */
type Place = Pick<Topology, 'config' | 'metadataShard'>;

/**
 * Which shard each key of a directory strategy lives on: recorded on the metadata shard, kept here as far as it has
 * been asked for. An entry never changes once it is there, so a copy cannot be wrong (until moves: they will tell).
 */
export class DirectoryStore {
  readonly #control: ControlConnections;
  readonly #entriesMax: number;
  readonly #directories = new Map<string, Map<RoutingKey, ShardId>>();
  readonly #loads = new Map<string, Map<ShardId, number>>();

  constructor(control: ControlConnections, options: { readonly entriesMax: number }) {
    this.#control = control;
    this.#entriesMax = options.entriesMax;
  }

  /** The live view for a topology's strategy. */
  entries(database: string, strategy: string): Directory {
    return this.#directory(database, strategy);
  }

  /** A new config: what was counted for the old one is counted anew, and shards that left a directory are forgotten. */
  configChanged({ databases }: ProxyConfig): void {
    this.#loads.clear();
    for (const [database, { strategies }] of Object.entries(databases)) {
      for (const [strategy, config] of Object.entries(strategies)) {
        const directory = this.#directories.get(nameOf(database, strategy));
        if (config.type !== 'directory' || directory === undefined) continue;
        for (const [key, shard] of directory) {
          if (!config.shards.includes(shard)) directory.delete(key);
        }
      }
    }
  }

  /** Keys of shards that left a directory, which have been found to have no rows, may be assigned again. */
  async releaseKeys({ databases }: ProxyConfig, metadataShard: ShardId): Promise<void> {
    for (const [database, { strategies }] of Object.entries(databases)) {
      for (const [strategy, config] of Object.entries(strategies)) {
        if (config.type !== 'directory') continue;
        await this.#control.query(
          metadataShard,
          'DELETE FROM shardgate.directory_entries WHERE database_name = ? AND strategy_name = ? AND shard NOT IN (?)',
          [database, strategy, config.shards],
        );
      }
    }
  }

  /** Returns the look-ups whose keys have no shard; with `assign` there are none. */
  async load(
    lookups: readonly DirectoryLookup[],
    options: { readonly assign: boolean; readonly place: Place },
  ): Promise<readonly DirectoryLookup[]> {
    const absent: DirectoryLookup[] = [];
    const groups = Map.groupBy(lookups, ({ database, strategy }) => nameOf(database, strategy));
    for (const group of groups.values()) {
      for (let at = 0; at < group.length; at += KEYS_PER_QUERY) {
        absent.push(...(await this.#loadSome(group.slice(at, at + KEYS_PER_QUERY), options)));
      }
    }
    return absent;
  }

  async #loadSome(
    lookups: readonly DirectoryLookup[],
    options: { readonly assign: boolean; readonly place: Place },
  ): Promise<readonly DirectoryLookup[]> {
    const { database, strategy } = lookups[0] as DirectoryLookup;
    const config = strategyConfig(options.place, database, strategy);
    const keys = new Map(lookups.map((lookup) => [encodeKey(lookup.key), lookup]));
    const shard = options.place.metadataShard;
    const found = await this.#control.session(shard, async (session) => {
      const known = await readEntries(session, { database, strategy, keys: [...keys.keys()] });
      const unknown = [...keys.keys()].filter((key) => !known.has(key));
      if (!options.assign || unknown.length === 0) return known;
      await this.#assign(session, { database, strategy, config, keys: unknown });
      // Read back what is there now: another proxy may have been first.
      return new Map([
        ...known,
        ...(await readEntries(session, { database, strategy, keys: unknown })),
      ]);
    });
    const directory = this.#directory(database, strategy);
    for (const [key, owner] of found) {
      const lookup = keys.get(key);
      if (!config.shards.includes(owner)) {
        throw new ProxyError(
          'ER_NO_PARTITION_FOR_GIVEN_VALUE',
          `A key of strategy ${strategy} is recorded on shard ${owner}, which shards.yaml no longer names in it`,
        );
      }
      if (lookup !== undefined) this.#keep(directory, lookup.key, owner as ShardId);
    }
    return [...keys].filter(([key]) => !found.has(key)).map(([, lookup]) => lookup);
  }

  async #assign(
    session: ControlSession,
    what: {
      readonly database: string;
      readonly strategy: string;
      readonly config: DirectoryStrategyConfig;
      readonly keys: readonly string[];
    },
  ): Promise<void> {
    const { database, strategy, config } = what;
    if (config.assign === 'refuse') {
      throw new ProxyError(
        'ER_NO_PARTITION_FOR_GIVEN_VALUE',
        `Strategy ${strategy} takes keys with a pin only (assign: refuse): add the key to its pins in shards.yaml`,
      );
    }
    const loads = await this.#loadsOf(session, what);
    const rows = what.keys.map((key) => {
      const shard = leastLoaded(config, loads);
      loads.set(shard, (loads.get(shard) ?? 0) + 1);
      return [database, strategy, Buffer.from(key, 'latin1'), shard];
    });
    await session.query(
      'INSERT IGNORE INTO shardgate.directory_entries (database_name, strategy_name, key_value, shard) VALUES ?',
      [rows],
    );
  }

  /**
   * Keys on each shard as counted at the first assignment, and then by what this proxy assigned: near enough to
   * spread new keys. For `weighted` only what was assigned here counts.
   */
  async #loadsOf(
    session: ControlSession,
    what: {
      readonly database: string;
      readonly strategy: string;
      readonly config: DirectoryStrategyConfig;
    },
  ): Promise<Map<ShardId, number>> {
    const name = nameOf(what.database, what.strategy);
    const known = this.#loads.get(name);
    if (known !== undefined) return known;
    const loads = new Map<ShardId, number>();
    if (what.config.assign === 'least-loaded') {
      for (const shard of Object.values(what.config.pins)) addLoad(loads, shard as ShardId, 1);
      const { rows } = await session.query(
        'SELECT shard, COUNT(*) AS entries FROM shardgate.directory_entries ' +
          'WHERE database_name = ? AND strategy_name = ? GROUP BY shard',
        [what.database, what.strategy],
      );
      for (const row of rows) addLoad(loads, String(row.shard) as ShardId, Number(row.entries));
    }
    this.#loads.set(name, loads);
    return loads;
  }

  #directory(database: string, strategy: string): Map<RoutingKey, ShardId> {
    const name = nameOf(database, strategy);
    const known = this.#directories.get(name);
    if (known !== undefined) return known;
    const made = new Map<RoutingKey, ShardId>();
    this.#directories.set(name, made);
    return made;
  }

  #keep(directory: Map<RoutingKey, ShardId>, key: RoutingKey, shard: ShardId): void {
    const oldest = directory.size >= this.#entriesMax ? directory.keys().next() : undefined;
    if (oldest !== undefined && !oldest.done) directory.delete(oldest.value);
    directory.set(key, shard);
  }
}

function nameOf(database: string, strategy: string): string {
  return JSON.stringify([database, strategy]);
}

function addLoad(loads: Map<ShardId, number>, shard: ShardId, entries: number): void {
  loads.set(shard, (loads.get(shard) ?? 0) + entries);
}

function leastLoaded(
  config: DirectoryStrategyConfig,
  loads: ReadonlyMap<ShardId, number>,
): ShardId {
  const fullness = (shard: ShardId) => {
    const weight = config.weights[shard] ?? 1;
    return weight === 0 ? Number.POSITIVE_INFINITY : ((loads.get(shard) ?? 0) + 1) / weight;
  };
  return shardIds(config.shards).reduce((best, shard) =>
    fullness(shard) < fullness(best) ? shard : best,
  );
}

function strategyConfig(place: Place, database: string, strategy: string): DirectoryStrategyConfig {
  const config = place.config.databases[database]?.strategies[strategy];
  if (config?.type !== 'directory') throw new Error(`no directory ${database}.${strategy}`);
  return config;
}

/** The recorded form: a letter for the type, since the number 7 and the text 7 are different keys. */
export function encodeKey(key: RoutingKey): string {
  const encoded = key === null ? '' : typeof key === 'string' ? `t${key}` : `n${key}`;
  if (encoded.length <= KEY_BYTES_MAX) return encoded;
  throw new ProxyError(
    'ER_NO_PARTITION_FOR_GIVEN_VALUE',
    'The key value is too long for a directory',
  );
}

async function readEntries(
  session: ControlSession,
  what: { readonly database: string; readonly strategy: string; readonly keys: readonly string[] },
): Promise<ReadonlyMap<string, string>> {
  if (what.keys.length === 0) return new Map();
  const { rows } = await session.query(
    'SELECT key_value, shard FROM shardgate.directory_entries ' +
      'WHERE database_name = ? AND strategy_name = ? AND key_value IN (?)',
    [what.database, what.strategy, what.keys.map((key) => Buffer.from(key, 'latin1'))],
  );
  return new Map(
    rows.map((row) => [(row.key_value as Buffer).toString('latin1'), String(row.shard)]),
  );
}
