import type { Lease } from '../backend/lease.ts';
import { runCommand } from '../backend/run-command.ts';
import { queryCommand } from '../backend/shard-connection.ts';
import type { ShardId } from '../topology/strategy.ts';
import { COM_INIT_DB } from '../wire/flags.ts';
import type { Settings } from './accepted-settings.ts';
import type { SessionContext } from './session-context.ts';
import { hasDatabase } from './state-on-shard.ts';

/**
 * Connections that an open transaction holds were brought to the session's state when they were
 * taken; a change of it has to be told to them. The pool resets them before anybody else's use.
 */
export async function changeOpenBranches(
  settings: Settings,
  context: SessionContext,
): Promise<void> {
  if (!context.transactions.hasShards || settings.size === 0) return;
  const parts = [...settings].map(([name, value]) =>
    name.startsWith('@')
      ? `${name} = ${value ?? 'NULL'}`
      : `@@session.${name} = ${value ?? 'DEFAULT'}`,
  );
  await onEachBranch(context, queryCommand(`SET ${parts.join(', ')}`));
}

/** USE inside a transaction. */
export async function useInOpenBranches(database: string, context: SessionContext): Promise<void> {
  if (!context.transactions.hasShards) return;
  const command = Buffer.concat([Buffer.from([COM_INIT_DB]), Buffer.from(database)]);
  const { topology } = context.services.current();
  await onEachBranch(context, command, (shard) => hasDatabase(topology, shard, database));
}

async function onEachBranch(
  context: SessionContext,
  command: Buffer,
  isMeant: (shard: ShardId) => boolean = () => true,
): Promise<void> {
  const open = context.transactions.current;
  if (open === undefined) return;
  const leases: Lease[] = [];
  for (const shard of open.shards.filter(isMeant)) leases.push(await open.lease(shard));
  await Promise.all(leases.map((lease) => runCommand(lease, command)));
}
