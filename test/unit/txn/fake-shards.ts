import type { Lease, ReplyEnd, ReplySink, ShardLeases } from '../../../src/backend/lease.ts';
import { ShardError } from '../../../src/errors/shard-error.ts';
import type { ShardId } from '../../../src/topology/strategy.ts';
import type { ControlPlane, ControlRows } from '../../../src/txn/decisions.ts';

const IN_TRANSACTION = 0x0003;
const AUTOCOMMIT = 0x0002;

type Fault = { readonly errno: number; readonly rollsBack?: boolean } | 'lost' | 'lost-after';

export function shardId(name: string): ShardId {
  return name as ShardId; // Tests make up shards; the config's reader brands real ones.
}

/** Shards that keep to the rules of XA and of `shardgate.decisions`, each with a record of what it was sent. */
export class FakeShards implements ShardLeases, ControlPlane {
  readonly inTransaction = false;
  readonly #shards = new Map<string, FakeShard>();
  #slowLeases = false;

  shard(name: string): FakeShard {
    const known = this.#shards.get(name) ?? new FakeShard(shardId(name));
    this.#shards.set(name, known);
    return known;
  }

  /** From now on there is never an idle connection. */
  makeLeasesSlow(): void {
    this.#slowLeases = true;
  }

  tryLease(shard: ShardId): Lease | undefined {
    return this.#slowLeases ? undefined : this.shard(shard).connect();
  }

  async lease(shard: ShardId): Promise<Lease> {
    return this.shard(shard).connect();
  }

  session<Result>(
    shard: ShardId,
    work: (session: {
      query(sql: string, params?: readonly unknown[]): Promise<ControlRows>;
    }) => Promise<Result>,
  ): Promise<Result> {
    return work({ query: (sql, params) => this.query(shard, sql, params) });
  }

  async query(shard: ShardId, sql: string, params: readonly unknown[] = []): Promise<ControlRows> {
    await Promise.resolve();
    return { rows: this.shard(shard).control(sql, params) };
  }
}

export class FakeShard {
  readonly name: ShardId;
  /** Statements of committed transactions. */
  readonly committed: string[] = [];
  readonly decisions = new Map<string, 'commit' | 'abort'>();
  readonly prepared = new Map<string, readonly string[]>();
  /** Everything sent by leases, in order. */
  readonly sent: string[] = [];
  leased = 0;
  destroyed = 0;
  reachable = true;
  readonly #faults: { readonly prefix: string; readonly fault: Fault }[] = [];
  readonly #connections: Lease[] = [];
  readonly #held: (() => void)[] = [];
  #holding: string | undefined;

  constructor(name: ShardId) {
    this.name = name;
  }

  /** The next command that starts so fails. 'lost-after' is carried out and not answered. */
  failOn(prefix: string, fault: Fault): void {
    this.#faults.push({ prefix, fault });
  }

  /** Commands that start so get no answer and are not carried out until `letGo`. */
  hold(prefix: string): void {
    this.#holding = prefix;
  }

  letGo(): void {
    this.#holding = undefined;
    for (const run of this.#held.splice(0)) run();
  }

  connect(): Lease {
    if (!this.reachable) throw new Error(`${this.name} is down`);
    this.leased += 1;
    const connection = new FakeConnection(this);
    this.#connections.push(connection);
    return connection;
  }

  /** All connections end, and whoever holds one knows. */
  cutLines(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  faultFor(sql: string): Fault | undefined {
    const index = this.#faults.findIndex(({ prefix }) => sql.startsWith(prefix));
    return index === -1 ? undefined : this.#faults.splice(index, 1)[0]?.fault;
  }

  /** Runs now, or when let go. Nothing overtakes on one connection, so this suits one held command. */
  schedule(sql: string, run: () => void): void {
    if (this.#holding !== undefined && sql.startsWith(this.#holding)) this.#held.push(run);
    else queueMicrotask(run);
  }

  control(sql: string, params: readonly unknown[]): readonly Readonly<Record<string, unknown>>[] {
    if (!this.reachable) throw new Error(`${this.name} is down`);
    const [gtrid = ''] = params.map(String);
    if (sql.includes('INTO shardgate.decisions')) {
      if (this.decisions.has(gtrid)) throw refusal(1062, this.name);
      this.decisions.set(gtrid, 'abort');
      return [];
    }
    if (sql.startsWith('SELECT decision')) {
      const decision = this.decisions.get(gtrid);
      return decision === undefined ? [] : [{ decision }];
    }
    if (sql.startsWith('SET ')) return [];
    if (sql === 'XA RECOVER') {
      return [...this.prepared.keys()].map((xid) => {
        const [, name = '', branch = '', format = ''] = /'(.*)','(.*)',(\d+)/.exec(xid) ?? [];
        return {
          formatID: Number(format),
          gtrid_length: name.length,
          bqual_length: branch.length,
          data: Buffer.from(`${name}${branch}`),
        };
      });
    }
    const xid = sql.replace(/^XA (COMMIT|ROLLBACK) /, '');
    const work = this.prepared.get(xid);
    if (work === undefined) throw refusal(1397, this.name);
    this.prepared.delete(xid);
    if (sql.startsWith('XA COMMIT')) this.committed.push(...work);
    return [];
  }
}

export function refusal(errno: number, shard: ShardId): ShardError {
  return new ShardError({ errno, sqlState: 'HY000', message: `refused with ${errno}`, shard });
}

type Work =
  | { readonly kind: 'none' }
  | { readonly kind: 'plain'; rows: string[]; decision?: string }
  | { readonly kind: 'xa'; readonly xid: string; ended: boolean; rows: string[] };

class FakeConnection implements Lease {
  readonly shard: ShardId;
  readonly serverThreadId = 1;
  readonly #server: FakeShard;
  #work: Work = { kind: 'none' };
  #open = true;

  constructor(server: FakeShard) {
    this.#server = server;
    this.shard = server.name;
  }

  send(command: Buffer, sink: ReplySink): void {
    const sql = command.toString('utf8', 1);
    if (!this.#open) {
      sink.onReplyLost(new Error('closed'));
      return;
    }
    this.#server.sent.push(sql);
    this.#server.schedule(sql, () => this.#answer(sql, sink));
  }

  pause(): void {}
  resume(): void {}

  release(): void {
    this.#server.leased -= 1;
    if (this.#work.kind !== 'none')
      throw new Error(`released within a transaction (${this.shard})`);
  }

  destroy(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#server.leased -= 1;
    this.#server.destroyed += 1;
  }

  #answer(sql: string, sink: ReplySink): void {
    if (!this.#open) {
      sink.onReplyLost(new Error('closed'));
      return;
    }
    const fault = this.#server.faultFor(sql);
    if (fault === undefined) {
      this.#end(sink, this.#run(sql));
    } else if (fault === 'lost' || fault === 'lost-after') {
      if (fault === 'lost-after') this.#run(sql);
      this.#work = { kind: 'none' };
      sink.onReplyLost(new Error('the line went dead'));
    } else {
      if (fault.rollsBack && this.#work.kind === 'plain') this.#work = { kind: 'none' };
      this.#end(sink, fault.errno);
    }
  }

  #end(sink: ReplySink, errno: number): void {
    const error = errno === 0 ? {} : { error: refusal(errno, this.shard) };
    const end: ReplyEnd = {
      kind: errno === 0 ? 'ok' : 'error',
      statusFlags: this.#work.kind === 'none' ? AUTOCOMMIT : IN_TRANSACTION,
      warningCount: 0,
      affectedRows: 1,
      lastInsertId: 0,
      info: '',
      ...error,
    };
    sink.onReplyEnd(end);
  }

  /** The errno it ends with; 0 for OK. */
  #run(sql: string): number {
    const [, verb = '', xid = ''] = /^XA (\w+) ('.*?\d+)(?: ONE PHASE)?$/.exec(sql) ?? [];
    if (verb !== '') return this.#runXa(verb, xid, sql.endsWith('ONE PHASE'));
    const work = this.#work;
    if (sql === 'BEGIN') {
      this.#work = { kind: 'plain', rows: [] };
    } else if (sql === 'COMMIT' || sql === 'ROLLBACK') {
      if (work.kind === 'plain' && sql === 'COMMIT') this.#commitPlain(work);
      this.#work = { kind: 'none' };
    } else if (sql.startsWith('INSERT INTO shardgate.decisions')) {
      const [, gtrid = ''] = /SELECT '([^']*)'/.exec(sql) ?? [];
      if (this.#server.decisions.has(gtrid)) return 1062;
      if (work.kind === 'plain') work.decision = gtrid;
    } else if (/^(UPDATE|INSERT)/.test(sql)) {
      if (work.kind === 'none') this.#server.committed.push(sql);
      else work.rows.push(sql);
    }
    return 0;
  }

  #commitPlain(work: Work & { readonly kind: 'plain' }): void {
    this.#server.committed.push(...work.rows);
    if (work.decision !== undefined) this.#server.decisions.set(work.decision, 'commit');
  }

  #runXa(verb: string, xid: string, onePhase: boolean): number {
    const work = this.#work;
    const server = this.#server;
    if (verb === 'START') {
      this.#work = { kind: 'xa', xid, ended: false, rows: [] };
      return 0;
    }
    if (work.kind !== 'xa') return this.#endPrepared(verb, xid);
    if (verb === 'END') {
      if (work.ended) return 1399;
      work.ended = true;
      return 0;
    }
    if (!work.ended) return 1399;
    this.#work = { kind: 'none' };
    if (verb === 'PREPARE') server.prepared.set(xid, work.rows);
    if (verb === 'COMMIT' && onePhase) server.committed.push(...work.rows);
    return 0;
  }

  #endPrepared(verb: string, xid: string): number {
    const rows = this.#server.prepared.get(xid);
    if (rows === undefined) return verb === 'END' ? 1399 : 1397;
    if (verb === 'END') return 1399;
    this.#server.prepared.delete(xid);
    if (verb === 'COMMIT') this.#server.committed.push(...rows);
    return 0;
  }
}
