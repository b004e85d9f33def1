import type { SessionState, ShardLeases } from '../backend/lease.ts';
import type { BoundStatement, Sequences } from '../execute/execution.ts';
import type { Logger } from '../observability/logger.ts';
import type { HotCounters } from '../observability/metrics.ts';
import type { Plan } from '../plan/plan.ts';
import type { PlanCache } from '../plan/plan-cache.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Fingerprinter } from '../sql/fingerprint.ts';
import type { LexicalContext } from '../sql/statement.ts';
import type { RoutingCaches, RoutingLookups } from '../topology/routing-caches.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';
import type { Transaction, TransactionOptions } from '../txn/transaction.ts';
import type { AcceptedSettings } from './accepted-settings.ts';
import type { Account } from './accounts.ts';
import type { ExplicitInsertIds } from './insert-id.ts';
import type { LocalRows } from './local-rows.ts';
import type { PasswordKey } from './password-key.ts';
import type { SessionRegistry } from './session-registry.ts';

/** What one statement is planned and routed with: read once, at its start. */
export interface Snapshot {
  readonly topology: Topology;
  /** Plans made for this topology. */
  readonly plans: PlanCache;
  readonly caches: RoutingCaches;
}

/** The servers behind, as far as they show in what a client may see or write. */
export interface ServerFacts {
  /** For the greeting and VERSION(). */
  readonly version: string;
  /** How text is read while a session has not changed its sql_mode. */
  readonly lexical: LexicalContext;
}

/** What all sessions of the process share; built by proxy.ts. */
export interface SessionServices {
  readonly current: () => Snapshot;
  readonly serverFacts: () => ServerFacts;
  readonly accountFor: (user: string, address: string) => Account | undefined;
  readonly passwordKey: PasswordKey;
  /** Connections outside a transaction, brought to the session's state. */
  readonly leasesFor: (stateOf: (shard: ShardId) => SessionState) => ShardLeases;
  readonly openTransaction: (pools: ShardLeases, options: TransactionOptions) => Transaction;
  /** SET values that a shard has accepted, by what was asked for: connections begin alike. */
  readonly acceptedSettings: AcceptedSettings;
  readonly explicitInsertIds: ExplicitInsertIds;
  readonly lookups: RoutingLookups;
  readonly sequences: Sequences;
  /** Ends the statement that the server's connection `threadId` runs (KILL QUERY). */
  readonly killQuery: (shard: ShardId, threadId: number) => Promise<void>;
  /** Finishes a transaction that recovery cannot finish. */
  readonly endInDoubt: (id: string, wanted: 'commit' | 'abort') => Promise<void>;
  /** Re-reads the tables of a database after a schema change; the next snapshot has them. */
  readonly refreshSchemas: (database: string, tables: readonly string[]) => Promise<void>;
  readonly showCommands: ShowCommands;
  readonly explainRoute: ExplainRoute;
  readonly registry: SessionRegistry;
  readonly fingerprinter: Fingerprinter;
  readonly counters: HotCounters;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** EXPLAIN ROUTE: where a plan would send a statement, whose text begins at `start`. */
export type ExplainRoute = (
  explained: { readonly plan: Plan; readonly start: number },
  bound: BoundStatement,
  needs: Pick<Snapshot, 'topology' | 'caches'> & { readonly lookups: RoutingLookups },
) => Promise<LocalRows>;

/** A SHOW statement about Shardgate itself. */
export interface ShowQuestion {
  /** 'SHARDS', 'SHARD MAP'. */
  readonly what: string;
  readonly table?: { readonly database: string; readonly name: string };
}

export interface ShowCommands {
  /** Undefined for what is not Shardgate's own. */
  show(question: ShowQuestion, topology: Topology): Promise<LocalRows> | LocalRows | undefined;
}
