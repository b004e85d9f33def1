import type { ShardError } from '../errors/shard-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ShardStatements } from './shard-statements.ts';

/** How one command on a shard ended. */
export interface ReplyEnd {
  readonly kind: 'ok' | 'rows' | 'error';
  /** SERVER_STATUS_… of the last packet; the last known ones after an error. */
  readonly statusFlags: number;
  readonly warningCount: number;
  /** Of an OK packet; 0 otherwise. `bigint` only beyond 2^53. */
  readonly affectedRows: number | bigint;
  readonly lastInsertId: number | bigint;
  /** 'Rows matched: 1  Changed: 1  Warnings: 0'. */
  readonly info: string;
  readonly error?: ShardError;
}

/**
 * Receives the reply of one command, undecoded. The bytes are never written to again, so a sink may
 * keep them without copying; a view keeps up to 64 KiB alive, so copy little that is kept for long.
 */
export interface ReplySink {
  /** Bytes of whole or partial packets with their headers, in order, sequence ids as the shard sent them: 1, 2, … behind a
   * command of one packet; behind one of several (16 MiB and more) they begin at their number. */
  onReplyBytes(bytes: Buffer): void;
  /** The reply is complete (also with an ERR packet, whose bytes were handed over before). */
  onReplyEnd(end: ReplyEnd): void;
  /** The connection was lost first; `anyBytes` of the reply may have been handed over. */
  onReplyLost(error: Error): void;
}

/**
 * A backend connection that the holder has for itself. Commands may be sent without waiting: their
 * replies come in order, each to its own sink.
 */
export interface Lease {
  readonly shard: ShardId;
  /** The server's own connection id, for KILL. */
  readonly serverThreadId: number;
  /**
   * Settles when the shard has answered what a transaction has sent ahead of the statement. A KILL QUERY
   * before would end that instead: without its BEGIN the statement is carried out by itself.
   */
  readonly opening?: Promise<void> | undefined;
  /** What the connection has prepared; leases of a pool have it. */
  readonly statements?: ShardStatements | undefined;
  /** Sends one whole command payload (without header; ≥ 16 MiB is split). */
  send(command: Buffer, sink: ReplySink): void;
  /** Back-pressure: stops and goes on reading from the shard. */
  pause(): void;
  resume(): void;
  /** Gives the connection back. Exactly once, with no reply outstanding; otherwise it is closed. */
  release(): void;
  /** Closes the connection instead: something is unknown about its state. A `release` after it does nothing. */
  destroy(): void;
  /**
   * Brings the connection to another session state while it is held, awaited before the next command
   * (a transaction after USE or SET). Throws the shard's own error. Leases of a pool have it.
   */
  bringTo?(state: SessionState): Promise<void>;
}

/** What a lease must look like before it is used: interned, so equal states are one object. */
export interface SessionState {
  /** Equal numbers mean equal states. */
  readonly id: number;
  readonly database: string | undefined;
  /** Variable name (lower case, `@@`-less) to SQL text of its value, in order of names. */
  readonly variables: ReadonlyMap<string, string>;
  /** CLIENT_FOUND_ROWS changes what affected rows mean, so pools keep such connections apart. */
  readonly foundRows: boolean;
}

/**
 * Where the executor gets connections: the pools outside a transaction; inside one the
 * transaction, which keeps one lease a shard and opens its branch at first touch.
 */
export interface ShardLeases {
  /** At once when an idle connection in the right state is there: the hot path. */
  tryLease(shard: ShardId): Lease | undefined;
  /**
   * Throws ER_CON_COUNT_ERROR when the waiting line is full, ER_CONNECT_TO_FOREIGN_DATA_SOURCE naming
   * the shard when it cannot be reached within `connect_timeout_ms`.
   */
  lease(shard: ShardId, signal?: AbortSignal): Promise<Lease>;
  /** Inside a transaction `release` of a lease keeps it pinned. */
  readonly inTransaction: boolean;
}
