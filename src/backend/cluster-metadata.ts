import type { ProxyConfig } from '../topology/config-schema.ts';
import { type ShardId, shardIds } from '../topology/strategy.ts';
import { CollationWeights } from './collation-weights.ts';
import type { ControlConnections } from './control-connection.ts';
import { readDeploymentId } from './deployment.ts';
import { DirectoryStore } from './directory-store.ts';
import { ensureMetadataSchema } from './metadata-schema.ts';
import { type LoadedTopology, TopologyLoader } from './topology-loader.ts';

/** What a proxy has to know of its shards before it can serve anybody. */
export interface ClusterMetadata {
  readonly weights: CollationWeights;
  readonly directories: DirectoryStore;
  readonly loader: TopologyLoader;
  readonly first: LoadedTopology;
  readonly deployment: string;
  /** Of the metadata shard: VERSION() and @@GLOBAL.sql_mode. */
  readonly serverVersion: string;
  readonly sqlMode: string;
}

/** Sets up the metadata where it is missing and reads it. Throws when the metadata shard is down. */
export async function readClusterMetadata(
  control: ControlConnections,
  config: ProxyConfig,
): Promise<ClusterMetadata> {
  const shards = shardIds(Object.keys(config.shards));
  const metadataShard = metadataShardOf(config);
  await ensureMetadataSchema(control, shards);
  const weights = new CollationWeights(control, { entriesMax: config.limits.weight_cache_max });
  const directories = new DirectoryStore(control, {
    entriesMax: config.limits.directory_cache_max,
  });
  const loader = new TopologyLoader({ control, weights, directories });
  const { rows } = await control.query(
    metadataShard,
    'SELECT VERSION() AS version, @@GLOBAL.sql_mode AS sql_mode',
  );
  return {
    weights,
    directories,
    loader,
    first: await loader.load(() => config),
    deployment: await readDeploymentId(control, metadataShard),
    serverVersion: String(rows[0]?.version),
    sqlMode: String(rows[0]?.sql_mode),
  };
}

export function metadataShardOf(config: ProxyConfig): ShardId {
  const [first] = shardIds(Object.keys(config.shards));
  if (config.metadata !== undefined) return shardIds([config.metadata])[0] as ShardId;
  if (first === undefined) throw new Error('a config without shards passed its check');
  return first;
}
