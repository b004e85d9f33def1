import type {
  BoundStatement,
  ClientReply,
  ExecutionContext,
} from '../../../src/execute/execution.ts';
import { Fingerprinter } from '../../../src/sql/fingerprint.ts';
import type { LexicalContext, Span } from '../../../src/sql/statement.ts';
import { templatePosition } from '../../../src/sql/template-position.ts';
import { DEFAULT_LIMITS } from '../../../src/topology/config-schema.ts';
import type { ShardId } from '../../../src/topology/strategy.ts';
import type { Topology } from '../../../src/topology/topology.ts';
import { decodeColumnDefinition } from '../../../src/wire/result-set-packets.ts';
import { type Value, values } from './rows-fixture.ts';
import type { ScriptedShards } from './scripted-shards.ts';

export const shardId = (name: string) => name as ShardId;

const lexical: LexicalContext = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  ignoreSpace: false,
  highNotPrecedence: false,
  flavour: 'mariadb',
  serverVersion: 101119,
};

export function bound(sql: string): BoundStatement {
  const text = Buffer.from(sql);
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, lexical);
  return { text, literals: fingerprinter.literals, lexical };
}

/** The template span of a part of the statement's text, its `nth` occurrence counted from 0. */
export function spanOf(statement: BoundStatement, part: string, nth = 0): Span {
  let start = -1;
  for (let found = 0; found <= nth; found++) start = statement.text.indexOf(part, start + 1);
  if (start === -1) throw new Error(`'${part}' does not occur`);
  const end = start + Buffer.byteLength(part);
  return {
    start: templatePosition(start, statement.literals),
    end: templatePosition(end, statement.literals),
  };
}

/** The client's side, which keeps what it was told. */
export class RecordedReply implements ClientReply {
  readonly relayed: Buffer[] = [];
  columnNames: string[] | undefined;
  readonly rowValues: Value[][] = [];
  ended: { readonly warningCount: number } | undefined;
  okPacket: Parameters<ClientReply['ok']>[0] | undefined;
  /** Every write is too much for the client until `drain` is called. */
  slow = false;
  #waiting: (() => void)[] = [];

  get started(): boolean {
    return this.relayed.length > 0 || this.columnNames !== undefined || this.okPacket !== undefined;
  }

  get isWaitedFor(): boolean {
    return this.#waiting.length > 0;
  }

  relay(bytes: Buffer): boolean {
    this.relayed.push(Buffer.from(bytes));
    return !this.slow;
  }

  onceDrained(resume: () => void): void {
    this.#waiting.push(resume);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.onceDrained(resolve));
  }

  drain(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }

  columns(definitions: readonly Buffer[]): void {
    this.columnNames = definitions.map((one) => decodeColumnDefinition(one).name);
  }

  rows(rows: readonly Buffer[]): boolean {
    this.rowValues.push(...rows.map(values));
    return !this.slow;
  }

  endOfRows(end: { readonly warningCount: number }): void {
    this.ended = end;
  }

  ok(ok: Parameters<ClientReply['ok']>[0]): void {
    this.okPacket = ok;
  }
}

export function context(
  leases: ScriptedShards,
  more: Partial<ExecutionContext> = {},
): ExecutionContext & { readonly reply: RecordedReply } {
  const shards = new Map(['s1', 's2', 's3'].map((name) => [shardId(name), {}]));
  return {
    // Only these two are looked at by the executor.
    topology: { shards, config: { limits: DEFAULT_LIMITS } } as unknown as Topology,
    leases,
    facts: {
      lastInsertId: 7,
      rowCount: 3,
      foundRows: 5,
      connectionId: 42,
      warningCount: 0,
      errorCount: 0,
      user: "o'neil@10.0.0.7",
      currentUser: 'app@%',
    },
    caches: { weightOf: () => undefined },
    lookups: { resolve: () => Promise.resolve([]) },
    sequences: { take: () => Promise.resolve(100n) },
    signal: new AbortController().signal,
    ...more,
    reply: new RecordedReply(),
  };
}
