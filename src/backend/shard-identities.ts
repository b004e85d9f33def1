import { ShardError } from '../errors/shard-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type ControlConnections, isUnreachable } from './control-connection.ts';
import { readDeploymentId } from './deployment.ts';

export interface IdentityProblem {
  readonly shard: ShardId;
  readonly message: string;
}

export interface Identities {
  /** Of the shards that answered and have been marked. */
  readonly ids: ReadonlyMap<ShardId, string>;
  readonly problems: readonly IdentityProblem[];
  readonly unreachable: readonly ShardId[];
}

/** Where a cluster keeps which shard is which. */
export interface IdentityPlace {
  readonly metadataShard: ShardId;
  readonly cluster: string;
}

/**
 * Compares the marks that servers bear with those recorded for the shards. A mark lies in the server's own `shardgate`
 * database, so a replica that takes over has it; a wrong address, or two addresses exchanged, has not.
 */
export async function checkIdentities(
  control: ControlConnections,
  place: IdentityPlace,
  shards: readonly ShardId[],
  /** The connection to the metadata shard in force: the one asked for may be another server. */
  metadata: ControlConnections = control,
): Promise<Identities> {
  const recorded = await recordedIds(metadata, place);
  const ids = new Map<ShardId, string>();
  const problems: IdentityProblem[] = [];
  const unreachable: ShardId[] = [];
  await Promise.all(
    shards.map(async (shard) => {
      try {
        ids.set(shard, await idOf(control, shard));
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        unreachable.push(shard);
      }
    }),
  );
  const holders = new Map<string, ShardId>();
  for (const [shard, id] of ids) {
    const other = holders.get(id);
    if (other !== undefined) {
      problems.push({
        shard,
        message: `is the same server as shard \`${other}\`, by another address`,
      });
    }
    holders.set(id, shard);
    const known = recorded.get(shard);
    if (known === undefined || known === id) continue;
    const owner = [...recorded].find(([, recordedId]) => recordedId === id)?.[0];
    const whose = owner === undefined ? 'a server without its rows' : `the server of \`${owner}\``;
    problems.push({
      shard,
      message: `is at the address of ${whose}: give it the address of its own`,
    });
  }
  return { ids, problems, unreachable };
}

/** Records the shards of a config that has come into force; those that left may come back as other servers. */
export async function recordIdentities(
  control: ControlConnections,
  place: IdentityPlace,
  current: { readonly shards: readonly ShardId[]; readonly ids: ReadonlyMap<ShardId, string> },
): Promise<void> {
  const { metadataShard, cluster } = place;
  await control.query(
    metadataShard,
    'DELETE FROM shardgate.shard_identities WHERE cluster = ? AND shard NOT IN (?)',
    [cluster, current.shards],
  );
  if (current.ids.size === 0) return;
  await control.query(
    metadataShard,
    'INSERT IGNORE INTO shardgate.shard_identities (cluster, shard, id) VALUES ?',
    [[...current.ids].map(([shard, id]) => [cluster, shard, id])],
  );
}

async function recordedIds(
  control: ControlConnections,
  { metadataShard, cluster }: IdentityPlace,
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await control.query(
    metadataShard,
    'SELECT shard, id FROM shardgate.shard_identities WHERE cluster = ?',
    [cluster],
  );
  return new Map(rows.map((row) => [String(row.shard), String(row.id)]));
}

async function idOf(control: ControlConnections, shard: ShardId): Promise<string> {
  try {
    const { rows } = await control.query(shard, 'SELECT id FROM shardgate.deployment');
    if (rows[0] !== undefined) return String(rows[0].id);
  } catch (error) {
    // A server that nobody set up yet has no such table, which the statements below say in words.
    if (!(error instanceof ShardError)) throw error;
  }
  return readDeploymentId(control, shard);
}
