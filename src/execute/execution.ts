import type { Lease, ReplyEnd, ShardLeases } from '../backend/lease.ts';
import type { KeyText } from '../plan/route.ts';
import type { LexicalContext, LiteralSpans } from '../sql/statement.ts';
import type { RoutingCaches, RoutingLookups } from '../topology/routing-caches.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Topology } from '../topology/topology.ts';

/** The text of a statement with its literals found: what a plan needs to become concrete. */
export interface BoundStatement {
  /** The command's text, without the command byte. */
  readonly text: Buffer;
  readonly literals: LiteralSpans;
  readonly lexical: LexicalContext;
  /** `character_set_client`; UTF-8 when left out. */
  readonly charset?: string;
  /** Which strings are stored and compared as they are written; all UTF-8 when left out. */
  readonly keyText?: KeyText;
}

/** The client's side of one statement, as the executor sees it. Sequence ids are the writer's business. */
export interface ClientReply {
  /** Bytes of a shard's reply as they came, numbered from 1. Returns false when the client is slow. */
  relay(bytes: Buffer): boolean;
  /** Calls back once when the client has read enough. */
  onceDrained(resume: () => void): void;
  /** Resolves when the client has read enough (at once when nothing is waiting). */
  drained(): Promise<void>;
  /** Starts a result set with raw column definition payloads (protocol 41, as a shard sent them). */
  columns(definitions: readonly Buffer[]): void;
  /** Raw row payloads of the text protocol. Returns false when the client is slow. */
  rows(rows: readonly Buffer[]): boolean;
  endOfRows(end: { readonly warningCount: number }): void;
  ok(ok: {
    readonly affectedRows: number | bigint;
    readonly lastInsertId: number | bigint;
    readonly warningCount: number;
    readonly info: string;
  }): void;
  /** True once anything was written for this statement: an error now ends the stream with ERR. */
  readonly started: boolean;
}

/** Ids from the metadata shard. */
export interface Sequences {
  /** The first of `count` consecutive ids of the table's sequence. */
  take(database: string, table: string, column: string, count: number): Promise<bigint>;
  /** Tells of an id that a client chose itself: ids given out later are above it. */
  observe?(database: string, table: string, column: string, id: bigint): Promise<void>;
}

/** What the session knows and shards do not. */
export interface SessionFacts {
  readonly lastInsertId: number | bigint;
  readonly rowCount: number | bigint;
  /** Undefined when no shard could tell. */
  readonly foundRows: number | bigint | undefined;
  readonly connectionId: number;
  readonly warningCount: number;
  readonly errorCount: number;
  /** 'app@10.0.0.7' and the account that matched, 'app@%'. */
  readonly user: string;
  readonly currentUser: string;
  /** SQL text of the session's own `timestamp` variable, when it has set one. */
  readonly timestamp?: string;
}

export interface ExecutionContext {
  readonly topology: Topology;
  readonly leases: ShardLeases;
  /** Connections in the session's state beside a transaction: for copies of rows that it has fetched. */
  readonly scratchLeases?: ShardLeases;
  readonly reply: ClientReply;
  readonly facts: SessionFacts;
  readonly caches: RoutingCaches;
  readonly lookups: RoutingLookups;
  readonly sequences: Sequences;
  /** Aborted when the client goes away, is killed, or the statement's time is up. */
  readonly signal: AbortSignal;
  /** Where any shard will do, this one: the transaction has a branch there already. */
  readonly preferredShard?: ShardId;
  /**
   * The command that a lease gets for the text of a statement on one shard; COM_QUERY when left out. A
   * statement that the client has prepared is executed as such where its text is unchanged.
   */
  readonly commandFor?: (lease: Lease, sql: Buffer) => Promise<Buffer>;
  /** Told how much a gathered statement has moved between servers. */
  readonly gathered?: (rows: number, bytes: number) => void;
  /**
   * Reads SHOW WARNINGS from the lease when a reply ended with warnings, before the lease goes back.
   * Must not throw: warnings that cannot be had are no reason to fail a statement.
   */
  readonly collectWarnings?: (lease: Lease) => Promise<void>;
  /** Called before the lease goes back of which one statement's rows were the whole answer, without warnings. */
  readonly rowsEnded?: (lease: Lease) => Promise<void>;
}

/** What the session remembers of a statement that ended well: an OK or the end of rows was sent. */
export type StatementOutcome = Pick<
  ReplyEnd,
  'kind' | 'statusFlags' | 'warningCount' | 'affectedRows' | 'lastInsertId' | 'error'
> & {
  /** Rows sent, where the executor counted them (merged results); undefined for relayed ones. */
  readonly rowsSent?: number;
  /** Those and the ones before an OFFSET, where they were counted. */
  readonly rowsFound?: number;
  /** What LAST_INSERT_ID() is from now on: the first id that came from a sequence. */
  readonly generatedId?: bigint;
};
