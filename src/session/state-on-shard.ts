import type { SessionState } from '../backend/lease.ts';
import { withDatabase } from '../backend/session-states.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';
import type { SessionServices } from './session-services.ts';
import type { SessionData } from './session-state.ts';

const DATABASE_FUNCTION = /\b(?:database|schema)\s*\(/i;
const withoutDatabase = new WeakMap<SessionState, SessionState>();

/**
 * What a connection must look like. A shard that does not have the database in use is only asked
 * with qualified names, since unqualified ones lie in that database: there none need be in use. What
 * asks for its name gets the shard's 1049, as no shard could answer.
 */
export function stateOnShard(
  shard: ShardId,
  { state }: Pick<SessionData, 'state'>,
  statement: { readonly services: SessionServices; readonly text: Buffer | undefined },
): SessionState {
  const { database } = state;
  if (database === undefined) return state;
  if (hasDatabase(statement.services.current().topology, shard, database)) return state;
  if (DATABASE_FUNCTION.test(statement.text?.toString('latin1') ?? '')) return state;
  let bare = withoutDatabase.get(state);
  if (bare === undefined) {
    bare = withDatabase(state, undefined);
    withoutDatabase.set(state, bare);
  }
  return bare;
}

/** Databases that are not in the config are the servers' own. */
export function hasDatabase(topology: Topology, shard: ShardId, database: string): boolean {
  const found = topology.databases.get(database);
  return found === undefined || found.defaultShard === shard || found.shards.includes(shard);
}
