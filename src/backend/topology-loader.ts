import { type BuiltTopology, buildTopology, type Schemas } from '../topology/build-topology.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import { type ShardId, shardIds } from '../topology/strategy.ts';
import type { StrategyInstances } from '../topology/strategy-instances.ts';
import type { TableSchema } from '../topology/table-schema.ts';
import type { CollationWeights } from './collation-weights.ts';
import type { ControlConnections } from './control-connection.ts';
import type { DirectoryStore } from './directory-store.ts';
import { readDatabase, readSchemas, type SchemaDrift } from './schema-reader.ts';

/** Weights of bounds and pins are looked up once; a second round is for those pushed out of a small cache. */
const BUILDS_MAX = 4;

export interface LoadedTopology extends BuiltTopology {
  readonly drift: readonly SchemaDrift[];
  /** Shards that did not answer. Load or refresh again when they are back. */
  readonly unreachable: readonly ShardId[];
}

/** A snapshot that is not in force yet. */
export interface Draft {
  readonly loaded: LoadedTopology;
  /** Later snapshots are made from this one. */
  readonly accept: () => void;
}

/**
 * Reads schemas over the connections given: the config may name shards that are not in force yet. Without connections
 * the schemas stay as they were last read.
 */
export type DraftOf = (
  config: ProxyConfig,
  control: ControlConnections | undefined,
) => Promise<Draft>;

/** Makes snapshots from a config and what the shards say. Puts none in force: that is for the caller. */
export class TopologyLoader {
  readonly #control: ControlConnections;
  readonly #weights: CollationWeights;
  readonly #directories: DirectoryStore;
  #generation = 0;
  #schemas: Schemas = new Map();
  #instances: StrategyInstances | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    readonly control: ControlConnections;
    readonly weights: CollationWeights;
    readonly directories: DirectoryStore;
  }) {
    this.#control = parts.control;
    this.#weights = parts.weights;
    this.#directories = parts.directories;
  }

  /** Reads all schemas. What only shards have that do not answer stays as it was last read. */
  load(config: () => ProxyConfig): Promise<LoadedTopology> {
    return this.#inTurn(async () => {
      const draft = await this.#draft(config(), this.#control);
      draft.accept();
      return draft.loaded;
    });
  }

  /** Reads again the tables named, all of the database when none is, after a schema change. */
  refresh(
    config: () => ProxyConfig,
    database: string,
    tables: readonly string[] = [],
  ): Promise<LoadedTopology> {
    return this.#inTurn(async () => {
      // Read here and not before: a new config may have come while this waited for its turn.
      const inForce = config();
      const databaseConfig = inForce.databases[database];
      if (databaseConfig === undefined) throw new Error(`no database ${database}`);
      const read = await readDatabase(this.#control, database, databaseConfig, tables);
      const isAsked = (table: string) => tables.length === 0 || tables.includes(table);
      const merged = this.#withKept(
        database,
        read.tables,
        (table) => !isAsked(table) || read.unreachable.length > 0,
      );
      const schemas = new Map(this.#schemas).set(database, merged);
      const { drift, unreachable } = read;
      const { built, accept } = await this.#build(inForce, schemas);
      accept();
      return { ...built, drift, unreachable };
    });
  }

  /**
   * Looks at a config that may come into force, while no schema change is taken in. `work` accepts a draft, and puts
   * its snapshot in force, before it returns; a draft that is not accepted leaves no trace.
   */
  change<Result>(work: (draftOf: DraftOf) => Promise<Result>): Promise<Result> {
    return this.#inTurn(() => work((config, control) => this.#draft(config, control)));
  }

  async #draft(config: ProxyConfig, control: ControlConnections | undefined): Promise<Draft> {
    if (control === undefined) {
      const { built, accept } = await this.#build(config, this.#schemas);
      return { loaded: { ...built, drift: [], unreachable: [] }, accept };
    }
    const { schemas, drift, unreachable } = await readSchemas(control, config);
    const merged = new Map(
      [...schemas].map(([database, tables]) => [
        database,
        unreachable.length === 0 ? tables : this.#withKept(database, tables, () => true),
      ]),
    );
    const { built, accept } = await this.#build(config, merged);
    return { loaded: { ...built, drift, unreachable }, accept };
  }

  /** The tables just read and, of those known before, the ones to keep. */
  #withKept(
    database: string,
    read: ReadonlyMap<string, TableSchema>,
    isKept: (table: string) => boolean,
  ): ReadonlyMap<string, TableSchema> {
    const before = this.#schemas.get(database) ?? new Map<string, TableSchema>();
    return new Map([...[...before].filter(([table]) => isKept(table)), ...read]);
  }

  async #build(
    config: ProxyConfig,
    schemas: Schemas,
  ): Promise<{ readonly built: BuiltTopology; readonly accept: () => void }> {
    const generation = this.#generation + 1;
    for (let round = 0; round < BUILDS_MAX; round++) {
      const built = buildTopology({
        generation,
        config,
        schemas,
        caches: this.#weights,
        directoryOf: (database, strategy) => this.#directories.entries(database, strategy),
        ...(this.#instances === undefined ? {} : { instances: this.#instances }),
      });
      if (built.lookups.length === 0) {
        const accept = () => {
          this.#generation = generation;
          this.#schemas = schemas;
          this.#instances = built.instances;
        };
        return { built, accept };
      }
      const weights = built.lookups.filter((lookup) => lookup.kind === 'weight');
      await this.#weights.load(weights, shardIds(Object.keys(config.shards)));
    }
    throw new Error('the weights of bounds and pins do not fit into limits.weight_cache_max');
  }

  /** One at a time: two schema changes at once must not each lose what the other has read. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#last.then(work, work);
    this.#last = mine;
    return mine;
  }
}
