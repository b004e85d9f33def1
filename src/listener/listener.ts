import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { ProxyError } from '../errors/proxy-error.ts';
import type { Logger } from '../observability/logger.ts';
import type { HotCounters } from '../observability/metrics.ts';
import type { ClientHandler, ClientTransport } from '../session/client-transport.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import { encodeErr } from '../wire/reply-packets.ts';
import { ClientSocket } from './client-socket.ts';

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Read at each connection, so that a reload changes them. */
  readonly connectionsMax: () => number;
  readonly secureContext: () => SecureContext | undefined;
  /** Makes the session; it may write its greeting at once. */
  readonly accept: (transport: ClientTransport) => ClientHandler;
  readonly logger: Logger;
  readonly counters: HotCounters;
}

/** Accepts clients on one TCP address. */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Resolves with the port that is listened on. Throws an error that names the address. */
  async start(): Promise<number> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
      this.#server.once('error', fail);
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.removeListener('error', fail);
        // Running out of file descriptors is a state of the machine, not the end of the proxy.
        this.#server.on('error', (error) =>
          this.#options.logger.error('accepting failed', { error }),
        );
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port; // a TCP server: never a path
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** No new clients; those who are here stay. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Ends every connection that is left. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    const { connectionsMax, counters, accept, secureContext } = this.#options;
    if (this.#sockets.size >= connectionsMax()) {
      counters.sessionsRefused++;
      refuse(socket);
      return;
    }
    counters.sessionsAccepted++;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const client = new ClientSocket({
      socket,
      secureContext: secureContext(),
      isUnixSocket: false,
    });
    client.attach(accept(client));
  }
}

/** MySQL says this before any greeting, so without the SQLSTATE that a handshake would allow. */
function refuse(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  const writer = new PacketWriter();
  writer.startPacket(0);
  const error = { errno: 1040, sqlState: '08004', message: 'Too many connections' };
  encodeErr(error, writer, { beforeLogin: true });
  writer.endPacket();
  socket.end(writer.take());
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const why =
    error.code === 'EADDRINUSE'
      ? `port ${port} on ${host} is in use by another program: stop it or change \`listen\``
      : `cannot listen on ${host}:${port}: ${error.message}`;
  return new ProxyError('ER_UNKNOWN_ERROR', why, { cause: error });
}
