import type { Lease, ReplyEnd, ReplySink } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { ClientReply } from './execution.ts';

export interface RelayRequest {
  readonly lease: Lease;
  /** Command byte and text, as the client sent them or rebuilt. */
  readonly command: Buffer;
  readonly reply: ClientReply;
  /**
   * Called exactly once. With an `end` the reply is with the client (an ERR of the shard too) and the
   * lease is clean; without one the lease is closed and the error is still to be told: as the
   * first packet, or as the end of the stream when `reply.started`.
   */
  readonly done: (end: ReplyEnd | undefined, error: Error | undefined) => void;
}

/** A relay in progress. */
export interface Relay {
  /** Closes the shard's connection and ends the relay with `error`. Nothing happens after the end. */
  abort(error: Error): void;
}

/**
 * The hot path: sends a command and forwards the reply's bytes as they come, without a promise, a
 * copy or a look at them. The lease stays with the caller, who releases it after `done`.
 */
export function relaySingle(request: RelayRequest): Relay {
  const relay = new RelaySink(request);
  request.lease.send(request.command, relay);
  return relay;
}

class RelaySink implements ReplySink, Relay {
  readonly #request: RelayRequest;
  #ended = false;
  #paused = false;

  constructor(request: RelayRequest) {
    this.#request = request;
  }

  onReplyBytes(bytes: Buffer): void {
    if (this.#ended) return;
    if (!this.#request.reply.relay(bytes)) this.#waitForClient();
  }

  onReplyEnd(end: ReplyEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    // The last bytes may have been too many for the client; the lease must not go back paused.
    if (this.#paused) this.#request.lease.resume();
    this.#request.done(end, undefined);
  }

  onReplyLost(cause: Error): void {
    this.#fail(lostConnection(this.#request.lease.shard, cause));
  }

  abort(error: Error): void {
    this.#fail(error);
  }

  #waitForClient(): void {
    const { lease, reply } = this.#request;
    if (this.#paused) return; // bytes that were on their way when the shard was paused
    this.#paused = true;
    lease.pause();
    reply.onceDrained(() => {
      // After the end the lease may serve somebody else, who has an own idea of pausing.
      if (this.#ended) return;
      this.#paused = false;
      lease.resume();
    });
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#request.lease.destroy();
    this.#request.done(undefined, error);
  }
}

/**
 * The statement is never sent again: nobody knows whether the shard carried it out before the
 * connection went, and the client alone can tell whether a second time does harm.
 */
export function lostConnection(shard: string, cause: Error): ProxyError {
  if (cause instanceof ProxyError) return cause; // it names the shard already
  return new ProxyError(
    'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
    `Lost the connection to shard '${shard}' during the statement (${cause.message}); ` +
      'a write may or may not have been carried out',
    { cause, details: { shard } },
  );
}
