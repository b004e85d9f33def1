import { ProxyError } from '../errors/proxy-error.ts';
import { Framer } from '../wire/framer.ts';
import type { ClientTransport } from './client-transport.ts';

/** A client that sends ahead more than this waits for its answers first. */
const AHEAD_BYTES_MAX = 256 * 1024;
/** Before the login nobody may make us hold much: the connect attributes are the longest part. */
const LOGIN_BYTES_MAX = 128 * 1024;

export interface CommandLoopOptions {
  readonly transport: ClientTransport;
  /**
   * One whole payload; `sequence` is that of the answer's first packet. The loop goes on when
   * `done` is called, also if that is at once.
   */
  readonly handle: (payload: Buffer, sequence: number) => void;
  /** The bytes are no packets, too long, or out of order: the connection must end with this. */
  readonly broken: (error: unknown, sequence: number) => void;
}

/**
 * Commands strictly in order, also when the client pipelines: the next one waits until the reply of
 * the one before is complete, and a client that sends far ahead is read no further.
 */
export class CommandLoop {
  readonly #options: CommandLoopOptions;
  #framer: Framer;
  #busy = false;
  #running = false;
  #stopped = false;
  #paused = false;
  /** In the handshake packets are numbered on from our greeting; a command begins anew at 0. */
  #expected = 1;

  constructor(options: CommandLoopOptions) {
    this.#options = options;
    this.#framer = new Framer({ packetBytesMax: LOGIN_BYTES_MAX });
  }

  onBytes(chunk: Buffer): void {
    if (this.#stopped) return;
    this.#framer.push(chunk);
    if (!this.#busy) this.#run();
    else if (!this.#paused && this.#framer.bufferedBytes > AHEAD_BYTES_MAX) {
      this.#paused = true;
      this.#options.transport.pause();
    }
  }

  /** The reply is complete: the next command may run. */
  done(): void {
    this.#busy = false;
    this.#run();
  }

  /** In the handshake: the next packet bears this number. */
  expect(sequence: number): void {
    this.#expected = sequence;
  }

  /** The handshake is over: packets may be as long as statements are, and each begins anew at 0. */
  expectCommands(options: { readonly packetBytesMax: number }): void {
    const remainder = this.#framer.takeRemainder();
    this.#framer = new Framer(options);
    if (remainder.length > 0) this.#framer.push(remainder);
    this.#expected = 0;
  }

  /** Nothing is handled any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Bytes that came behind the last packet: after an SSLRequest they belong to TLS. */
  takeRemainder(): Buffer {
    return this.#framer.takeRemainder();
  }

  // A loop instead of recursion: a hundred pipelined commands answered at once are a flat stack.
  #run(): void {
    if (this.#running) return;
    this.#running = true;
    while (!this.#busy && !this.#stopped) {
      const payload = this.#next();
      if (payload === undefined) break;
      this.#busy = true;
      this.#options.handle(payload, (this.#framer.sequence + 1) & 0xff);
    }
    this.#running = false;
    if (this.#paused && !this.#busy && !this.#stopped) {
      this.#paused = false;
      this.#options.transport.resume();
    }
  }

  #next(): Buffer | undefined {
    try {
      const payload = this.#framer.next();
      if (payload === undefined) return undefined;
      if (this.#framer.firstSequence !== this.#expected) {
        throw new ProxyError('ER_NET_PACKETS_OUT_OF_ORDER', 'Got packets out of order');
      }
      return payload;
    } catch (error) {
      // Where one packet ends and the next begins is unknown from here on.
      this.#stopped = true;
      this.#options.broken(error, (this.#framer.sequence + 1) & 0xff);
      return undefined;
    }
  }
}
