import type { ShardId } from '../topology/strategy.ts';
import { COM_CHANGE_USER, COM_INIT_DB, COM_QUERY, COM_RESET_CONNECTION } from '../wire/flags.ts';
import type { Lease, ReplySink, SessionState } from './lease.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { ShardStatements } from './shard-statements.ts';

/** Whom a lease goes back to. */
export interface LeaseOwner {
  takeBack(pooled: PooledConnection): void;
  giveUp(pooled: PooledConnection): void;
}

/** One use of a pooled connection: after it was given back the object does nothing more. */
export class PooledLease implements Lease {
  readonly shard: ShardId;
  readonly #pooled: PooledConnection;
  readonly #owner: LeaseOwner;
  #isHeld = true;
  #isPaused = false;

  constructor(pooled: PooledConnection, owner: LeaseOwner) {
    this.shard = pooled.connection.shard;
    this.#pooled = pooled;
    this.#owner = owner;
  }

  get serverThreadId(): number {
    return this.#pooled.connection.serverThreadId;
  }

  get statements(): ShardStatements {
    return this.#pooled.statements;
  }

  send(command: Buffer, sink: ReplySink): void {
    if (!this.#isHeld) {
      sink.onReplyLost(new Error('the connection was given back before'));
      return;
    }
    if (changesState(command)) this.#pooled.markDirty();
    this.#pooled.connection.send(command, sink);
  }

  pause(): void {
    if (!this.#isHeld) return;
    this.#isPaused = true;
    this.#pooled.connection.pause();
  }

  resume(): void {
    if (!this.#isHeld) return;
    this.#isPaused = false;
    this.#pooled.connection.resume();
  }

  release(): void {
    if (!this.#isHeld) return;
    if (this.#pooled.connection.repliesAwaited > 0) {
      this.destroy();
      return;
    }
    if (this.#isPaused) this.resume();
    this.#isHeld = false;
    this.#owner.takeBack(this.#pooled);
  }

  destroy(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#owner.giveUp(this.#pooled);
  }

  bringTo(state: SessionState): Promise<void> {
    return this.#pooled.bringTo(state);
  }
}

const STATE_COMMANDS: ReadonlySet<number | undefined> = new Set([
  COM_INIT_DB,
  COM_CHANGE_USER,
  COM_RESET_CONNECTION,
]);
const STATE_KEYWORD = /^\s*(?:SET|USE|LOCK|PREPARE|HANDLER)\b/i;
/** Their senders take them back, or the next transaction does. */
const PASSING_KEYWORD = /^\s*SET\s+(?:TIMESTAMP|TRANSACTION)\b/i;
const KEYWORD_BYTES = 40;

// A safety net: sessions change state by `SessionState`. Should a statement do it all the same, the
// connection is reset before anybody else gets it.
function changesState(command: Buffer): boolean {
  if (command[0] !== COM_QUERY) return STATE_COMMANDS.has(command[0]);
  // Nearly all statements are told by their first letter: S, U, L, P, H or white space.
  const letter = (command[1] ?? 0) | 0x20;
  if (letter !== 0x73 && letter !== 0x75 && letter !== 0x6c && letter !== 0x70 && letter !== 0x68) {
    if ((command[1] ?? 0) > 0x20) return false;
  } else if (letter === 0x73 && ((command[2] ?? 0) | 0x20) === 0x65) {
    if (((command[3] ?? 0) | 0x20) === 0x6c) return false; // SELECT
  }
  const head = command.toString('latin1', 1, KEYWORD_BYTES);
  return STATE_KEYWORD.test(head) && !PASSING_KEYWORD.test(head);
}
