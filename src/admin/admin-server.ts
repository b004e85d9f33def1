import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ShardPools } from '../backend/shard-pools.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly pools: Pick<ShardPools, 'stats'>;
  /** False while the proxy starts and once it drains: a load balancer looks elsewhere. */
  readonly isServing?: () => boolean;
  readonly logger: Logger;
}

/** A slow or silent client of this port holds nothing for long. */
const REQUEST_TIMEOUT_MS = 10_000;

/** HTTP for operators: /healthz, /metrics and a page that names them. Reads only, no secrets. */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server: Server;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      this.#answer(request.method ?? '', request.url ?? '/', response).catch((error: unknown) => {
        options.logger.error('an admin request failed', { error });
        send(response, 500, 'text/plain', 'internal error\n');
      });
    });
  }

  /** Resolves with the port. Throws an error that names the address. */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const why =
          cause.code === 'EADDRINUSE'
            ? `port ${port} on ${host} is in use by another program: stop it or change \`admin.listen\``
            : `cannot listen on ${host}:${port} (admin): ${cause.message}`;
        reject(new ProxyError('ER_UNKNOWN_ERROR', why, { cause }));
      });
      this.#server.listen({ host, port }, resolve);
    });
    return (this.#server.address() as AddressInfo).port; // a TCP server: never a path
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(method: string, url: string, response: ServerResponse): Promise<void> {
    if (method !== 'GET' && method !== 'HEAD') {
      send(response, 405, 'text/plain', 'only GET\n');
      return;
    }
    const { metrics } = this.#options;
    switch (url.split('?')[0]) {
      case '/':
        send(response, 200, 'text/html; charset=utf-8', this.#page());
        return;
      case '/healthz': {
        const health = this.#health();
        send(response, health.serving ? 200 : 503, 'application/json', toJson(health));
        return;
      }
      case '/metrics':
        send(response, 200, metrics.contentType, await metrics.text());
        return;
      default:
        send(response, 404, 'text/plain', 'there are /, /healthz and /metrics\n');
    }
  }

  #health() {
    const { pools, isServing } = this.#options;
    return {
      serving: isServing?.() ?? true,
      shards: pools.stats().map(({ shard, up, connected, idle, waiting, lastError }) => ({
        name: shard,
        state: up === undefined ? 'unknown' : up ? 'up' : 'down',
        connected,
        idle,
        waiting,
        ...(lastError === undefined ? {} : { lastError }),
      })),
    };
  }

  #page(): string {
    const { serving, shards } = this.#health();
    const rows = shards.map(
      (shard) =>
        `<tr><td>${escaped(shard.name)}<td>${shard.state}<td>${shard.connected}<td>${shard.waiting}`,
    );
    return [
      '<!doctype html><meta charset="utf-8"><title>Shardgate</title>',
      '<style>body{font:16px/1.5 system-ui;margin:2rem}td,th{padding:.2rem 1rem;text-align:left}</style>',
      `<h1>Shardgate</h1><p>${serving ? 'Serving' : 'Not serving'}. `,
      'See <a href="/healthz">/healthz</a> and <a href="/metrics">/metrics</a>.',
      '<table><tr><th>shard<th>state<th>connections<th>waiting',
      ...rows,
      '</table>',
      '',
    ].join('\n');
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
