import type { PathProblem } from './config-problems.ts';
import type { DatabaseConfig, ProxyConfig, ShardConfig, TableConfig } from './config-schema.ts';
import type { Directory, RoutingCaches, RoutingLookup } from './routing-caches.ts';
import { type KeyType, type ShardId, type Strategy, shardIds } from './strategy.ts';
import { placeholderStrategy, StrategyInstances } from './strategy-instances.ts';
import { columnNamed, type TableSchema } from './table-schema.ts';
import type { Database, Placement, Table, Topology } from './topology.ts';

/** Table schemas by database and table. */
export type Schemas = ReadonlyMap<string, ReadonlyMap<string, TableSchema>>;

export interface TopologySource {
  readonly generation: number;
  readonly config: ProxyConfig;
  readonly schemas: Schemas;
  readonly caches: RoutingCaches;
  /** The live view of a directory strategy's entries. */
  directoryOf(database: string, strategy: string): Directory;
  /** Of the snapshot before, so that unchanged strategies stay the same objects. */
  readonly instances?: StrategyInstances;
}

export interface BuiltTopology {
  readonly topology: Topology;
  readonly instances: StrategyInstances;
  /**
   * Where config and shards disagree: key columns that do not exist, bounds that they cannot hold. The tables
   * concerned have no key type, so nothing is routed by them.
   */
  readonly problems: readonly PathProblem[];
  /** Weights that have to be known first: look them up and build again. */
  readonly lookups: readonly RoutingLookup[];
}

/** Makes a snapshot of a checked config and the schemas read from the shards. Pure. */
export function buildTopology(source: TopologySource): BuiltTopology {
  const { config } = source;
  const build: Build = {
    source,
    instances: new StrategyInstances(source.instances),
    problems: [],
    lookups: [],
  };
  const shards = new Map(Object.entries(config.shards) as [ShardId, ShardConfig][]);
  const metadataShard = (config.metadata ?? [...shards.keys()][0]) as ShardId;
  const databases = new Map(
    Object.entries(config.databases).map(([name, database]) => [
      name,
      buildDatabase(name, database, build),
    ]),
  );
  const topology: Topology = Object.freeze({
    generation: source.generation,
    config,
    shards,
    metadataShard,
    databases,
  });
  const { instances, lookups } = build;
  // Tables that share a strategy share its problems.
  const problems = [...new Map(build.problems.map((one) => [JSON.stringify(one), one])).values()];
  return { topology, instances, problems, lookups };
}

interface Build {
  readonly source: TopologySource;
  readonly instances: StrategyInstances;
  readonly problems: PathProblem[];
  readonly lookups: RoutingLookup[];
}

/** The shards that a database of the config exists on: its default first. */
export function shardsOfDatabase(config: DatabaseConfig): readonly ShardId[] {
  const names = [config.default];
  for (const strategy of Object.values(config.strategies)) {
    if (strategy.type === 'range') names.push(...strategy.ranges.map(({ shard }) => shard));
    else names.push(...strategy.shards);
  }
  for (const table of Object.values(config.tables)) {
    if (table !== 'reference' && 'shard' in table) names.push(table.shard);
  }
  return shardIds([...new Set(names)]);
}

function buildDatabase(name: string, config: DatabaseConfig, build: Build): Database {
  const shards = shardsOfDatabase(config);
  const schemas = build.source.schemas.get(name) ?? new Map<string, TableSchema>();
  const defaultShard = config.default as ShardId;
  const place: DatabasePlace = { name, config, shards, schemas, build, strategies: new Map() };
  const tables = new Map<string, Table>();
  for (const [tableName, tableConfig] of Object.entries(config.tables)) {
    tables.set(tableName, buildTable(tableName, tableConfig, place));
  }
  for (const [tableName, schema] of schemas) {
    if (tables.has(tableName)) continue;
    const placement: Placement = { kind: 'unsharded', shard: defaultShard };
    const generated = new Set<string>();
    tables.set(
      tableName,
      Object.freeze({ database: name, name: tableName, placement, generated, schema }),
    );
  }
  for (const strategyName of Object.keys(config.strategies))
    strategyOf(strategyName, undefined, place);
  return Object.freeze({ name, defaultShard, shards, strategies: place.strategies, tables });
}

interface DatabasePlace {
  readonly name: string;
  readonly config: DatabaseConfig;
  readonly shards: readonly ShardId[];
  readonly schemas: ReadonlyMap<string, TableSchema>;
  readonly build: Build;
  /** The first instance of each strategy that was asked for. */
  readonly strategies: Map<string, Strategy>;
}

function buildTable(name: string, config: TableConfig, place: DatabasePlace): Table {
  const schema = place.schemas.get(name);
  const generated = new Set(config === 'reference' ? [] : Object.keys(config.generate));
  const problem = (setting: string, message: string) =>
    place.build.problems.push({
      path: ['databases', place.name, 'tables', name, setting],
      message,
    });
  for (const column of generated) {
    if (schema !== undefined && columnNamed(schema, column) === undefined) {
      problem('generate', `names ${column}, which is no column of the table`);
    }
  }
  const placement = placementOf(config, { schema, place, problem });
  return Object.freeze({ database: place.name, name, placement, generated, schema });
}

function placementOf(
  config: TableConfig,
  context: {
    readonly schema: TableSchema | undefined;
    readonly place: DatabasePlace;
    readonly problem: (setting: string, message: string) => void;
  },
): Placement {
  const { schema, place, problem } = context;
  if (config === 'reference') return { kind: 'reference', shards: place.shards };
  if ('shard' in config) return { kind: 'unsharded', shard: config.shard as ShardId };
  const column = schema === undefined ? undefined : columnNamed(schema, config.key);
  if (schema !== undefined && column === undefined) {
    problem('key', `names ${config.key}, which is no column of the table`);
  } else if (column !== undefined && column.keyType === undefined) {
    problem(
      'key',
      `names ${config.key}: a column of type ${column.columnType} cannot be a shard key`,
    );
  }
  const found = strategyOf(config.strategy, column?.keyType, place);
  return {
    kind: 'sharded',
    strategy: found.strategy,
    keyColumns: [config.key],
    keyTypes: [found.fits ? column?.keyType : undefined],
  };
}

/** The strategy for a key type; one without that type when the config does not fit it. */
function strategyOf(
  name: string,
  keyType: KeyType | undefined,
  place: DatabasePlace,
): { readonly strategy: Strategy; readonly fits: boolean } {
  const { build } = place;
  const config = place.config.strategies[name];
  if (config === undefined) throw new Error(`the config was not checked: no strategy ${name}`);
  const source = {
    database: place.name,
    name,
    config,
    caches: build.source.caches,
    directory: build.source.directoryOf(place.name, name),
  };
  const result = build.instances.get({ ...source, keyType });
  if (result.kind === 'strategy') {
    if (!place.strategies.has(name)) place.strategies.set(name, result.strategy);
    return { strategy: result.strategy, fits: true };
  }
  const strategyPath = ['databases', place.name, 'strategies', name] as const;
  if (result.kind === 'lookups') build.lookups.push(...result.lookups);
  else if (config.type === 'range') {
    const path = [...strategyPath, 'ranges', result.entry, 'below'];
    build.problems.push({ path, message: result.message });
  } else {
    build.problems.push({ path: [...strategyPath, 'pins', result.entry], message: result.message });
  }
  if (keyType !== undefined) return { ...strategyOf(name, undefined, place), fits: false };
  const strategy = placeholderStrategy(name, config);
  if (!place.strategies.has(name)) place.strategies.set(name, strategy);
  return { strategy, fits: false };
}
