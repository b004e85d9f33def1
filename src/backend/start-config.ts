import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import { isSameMap, withLocalSettings } from '../topology/config-diff.ts';
import { type ConfigFile, type Environment, readConfig } from '../topology/config-file.ts';
import { formatProblems } from '../topology/config-problems.ts';
import { shardIds } from '../topology/strategy.ts';
import { metadataShardOf } from './cluster-metadata.ts';
import { type ControlConnections, isUnreachable } from './control-connection.ts';
import { ensureMetadataSchema } from './metadata-schema.ts';
import { checkIdentities, recordIdentities } from './shard-identities.ts';
import { TopologyVersions } from './topology-versions.ts';

type CheckedFile = Extract<ConfigFile, { readonly ok: true }>;

export interface StartConfig {
  /** What the proxy starts with. */
  readonly file: CheckedFile;
  readonly text: string;
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
  own: { readonly file: CheckedFile; readonly text: string },
  env: Environment,
): Promise<StartConfig> {
  const { file, text } = own;
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
    return { file, text, version: 0, versions, own: 'same' };
  }
  const inForce = readConfig(newest.text, env);
  if (inForce.ok && isSameMap(file.written, inForce.written)) {
    return { file, text, version: newest.version, versions, own: 'same' };
  }
  if (!inForce.ok) {
    const problems = formatProblems(`version ${newest.version}`, inForce.problems);
    throw new ProxyError(
      'ER_UNKNOWN_ERROR',
      `the recorded config of cluster ${config.cluster} cannot be read here:\n${problems}`,
    );
  }
  const isStale = recorded.some((version) => {
    const older = readConfig(version.text, env);
    return older.ok && isSameMap(older.written, file.written);
  });
  return {
    file: { ...inForce, config: withLocalSettings(inForce.config, config) },
    text: newest.text,
    version: newest.version,
    versions,
    own: isStale ? 'stale' : 'edit',
  };
}

/** Sees that every server is the shard that it is taken for, and records the first config of a cluster. */
export async function recordStart(
  control: ControlConnections,
  start: StartConfig,
): Promise<number> {
  const { config } = start.file;
  const shards = shardIds(Object.keys(config.shards));
  const place = { metadataShard: metadataShardOf(config), cluster: config.cluster };
  const { problems, ids } = await checkIdentities(control, place, shards);
  if (problems.length > 0) {
    const words = problems.map(({ shard, message }) => `shards.${shard} ${message}`);
    throw new ProxyError('ER_UNKNOWN_ERROR', words.join('\n'));
  }
  await recordIdentities(control, place, { shards, ids });
  if (start.version > 0) return start.version;
  const first = { text: start.text, author: 'first start', difference: '' };
  if (await start.versions.record(0, first)) return 1;
  throw new ProxyError('ER_UNKNOWN_ERROR', 'another proxy recorded its config at the same moment');
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
