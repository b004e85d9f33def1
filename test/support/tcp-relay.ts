import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A link to a server that a test can cut or let hang. */
export class TcpRelay {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: 'up' | 'cut' | 'hung' = 'up';

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    // An end that was closed at one side is no news for the other while the link hangs.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpRelay> {
    const relay = new TcpRelay(target);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All connections end, and there are no new ones. */
  cut(): void {
    this.#state = 'cut';
    this.#endAll();
  }

  /** Nothing arrives any more at either side, and neither is told. */
  hang(): void {
    this.#state = 'hung';
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** New connections get through; those from before have not lived to see it. */
  heal(): void {
    this.#state = 'up';
    this.#endAll();
  }

  async stop(): Promise<void> {
    this.#endAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#state === 'cut') {
      client.destroy();
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true });
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [server, client] as const]) {
      from.on('data', (chunk) => to.write(chunk));
      from.on('end', () => this.#end(pair));
      from.on('error', () => this.#end(pair));
      if (this.#state === 'hung') from.pause();
    }
  }

  #end(pair: readonly [Socket, Socket]): void {
    if (this.#state === 'hung') return;
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }

  #endAll(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#pairs.clear();
  }
}
