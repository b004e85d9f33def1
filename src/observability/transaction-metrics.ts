import { METRIC, type Metrics } from './metrics.ts';

/** What the metrics page shows of commits over several shards; asked at every scrape. */
export interface TransactionFigures {
  /** Commits by how they went. */
  readonly commits: Readonly<Record<string, number>>;
  /** What recovery did with prepared branches. */
  readonly recovery: Readonly<Record<string, number>>;
  /** The search for deadlocks over several shards. */
  readonly deadlocks: Readonly<Record<string, number>>;
  readonly inDoubt: number;
  /** How long the oldest transaction in doubt has been seen. */
  readonly inDoubtSeconds: number;
}

export function exposeTransactions(metrics: Metrics, figures: () => TransactionFigures): void {
  const counter = (
    name: string,
    help: string,
    read: (figures: TransactionFigures) => Readonly<Record<string, number>>,
  ): void =>
    metrics.counter({
      name,
      help,
      labelNames: ['kind'],
      read: () =>
        Object.entries(read(figures())).map(([kind, value]) => ({ labels: { kind }, value })),
    });
  const gauge = (name: string, help: string, read: (figures: TransactionFigures) => number): void =>
    metrics.gauge({ name, help, read: () => [{ labels: {}, value: read(figures()) }] });

  counter(METRIC.commits, 'Commits by how they went', ({ commits }) => commits);
  counter(METRIC.recovery, 'Work of recovery on prepared branches', ({ recovery }) => recovery);
  counter(METRIC.deadlocks, 'Search for deadlocks over shards', ({ deadlocks }) => deadlocks);
  gauge(METRIC.inDoubt, 'Transactions prepared and not finished', ({ inDoubt }) => inDoubt);
  gauge(
    METRIC.inDoubtSeconds,
    'Age of the oldest transaction in doubt: alert when it stays above a minute',
    ({ inDoubtSeconds }) => inDoubtSeconds,
  );
}
