import { metadataShardOf } from '../backend/cluster-metadata.ts';
import { CollationWeights } from '../backend/collation-weights.ts';
import { type ExaminedChange, examineChange, shardMap } from '../backend/config-change.ts';
import { ControlConnections } from '../backend/control-connection.ts';
import { DirectoryStore } from '../backend/directory-store.ts';
import { TopologyLoader } from '../backend/topology-loader.ts';
import { type TopologyVersion, TopologyVersions } from '../backend/topology-versions.ts';
import { ShardError } from '../errors/shard-error.ts';
import { type ConfigValues, isSameMap } from '../topology/config-diff.ts';
import { type ConfigFile, readConfig } from '../topology/config-file.ts';
import { formatProblems } from '../topology/config-problems.ts';
import type { ProxyConfig } from '../topology/config-schema.ts';
import type { Topology } from '../topology/topology.ts';
import { UsageError } from './command.ts';

export type CheckedFile = Extract<ConfigFile, { readonly ok: true }>;

const ER_NO_SUCH_TABLE = 1146;
const ER_BAD_DB_ERROR = 1049;

/** What is recorded of the cluster that a config file belongs to, for commands beside the proxies. */
export interface LiveCluster {
  readonly versions: TopologyVersions;
  readonly newest: TopologyVersion;
  readonly config: ProxyConfig;
  readonly written: ConfigValues;
  readonly control: ControlConnections;
  /** What the proxies would say to this file. Nothing is written. */
  examine(file: CheckedFile): Promise<ExaminedChange>;
  /** The map in force, with the tables as they are now. */
  topology(): Promise<Topology>;
}

/** Runs `work` with connections to the cluster. Undefined when nothing is recorded: no proxy has started yet. */
export async function withLiveCluster<Result>(
  file: CheckedFile,
  env: NodeJS.ProcessEnv,
  work: (cluster: LiveCluster) => Promise<Result>,
): Promise<Result | undefined> {
  const { config } = file;
  const connectTimeoutMs = config.limits.connect_timeout_ms;
  const control = new ControlConnections({ shards: shardMap(config.shards), connectTimeoutMs });
  try {
    const place = { shard: metadataShardOf(config), cluster: config.cluster };
    const versions = new TopologyVersions(control, place);
    const newest = await newestOf(versions);
    if (newest === undefined) return undefined;
    const inForce = readConfig(newest.text, env);
    if (!inForce.ok) {
      throw new UsageError(
        `the recorded config cannot be read here:\n${formatProblems(`version ${newest.version}`, inForce.problems)}`,
      );
    }
    await control.setShards(shardMap(inForce.config.shards));
    return await work(clusterOf({ versions, newest, inForce, control }));
  } finally {
    await control.close();
  }
}

async function newestOf(versions: TopologyVersions): Promise<TopologyVersion | undefined> {
  try {
    return (await versions.list(1))[0];
  } catch (error) {
    // Shards that no proxy has set up have no such table.
    const isNew =
      error instanceof ShardError &&
      (error.errno === ER_NO_SUCH_TABLE || error.errno === ER_BAD_DB_ERROR);
    if (isNew) return undefined;
    throw error;
  }
}

function clusterOf(parts: {
  readonly versions: TopologyVersions;
  readonly newest: TopologyVersion;
  readonly inForce: CheckedFile;
  readonly control: ControlConnections;
}): LiveCluster {
  const { versions, newest, inForce, control } = parts;
  const { config, written } = inForce;
  const weights = new CollationWeights(control, { entriesMax: config.limits.weight_cache_max });
  const directories = new DirectoryStore(control, {
    entriesMax: config.limits.directory_cache_max,
  });
  const loader = new TopologyLoader({ control, weights, directories });
  return {
    versions,
    newest,
    config,
    written,
    control,
    examine: (file) =>
      loader.change((draftOf) =>
        examineChange({
          control,
          weights,
          draftOf,
          before: config,
          after: file.config,
          metadataShard: metadataShardOf(config),
          isEdit: !isSameMap(written, file.written),
          isDryRun: true,
        }),
      ),
    topology: async () => (await loader.load(() => config)).topology,
  };
}
