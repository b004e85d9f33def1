import type { Lease, ShardLeases } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';

/**
 * A connection to any shard that has the session's database, for questions that all of them answer
 * alike. One that is down is passed over.
 */
export async function leaseAnyShard(
  leases: ShardLeases,
  topology: Topology,
  database: string | undefined,
): Promise<Lease> {
  let unreachable: unknown;
  for (const shard of shardsWith(topology, database)) {
    try {
      return leases.tryLease(shard) ?? (await leases.lease(shard));
    } catch (error) {
      const isDown =
        error instanceof ProxyError && error.code === 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE';
      if (!isDown) throw error;
      unreachable = error;
    }
  }
  throw unreachable ?? new Error('a topology has at least one shard');
}

function shardsWith(topology: Topology, database: string | undefined): readonly ShardId[] {
  const found = database === undefined ? undefined : topology.databases.get(database);
  if (found === undefined) return [...new Set([topology.metadataShard, ...topology.shards.keys()])];
  return [...new Set([found.defaultShard, ...found.shards])];
}
