import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import {
  COM_INIT_DB,
  COM_QUERY,
  COM_QUIT,
  PACKET_HEADER_BYTES,
  PACKET_PAYLOAD_MAX,
} from '../wire/flags.ts';
import { framePayload } from '../wire/framer.ts';
import {
  NO_FACTS,
  REPLY_GOES_ON,
  type ReplyFacts,
  ReplyScanner,
  type ReplyShape,
  replyShapeOf,
} from '../wire/reply-scanner.ts';
import type { ReplyEnd, ReplySink } from './lease.ts';
import { asShardError, cannotConnect, connectionLost, type ShardAddress } from './shard-address.ts';
import { LoginPackets, type LoginResult, logIn } from './shard-login.ts';
import { ShardSocket, type SocketOwner } from './shard-socket.ts';

/** Up to this size header and payload are copied into one buffer: cheaper than two writes. */
const COPY_BYTES_MAX = 65_536;

export interface ConnectOptions {
  readonly address: ShardAddress;
  readonly foundRows: boolean;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

interface AwaitedReply {
  readonly sink: ReplySink;
  readonly shape: ReplyShape;
  /** Sequence id of its first packet. */
  readonly firstSequence: number;
}

/**
 * Connects and logs in within `connectTimeoutMs`. Throws ER_CONNECT_TO_FOREIGN_DATA_SOURCE that
 * names the shard, whatever went wrong: a client must not take a shard's 1045 for its own.
 */
export async function connectToShard(options: ConnectOptions): Promise<ShardConnection> {
  const { address, connectTimeoutMs } = options;
  const packets = new LoginPackets();
  const abort = new AbortController();
  let socket: ShardSocket | undefined;
  const giveUp = (error: Error): void => {
    abort.abort(error);
    packets.fail(error);
    socket?.destroy();
  };
  const cancelTimeout = options.clock.after(connectTimeoutMs, () =>
    giveUp(new Error(`no answer within ${connectTimeoutMs} ms`)),
  );
  const onAbort = (): void => giveUp(new Error('the connection is no longer wanted'));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const withTls = address.config.tls !== undefined;
    socket = await ShardSocket.open(address.config, {
      withTls,
      signal: abort.signal,
      owner: packets,
    });
    const login = await logIn(socket, packets, options);
    return new ShardConnection(socket, address, login, options.foundRows);
  } catch (error) {
    socket?.destroy();
    throw cannotConnect(address, abort.signal.aborted ? abort.signal.reason : error);
  } finally {
    cancelTimeout();
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * A logged-in connection that carries commands and hands the bytes of each reply to the command's
 * sink. It knows nothing of pools and session states.
 */
export class ShardConnection implements SocketOwner {
  readonly shard: ShardId;
  readonly serverThreadId: number;
  readonly serverVersion: string;
  readonly foundRows: boolean;
  readonly #address: ShardAddress;
  readonly #socket: ShardSocket;
  readonly #scanner = new ReplyScanner();
  /** Replies still to come, in the order of their commands. */
  readonly #awaited: AwaitedReply[] = [];
  /** Commands that wait for the one they prepare, to leave in one write with it. */
  #held: Buffer[] = [];
  #scanning = false;
  #statusFlags: number;
  #closed = false;
  #onClosed: () => void = () => {};

  constructor(socket: ShardSocket, address: ShardAddress, login: LoginResult, foundRows: boolean) {
    this.shard = address.shard;
    this.#address = address;
    this.serverThreadId = login.serverThreadId;
    this.serverVersion = login.serverVersion;
    this.foundRows = foundRows;
    this.#statusFlags = login.statusFlags;
    this.#socket = socket;
    socket.handTo(this);
  }

  /** SERVER_STATUS_… of the reply that ended last. */
  get statusFlags(): number {
    return this.#statusFlags;
  }

  get repliesAwaited(): number {
    return this.#awaited.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Called once when the connection is gone, after the sinks have heard of it. */
  whenClosed(action: () => void): void {
    this.#onClosed = action;
    if (this.#closed) action();
  }

  /** One command payload without its header. Commands may follow each other without waiting. */
  send(command: Buffer, sink: ReplySink): void {
    if (this.#closed) {
      // Not before `send` has returned: senders do not expect an answer within it.
      const lost = connectionLost(this.#address, 'the connection is closed');
      queueMicrotask(() => sink.onReplyLost(lost));
      return;
    }
    const shape = replyShapeOf(command[0]);
    const firstSequence = 1 + Math.floor(command.length / PACKET_PAYLOAD_MAX);
    if (shape !== 'none') this.#awaited.push({ sink, shape, firstSequence });
    this.#write(command);
    if (shape === 'none') sink.onReplyEnd(this.#replyEnd(NO_FACTS));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says goodbye. Only for a connection that awaits no reply. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#socket.write(Buffer.from([1, 0, 0, 0, COM_QUIT]));
    this.#socket.end();
    this.#end(connectionLost(this.#address, 'the connection is closed'));
  }

  destroy(cause: unknown = 'the connection was given up'): void {
    if (this.#closed) return;
    this.#socket.destroy();
    this.#end(connectionLost(this.#address, cause));
  }

  onBytes(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length && !this.#closed) {
      const next = this.#awaited[0];
      if (next === undefined) {
        // Servers announce that they shut down or that an idle connection is at its end.
        this.destroy('the server sent something nobody asked for');
        return;
      }
      try {
        from = this.#feed(chunk, from, next);
      } catch (error) {
        // Bytes that are no reply, or a sink that broke: what follows could belong to anyone.
        this.destroy(error);
        return;
      }
    }
  }

  onClosed(error: Error | undefined): void {
    this.#end(connectionLost(this.#address, error ?? 'the server closed the connection'));
  }

  #feed(chunk: Buffer, from: number, awaited: AwaitedReply): number {
    const { sink } = awaited;
    if (!this.#scanning) {
      this.#scanner.start(awaited.shape, awaited.firstSequence);
      this.#scanning = true;
    }
    const end = this.#scanner.feed(chunk, from);
    if (end === REPLY_GOES_ON) {
      sink.onReplyBytes(from === 0 ? chunk : chunk.subarray(from));
      return chunk.length;
    }
    const replyEnd = this.#replyEnd(this.#scanner.facts);
    sink.onReplyBytes(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end));
    if (this.#closed) return end;
    this.#scanning = false;
    this.#awaited.shift();
    sink.onReplyEnd(replyEnd);
    return end;
  }

  #replyEnd(facts: ReplyFacts): ReplyEnd {
    if (facts.statusFlags !== undefined) this.#statusFlags = facts.statusFlags;
    return {
      kind: facts.kind,
      statusFlags: this.#statusFlags,
      warningCount: facts.warningCount,
      affectedRows: facts.affectedRows,
      lastInsertId: facts.lastInsertId,
      info: facts.info,
      ...(facts.error && { error: asShardError(facts.error, this.shard) }),
    };
  }

  #write(command: Buffer): void {
    if (command.length > COPY_BYTES_MAX) {
      this.#flush();
      this.#socket.writeAll(framePayload(command, 0));
      return;
    }
    const bytes = Buffer.allocUnsafe(PACKET_HEADER_BYTES + command.length);
    bytes.writeUInt32LE(command.length);
    command.copy(bytes, PACKET_HEADER_BYTES);
    if (isPrelude(command)) {
      if (this.#held.length === 0) process.nextTick(this.#flush);
      this.#held.push(bytes);
    } else if (this.#held.length === 0) {
      this.#socket.write(bytes);
    } else {
      this.#held.push(bytes);
      this.#flush();
    }
  }

  readonly #flush = (): void => {
    if (this.#held.length === 0 || this.#closed) return;
    const held = this.#held;
    this.#held = [];
    this.#socket.write(Buffer.concat(held));
  };

  #end(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { sink } of this.#awaited.splice(0)) sink.onReplyLost(error);
    this.#onClosed();
  }
}

/**
 * BEGIN, XA …, SET … and SAVEPOINT … are mostly followed by a statement in the same turn: held back
 * for that long, both cost one system call and wake the server once. Holding back all commands
 * costs more than it saves.
 */
function isPrelude(command: Buffer): boolean {
  if (command[0] === COM_INIT_DB) return true;
  if (command[0] !== COM_QUERY || command.length < 4) return false;
  const letters =
    ((command[1] ?? 0) << 16) | ((command[2] ?? 0) << 8) | (command[3] ?? 0) | 0x202020;
  return PRELUDES.has(letters);
}

const PRELUDES: ReadonlySet<number> = new Set(
  ['beg', 'xa ', 'set', 'sav'].map((letters) => Buffer.from(letters).readUIntBE(0, 3)),
);

/** A COM_QUERY payload. */
export function queryCommand(sql: string | Buffer): Buffer {
  const text = typeof sql === 'string' ? Buffer.from(sql) : sql;
  const command = Buffer.allocUnsafe(1 + text.length);
  command[0] = COM_QUERY;
  text.copy(command, 1);
  return command;
}
