import { METRIC, type Metrics } from './metrics.ts';

/** What the gauges show of one shard's connections. */
export interface ShardFigures {
  readonly shard: string;
  readonly up: boolean | undefined;
  readonly idle: number;
  readonly leased: number;
  readonly waiting: number;
}

export function exposeShards(metrics: Metrics, figures: () => readonly ShardFigures[]): void {
  metrics.gauge({
    name: METRIC.shardUp,
    help: '1 when the shard answered last time',
    labelNames: ['shard'],
    read: () => figures().map(({ shard, up }) => ({ labels: { shard }, value: up ? 1 : 0 })),
  });
  metrics.gauge({
    name: METRIC.shardConnections,
    help: 'Backend connections by state',
    labelNames: ['shard', 'state'],
    read: () =>
      figures().flatMap(({ shard, idle, leased }) => [
        { labels: { shard, state: 'idle' }, value: idle },
        { labels: { shard, state: 'leased' }, value: leased },
      ]),
  });
  metrics.gauge({
    name: METRIC.shardWaiting,
    help: 'Statements that wait for a backend connection',
    labelNames: ['shard'],
    read: () => figures().map(({ shard, waiting }) => ({ labels: { shard }, value: waiting })),
  });
}
