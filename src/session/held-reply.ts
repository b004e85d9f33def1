import type { ClientReply } from '../execute/execution.ts';
import { ERR_MARKER, OK_MARKER, PACKET_HEADER_BYTES } from '../wire/flags.ts';
import { decodeOk } from '../wire/reply-packets.ts';

type Ok = Parameters<ClientReply['ok']>[0];

/** A reply to a write is one packet; more is not held. */
const HELD_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Stands for the client while a write runs in a transaction of its own: the OK is held back until
 * the commit has succeeded, since nobody may hear of rows that then are not there.
 */
export class HeldReply implements ClientReply {
  readonly #reply: ClientReply;
  #ok: Ok | undefined;
  #relayed: Buffer[] = [];
  #bytes = 0;

  constructor(reply: ClientReply) {
    this.#reply = reply;
  }

  get started(): boolean {
    return this.#reply.started;
  }

  relay(bytes: Buffer): boolean {
    this.#bytes += bytes.length;
    if (this.#bytes > HELD_BYTES_MAX) throw new Error('the reply to a write is too long to hold');
    this.#relayed.push(bytes);
    return true;
  }

  onceDrained(resume: () => void): void {
    this.#reply.onceDrained(resume);
  }

  drained(): Promise<void> {
    return this.#reply.drained();
  }

  columns(): void {
    throw new Error('a write on several shards returns no rows');
  }

  rows(): boolean {
    throw new Error('a write on several shards returns no rows');
  }

  endOfRows(): void {
    throw new Error('a write on several shards returns no rows');
  }

  ok(ok: Ok): void {
    this.#ok = ok;
  }

  /** The commit succeeded: the client may hear of it. */
  send(): void {
    if (this.#ok !== undefined) {
      this.#reply.ok(this.#ok);
      return;
    }
    const relayed = Buffer.concat(this.#relayed);
    this.#relayed = [];
    // The shard's own OK speaks of a transaction that the client does not know of.
    if (relayed[PACKET_HEADER_BYTES] === OK_MARKER) {
      this.#reply.ok(decodeOk(relayed.subarray(PACKET_HEADER_BYTES)));
    } else {
      this.#reply.relay(relayed);
    }
  }

  /** A single shard's ERR goes to the client as it came. Returns false when there is none. */
  sendError(): boolean {
    const relayed = Buffer.concat(this.#relayed);
    if (relayed[PACKET_HEADER_BYTES] !== ERR_MARKER) return false;
    this.#reply.relay(relayed);
    return true;
  }
}
