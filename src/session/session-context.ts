import type { ShardLeases } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Topology } from '../topology/topology.ts';
import type { Account } from './accounts.ts';
import type { ResultWriter } from './result-writer.ts';
import type { RunningStatement } from './running-statement.ts';
import type { SessionServices } from './session-services.ts';
import type { SessionData } from './session-state.ts';
import type { SessionTransactions } from './transaction-statements.ts';

/** A session that is logged in: what its commands work with. */
export interface SessionContext {
  readonly id: number;
  readonly account: Account;
  readonly remoteAddress: string;
  readonly services: SessionServices;
  readonly data: SessionData;
  readonly writer: ResultWriter;
  readonly running: RunningStatement;
  readonly transactions: SessionTransactions;
  /** Connections outside a transaction, in the session's state. */
  readonly poolLeases: ShardLeases;
  readonly logger: Logger;
}

/** Every server has them. */
const SYSTEM_DATABASES = new Set(['information_schema', 'performance_schema', 'mysql', 'sys']);

/** Throws 1049, as a server does. */
export function requireDatabase(topology: Topology, name: string): void {
  if (topology.databases.has(name) || SYSTEM_DATABASES.has(name.toLowerCase())) return;
  throw new ProxyError('ER_BAD_DB_ERROR', `Unknown database '${name}'`);
}
