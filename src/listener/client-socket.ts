import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { ClientHandler, ClientTransport } from '../session/client-transport.ts';

/** Replies waiting for a slow client beyond this make the shard wait. */
const WRITE_BUFFER_MAX = 256 * 1024;

export interface ClientSocketOptions {
  readonly socket: Socket;
  readonly secureContext: SecureContext | undefined;
  readonly isUnixSocket: boolean;
}

/** One accepted connection: TCP or unix socket, with TLS upgraded in place when the client asks. */
export class ClientSocket implements ClientTransport {
  readonly remoteAddress: string;
  readonly #secureContext: SecureContext | undefined;
  readonly #isUnixSocket: boolean;
  #socket: Socket;
  #handler: ClientHandler | undefined;
  #closed = false;
  #waitingForDrain: (() => void)[] = [];

  constructor(options: ClientSocketOptions) {
    this.#socket = options.socket;
    this.#secureContext = options.secureContext;
    this.#isUnixSocket = options.isUnixSocket;
    this.remoteAddress = options.isUnixSocket
      ? 'localhost'
      : withoutMappedPrefix(options.socket.remoteAddress ?? 'unknown');
    // Replies are written whole; Nagle would hold each one back for the client's delayed ACK.
    options.socket.setNoDelay(true);
    options.socket.setKeepAlive(true, 60_000);
  }

  get isSecure(): boolean {
    return this.#isUnixSocket || this.#socket instanceof TLSSocket;
  }

  get offersTls(): boolean {
    return this.#secureContext !== undefined && !(this.#socket instanceof TLSSocket);
  }

  /** Starts reading. Called once. */
  attach(handler: ClientHandler): void {
    this.#handler = handler;
    this.#listen(this.#socket);
  }

  write(bytes: Buffer): boolean {
    if (this.#closed) return true;
    this.#socket.write(bytes);
    return this.#socket.writableLength <= WRITE_BUFFER_MAX;
  }

  onceDrained(resume: () => void): void {
    // `drain` fires only after the socket asked for it.
    if (this.#closed || !this.#socket.writableNeedDrain) resume();
    else this.#waitingForDrain.push(resume);
  }

  startTls(unread: Buffer): void {
    const plain = this.#socket;
    plain.removeListener('data', this.#onData);
    plain.removeListener('drain', this.#onDrain);
    plain.removeAllListeners('end');
    plain.pause();
    if (unread.length > 0) plain.unshift(unread);
    const secure = new TLSSocket(plain, {
      isServer: true,
      ...(this.#secureContext === undefined ? {} : { secureContext: this.#secureContext }),
    });
    this.#socket = secure;
    this.#listen(secure);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    // A client that shuts down its sending side has no more commands: MySQL closes then, too.
    socket.on('end', () => socket.end());
    // Resets and failed TLS handshakes are the client's affair; `close` follows each of them.
    socket.on('error', () => socket.destroy());
    socket.on('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#handler?.onBytes(chunk);
  };

  readonly #onDrain = (): void => {
    if (this.#waitingForDrain.length === 0) return;
    const waiting = this.#waitingForDrain;
    this.#waitingForDrain = [];
    for (const resume of waiting) resume();
  };

  readonly #onClose = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    this.#onDrain();
    this.#socket.destroy();
    this.#handler?.onClosed();
  };
}

/** '::ffff:10.0.0.7' is how a dual-stack socket shows an IPv4 peer. */
function withoutMappedPrefix(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}
