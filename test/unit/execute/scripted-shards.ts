import type { Lease, ReplyEnd, ReplySink, ShardLeases } from '../../../src/backend/lease.ts';
import { ShardError } from '../../../src/errors/shard-error.ts';
import type { ShardId } from '../../../src/topology/strategy.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import { encodeEof, encodeErr, encodeOk } from '../../../src/wire/reply-packets.ts';
import {
  type ColumnDefinition,
  encodeColumnCount,
  encodeColumnDefinition,
} from '../../../src/wire/result-set-packets.ts';
import { row, type Value } from './rows-fixture.ts';

/** What a shard answers to one statement. */
export type Script =
  | {
      readonly kind: 'ok';
      readonly affectedRows?: number;
      readonly lastInsertId?: number;
      readonly warningCount?: number;
      readonly info?: string;
    }
  | { readonly kind: 'err'; readonly errno: number; readonly message: string }
  | {
      readonly kind: 'rows';
      readonly columns: readonly ColumnDefinition[];
      readonly rows: Iterable<readonly Value[]>;
      readonly warningCount?: number;
      /** Nothing comes after the rows. */
      readonly stalls?: true;
      /** An ERR after the rows instead of an EOF. */
      readonly error?: { readonly errno: number; readonly message: string };
    }
  /** The connection goes after so many packets. */
  | { readonly kind: 'lost'; readonly columns?: readonly ColumnDefinition[] }
  /** No answer until the lease is destroyed. */
  | { readonly kind: 'silent' };

const SERVER_STATUS = 2;

/** Shards that answer by a script, in the bytes of the real protocol, packet by packet. */
export class ScriptedShards implements ShardLeases {
  readonly inTransaction: boolean;
  readonly sent: { readonly shard: string; readonly sql: string }[] = [];
  readonly leases: ScriptedLease[] = [];
  readonly #answer: (shard: string, sql: string) => Script;

  constructor(
    answer: (shard: string, sql: string) => Script,
    options: { readonly inTransaction?: boolean } = {},
  ) {
    this.#answer = answer;
    this.inTransaction = options.inTransaction ?? false;
  }

  tryLease(): Lease | undefined {
    return undefined;
  }

  lease(shard: ShardId): Promise<Lease> {
    const lease = new ScriptedLease(shard, (sql) => {
      this.sent.push({ shard, sql });
      return sql.startsWith('SET timestamp') ? { kind: 'ok' } : this.#answer(shard, sql);
    });
    this.leases.push(lease);
    return Promise.resolve(lease);
  }

  /** How each lease ended up, for instance 's1 released'. */
  ends(): string[] {
    return this.leases.map((lease) => `${lease.shard} ${lease.state}`);
  }

  texts(shard: string): string[] {
    return this.sent.filter((one) => one.shard === shard).map((one) => one.sql);
  }
}

interface Awaited {
  readonly sink: ReplySink;
  readonly packets: Iterator<Buffer | 'lost', unknown>;
  readonly end: ReplyEnd;
}

export class ScriptedLease implements Lease {
  readonly shard: ShardId;
  readonly serverThreadId = 1;
  state: 'held' | 'released' | 'destroyed' | 'released dirty' = 'held';
  pauses = 0;
  #paused = false;
  #running = false;
  readonly #answer: (sql: string) => Script;
  readonly #awaited: Awaited[] = [];

  constructor(shard: ShardId, answer: (sql: string) => Script) {
    this.shard = shard;
    this.#answer = answer;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  send(command: Buffer, sink: ReplySink): void {
    const script = this.#answer(command.toString('utf8', 1));
    this.#awaited.push({ sink, packets: packetsOf(script), end: endOf(script, this.shard) });
    if (!this.#running) setImmediate(() => this.#step());
    this.#running = true;
  }

  pause(): void {
    this.pauses += 1;
    this.#paused = true;
  }

  resume(): void {
    if (this.#paused && this.#running) setImmediate(() => this.#step());
    this.#paused = false;
  }

  release(): void {
    if (this.state !== 'held') return;
    this.state = this.#awaited.length === 0 && !this.#paused ? 'released' : 'released dirty';
  }

  destroy(): void {
    if (this.state !== 'held') return;
    this.state = 'destroyed';
    for (const { sink } of this.#awaited.splice(0)) sink.onReplyLost(new Error('destroyed'));
  }

  /** One packet a turn of the event loop, each in a buffer that is overwritten afterwards. */
  #step(): void {
    if (this.#paused) return;
    const [first] = this.#awaited;
    if (first === undefined) {
      this.#running = false;
      return;
    }
    const next = first.packets.next();
    if (next.done === true) {
      this.#awaited.shift();
      first.sink.onReplyEnd(first.end);
    } else if (next.value === 'lost') {
      this.state = 'destroyed';
      for (const { sink } of this.#awaited.splice(0))
        sink.onReplyLost(new Error('read ECONNRESET'));
    } else {
      first.sink.onReplyBytes(next.value);
    }
    if (!this.#paused) setImmediate(() => this.#step());
  }
}

function* packetsOf(script: Script): Generator<Buffer | 'lost'> {
  const writer = new PacketWriter();
  let sequence = 1;
  const packet = (encode: (to: PacketWriter) => void) => {
    writer.startPacket(sequence);
    encode(writer);
    sequence = writer.endPacket();
    return writer.take();
  };
  const definitions = function* (columns: readonly ColumnDefinition[]) {
    yield packet((to) => encodeColumnCount(columns.length, to));
    for (const column of columns) yield packet((to) => encodeColumnDefinition(column, to));
    yield packet((to) => encodeEof({ warningCount: 0, statusFlags: SERVER_STATUS }, to));
  };
  const failure = (error: { errno: number; message: string }) =>
    packet((to) => encodeErr({ ...error, sqlState: 'HY000' }, to));
  switch (script.kind) {
    case 'ok':
      yield packet((to) =>
        encodeOk(
          {
            affectedRows: script.affectedRows ?? 0,
            lastInsertId: script.lastInsertId ?? 0,
            statusFlags: SERVER_STATUS,
            warningCount: script.warningCount ?? 0,
            info: script.info ?? '',
          },
          to,
        ),
      );
      return;
    case 'err':
      yield failure(script);
      return;
    case 'rows':
      yield* definitions(script.columns);
      for (const values of script.rows) yield packet((to) => to.bytes(row(values)));
      while (script.stalls === true) yield Buffer.alloc(0);
      if (script.error !== undefined) yield failure(script.error);
      else {
        const { warningCount = 0 } = script;
        yield packet((to) => encodeEof({ warningCount, statusFlags: SERVER_STATUS }, to));
      }
      return;
    case 'lost':
      if (script.columns !== undefined) yield* definitions(script.columns);
      yield 'lost';
      return;
    case 'silent':
      for (;;) yield Buffer.alloc(0);
  }
}

function endOf(script: Script, shard: string): ReplyEnd {
  const error = script.kind === 'err' ? script : script.kind === 'rows' ? script.error : undefined;
  const ok = script.kind === 'ok' ? script : undefined;
  return {
    kind: error !== undefined ? 'error' : script.kind === 'rows' ? 'rows' : 'ok',
    statusFlags: SERVER_STATUS,
    warningCount: 'warningCount' in script ? (script.warningCount ?? 0) : 0,
    affectedRows: ok?.affectedRows ?? 0,
    lastInsertId: ok?.lastInsertId ?? 0,
    info: ok?.info ?? '',
    ...(error === undefined
      ? {}
      : { error: new ShardError({ ...error, sqlState: 'HY000', shard }) }),
  };
}
