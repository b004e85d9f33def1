import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import { isSameMap, withLocalSettings } from '../topology/config-diff.ts';
import { type ConfigFile, type Environment, readConfig } from '../topology/config-file.ts';
import { formatProblems } from '../topology/config-problems.ts';
import { shardIds } from '../topology/strategy.ts';
import { metadataShardOf } from './cluster-metadata.ts';
import { type ControlConnections, isUnreachable } from './control-connection.ts';
import { ensureMetadataSchema } from './metadata-schema.ts';
import { TopologyVersions } from './topology-versions.ts';

type CheckedFile = Extract<ConfigFile, { readonly ok: true }>;

export interface StartConfig {
  /** What the proxy starts with. */
  readonly file: CheckedFile;
  /** The recorded version that it is; 0 when nothing is recorded yet. */
  readonly version: number;
  readonly versions: TopologyVersions;
  /**
   * How the file on disk relates to it: the same; an `edit` that is to be offered once the proxy runs; `stale`, since
   * it is word for word an older version that others have edited since.
   */
  readonly own: 'same' | 'edit' | 'stale';
}

/**
 * Finds what to start with: the recorded config is what the rows obey, the file only what its owner wants.
 * Throws when there is a record that cannot be used.
 */
export async function startConfig(
  control: ControlConnections,
  file: CheckedFile,
  env: Environment,
): Promise<StartConfig> {
  const { config } = file;
  const shard = metadataShardOf(config);
  const [down] = await ensureMetadataSchema(control, [shard]);
  if (down !== undefined) {
    // Throws in the words of the connection.
    await control.query(shard, 'SELECT 1');
  }
  const versions = new TopologyVersions(control, { shard, cluster: config.cluster });
  const recorded = await versions.list();
  const [newest] = recorded;
  if (newest === undefined) {
    await refuseOtherHome(control, file);
    return { file, version: 0, versions, own: 'same' };
  }
  const inForce = readConfig(newest.text, env);
  if (inForce.ok && isSameMap(file.written, inForce.written)) {
    return { file, version: newest.version, versions, own: 'same' };
  }
  if (!inForce.ok) {
    const problems = formatProblems(`version ${newest.version}`, inForce.problems);
    throw new ProxyError(
      'ER_UNKNOWN_ERROR',
      `the recorded config of cluster ${config.cluster} cannot be read here:\n${problems}`,
    );
  }
  const isStale = recorded.some(({ text }) => {
    const older = readConfig(text, env);
    return older.ok && isSameMap(older.written, file.written);
  });
  return {
    file: { ...inForce, config: withLocalSettings(inForce.config, config) },
    version: newest.version,
    versions,
    own: isStale ? 'stale' : 'edit',
  };
}

/** Another metadata shard than before would hide the sequences, directory entries and versions that are on the old one. */
async function refuseOtherHome(
  control: ControlConnections,
  { config }: CheckedFile,
): Promise<void> {
  for (const shard of shardIds(Object.keys(config.shards))) {
    try {
      const elsewhere = new TopologyVersions(control, { shard, cluster: config.cluster });
      if ((await elsewhere.newest()) === 0) continue;
    } catch (error) {
      // A shard that is down, or was never set up, is asked when it is.
      if (isUnreachable(error) || error instanceof ShardError) continue;
      throw error;
    }
    throw new ProxyError(
      'ER_UNKNOWN_ERROR',
      `the metadata of cluster ${config.cluster} is on shard ${shard}: set \`metadata: ${shard}\``,
    );
  }
}
