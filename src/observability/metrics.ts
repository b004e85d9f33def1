import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** Every metric name of the proxy, in one place. */
export const METRIC = {
  sessions: 'shardgate_sessions',
  sessionsAccepted: 'shardgate_sessions_accepted_total',
  sessionsRefused: 'shardgate_sessions_refused_total',
  loginsFailed: 'shardgate_logins_failed_total',
  statements: 'shardgate_statements_total',
  statementErrors: 'shardgate_statement_errors_total',
  rowsGathered: 'shardgate_gathered_rows_total',
  bytesGathered: 'shardgate_gathered_bytes_total',
  statementSeconds: 'shardgate_statement_seconds_total',
  statementsKilled: 'shardgate_statements_killed_total',
  planCacheHits: 'shardgate_plan_cache_hits_total',
  planCacheMisses: 'shardgate_plan_cache_misses_total',
  transactionsCommitted: 'shardgate_transactions_committed_total',
  transactionsRolledBack: 'shardgate_transactions_rolled_back_total',
  shardUp: 'shardgate_shard_up',
  shardConnections: 'shardgate_shard_connections',
  shardWaiting: 'shardgate_shard_waiting',
  commits: 'shardgate_commits_total',
  recovery: 'shardgate_recovery_total',
  deadlocks: 'shardgate_deadlocks_total',
  inDoubt: 'shardgate_transactions_in_doubt',
  inDoubtSeconds: 'shardgate_transactions_in_doubt_seconds',
  topologyGeneration: 'shardgate_topology_generation',
} as const;

export type StatementRoute = 'local' | 'single' | 'scatter' | 'gather' | 'write' | 'insert' | 'ddl';

/**
 * What the hot path counts: plain numbers, turned into metrics only when somebody scrapes. One
 * object a process, handed to every session.
 */
export interface HotCounters {
  sessionsAccepted: number;
  sessionsRefused: number;
  loginsFailed: number;
  readonly statements: Record<StatementRoute, number>;
  statementErrors: number;
  rowsGathered: number;
  bytesGathered: number;
  statementMs: number;
  statementsKilled: number;
  planCacheHits: number;
  planCacheMisses: number;
  transactionsCommitted: number;
  transactionsRolledBack: number;
}

export function createHotCounters(): HotCounters {
  return {
    sessionsAccepted: 0,
    sessionsRefused: 0,
    loginsFailed: 0,
    statements: { local: 0, single: 0, scatter: 0, gather: 0, write: 0, insert: 0, ddl: 0 },
    statementErrors: 0,
    rowsGathered: 0,
    bytesGathered: 0,
    statementMs: 0,
    statementsKilled: 0,
    planCacheHits: 0,
    planCacheMisses: 0,
    transactionsCommitted: 0,
    transactionsRolledBack: 0,
  };
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface MetricSource {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** Asked at every scrape. */
  readonly read: () => readonly Sample[];
}

/** The exposition: parts register where their numbers are read, nothing is pushed. */
export class Metrics {
  readonly #registry = new Registry();

  constructor(options: { readonly processMetrics: boolean }) {
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  gauge(source: MetricSource): void {
    new Gauge({
      name: source.name,
      help: source.help,
      labelNames: source.labelNames ?? [],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of source.read()) this.set(labels, value);
      },
    });
  }

  counter(source: MetricSource): void {
    new Counter({
      name: source.name,
      help: source.help,
      labelNames: source.labelNames ?? [],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of source.read()) this.inc(labels, value);
      },
    });
  }
}

export function exposeHotCounters(metrics: Metrics, counters: HotCounters): void {
  const plain = (name: string, help: string, read: () => number): void =>
    metrics.counter({ name, help, read: () => [{ labels: {}, value: read() }] });

  plain(METRIC.sessionsAccepted, 'Client connections accepted', () => counters.sessionsAccepted);
  plain(
    METRIC.sessionsRefused,
    'Client connections refused by a limit',
    () => counters.sessionsRefused,
  );
  plain(METRIC.loginsFailed, 'Logins that were denied', () => counters.loginsFailed);
  plain(METRIC.statementErrors, 'Statements that ended with ERR', () => counters.statementErrors);
  plain(
    METRIC.rowsGathered,
    'Rows copied to one server to answer statements',
    () => counters.rowsGathered,
  );
  plain(
    METRIC.bytesGathered,
    'Bytes of rows that came from other servers for it',
    () => counters.bytesGathered,
  );
  plain(METRIC.statementSeconds, 'Time spent on statements', () => counters.statementMs / 1000);
  plain(
    METRIC.statementsKilled,
    'Statements ended by KILL or time-out',
    () => counters.statementsKilled,
  );
  plain(METRIC.planCacheHits, 'Plans found in the cache', () => counters.planCacheHits);
  plain(METRIC.planCacheMisses, 'Plans made anew', () => counters.planCacheMisses);
  plain(
    METRIC.transactionsCommitted,
    'Transactions committed',
    () => counters.transactionsCommitted,
  );
  plain(
    METRIC.transactionsRolledBack,
    'Transactions rolled back',
    () => counters.transactionsRolledBack,
  );
  metrics.counter({
    name: METRIC.statements,
    help: 'Statements by how they were carried out',
    labelNames: ['route'],
    read: () =>
      Object.entries(counters.statements).map(([route, value]) => ({ labels: { route }, value })),
  });
}
