import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { LexicalContext, LiteralSpans, Span, Statement } from '../sql/statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Database, type Table, type Topology, tableOf } from '../topology/topology.ts';
import type { CachedPlan, Plan } from './plan.ts';
import { TemplatePlaces } from './template-places.ts';

export interface PlannerInput {
  /** The statement's own bytes: spans and literals are positions in it. */
  readonly text: Buffer;
  readonly statement: Statement;
  readonly literals: LiteralSpans;
  /** The session's current database. */
  readonly database: string | undefined;
  readonly topology: Topology;
  /** From the parser: literals that shape the statement; the plan is for these values only. */
  readonly shapingSlots?: readonly number[];
  /** Of the servers, for the words of their own errors; MySQL's when absent. */
  readonly flavour?: LexicalContext['flavour'];
  /** How the text is read: schema statements are read once more, word by word. */
  readonly lexical: LexicalContext;
}

const SYSTEM_SCHEMAS = new Set(['information_schema', 'mysql', 'performance_schema', 'sys']);
/**
 * What the shard's account may see there is more than a client of Shardgate may: accounts with their
 * hashes, and the statements of all other clients.
 */
const PRIVATE_SCHEMAS = new Set(['mysql', 'performance_schema', 'sys']);
const PRIVATE_TABLES =
  /^(processlist|innodb_.*|xtradb_.*|(user|client|table|index)_statistics|user_(privileges|attributes)|profiling|query_cache_info)$/i;
const NOTHING_GENERATED: ReadonlySet<string> = new Set();

/** What one run of the planner knows and gathers: which literals it looked at, which names it met. */
export class PlanContext {
  readonly input: PlannerInput;
  readonly #pinned = new Map<number, string>();
  readonly #nonZero = new Set<number>();
  readonly #userVariables = new Set<string>();
  readonly #places: TemplatePlaces;

  constructor(input: PlannerInput) {
    this.input = input;
    this.#places = new TemplatePlaces(input.literals);
    for (const slot of input.shapingSlots ?? []) this.pin(slot);
  }

  get topology(): Topology {
    return this.input.topology;
  }

  source(span: Span): string {
    return this.input.text.toString('utf8', span.start, span.end);
  }

  /** The span as places in the template, which is what plans hold. */
  place(span: Span): Span {
    return { start: this.#places.of(span.start), end: this.#places.of(span.end) };
  }

  point(offset: number): Span {
    const at = this.#places.of(offset);
    return { start: at, end: at };
  }

  /** Reads a literal's text; from then on the plan serves only statements with this very text. */
  pin(slot: number): string {
    const { literals, text } = this.input;
    const value = text.toString('utf8', literals.starts[slot], literals.ends[slot]);
    this.#pinned.set(slot, value);
    return value;
  }

  /** What the servers call a clause when they do not know a column in it. */
  unknownColumn(name: string, clause: 'order' | 'group'): ProxyError {
    const words =
      this.input.flavour === 'mariadb'
        ? { order: 'ORDER BY', group: 'GROUP BY' }
        : { order: 'order clause', group: 'group statement' };
    return new ProxyError('ER_BAD_FIELD_ERROR', `Unknown column '${name}' in '${words[clause]}'`);
  }

  pinAll(): void {
    for (let slot = 0; slot < this.input.literals.count; slot++) this.pin(slot);
  }

  /** The plan serves statements with any integer but 0 in this slot. False: it is 0 here. */
  assumeNonZero(slot: number): boolean {
    const { literals, text } = this.input;
    const value = text.toString('latin1', literals.starts[slot], literals.ends[slot]);
    if (isZero(value)) {
      this.pin(slot);
      return false;
    }
    this.#nonZero.add(slot);
    return true;
  }

  readsUserVariable(name: string): void {
    this.#userVariables.add(name.toLowerCase());
  }

  finish(plan: Plan): CachedPlan {
    return {
      plan,
      pinned: [...this.#pinned].map(([slot, text]) => ({ slot, text })),
      nonZero: [...this.#nonZero],
      userVariables: [...this.#userVariables],
    };
  }

  /** Throws 1046 without a name at all, 1049 for one that the config does not have. */
  database(name: string | undefined): Database {
    const wanted = name ?? this.input.database;
    if (wanted === undefined) throw new ProxyError('ER_NO_DB_ERROR', 'No database selected');
    const database = this.topology.databases.get(wanted);
    if (database === undefined) {
      throw new ProxyError('ER_BAD_DB_ERROR', `Unknown database '${wanted}'`);
    }
    return database;
  }

  isSystemSchema(name: string | undefined): boolean {
    const wanted = name ?? this.input.database;
    return wanted !== undefined && SYSTEM_SCHEMAS.has(wanted.toLowerCase());
  }

  table(name: { readonly database?: string; readonly name: string }): Table {
    if (this.isSystemSchema(name.database)) {
      this.#demandPublic(name);
      return {
        database: name.database ?? (this.input.database as string),
        name: name.name,
        placement: { kind: 'unsharded', shard: this.homeShard() },
        generated: NOTHING_GENERATED,
        schema: undefined,
      };
    }
    return tableOf(this.database(name.database), name.name);
  }

  #demandPublic(name: { readonly database?: string; readonly name: string }): void {
    const database = name.database ?? this.input.database ?? '';
    if (!PRIVATE_SCHEMAS.has(database.toLowerCase()) && !PRIVATE_TABLES.test(name.name)) return;
    throw new ProxyError(
      'ER_SPECIFIC_ACCESS_DENIED_ERROR',
      `Access denied; '${database}.${name.name}' is each shard's own: connect to the shard itself, or use SHOW PROCESSLIST and SHOW SHARDS`,
    );
  }

  /** A table whose rows are read or changed. A view sees the tables of its own shard only. */
  rowsOf(name: { readonly database?: string; readonly name: string }): Table {
    const table = this.table(name);
    if (table.schema?.isView !== true) return table;
    const { shards } = this.database(table.database);
    if (shards.length === 1) return table;
    throw notSupported(
      `the view '${table.name}' of '${table.database}', a database on several shards: it would see the rows of one`,
    );
  }

  /** Where questions about the server itself go: the current database's default shard. */
  homeShard(): ShardId {
    const current = this.input.database;
    const database = current === undefined ? undefined : this.topology.databases.get(current);
    return database?.defaultShard ?? this.topology.metadataShard;
  }

  /** The shards that know the current database; all shards when none is selected. */
  currentShards(): readonly ShardId[] {
    const current = this.input.database;
    if (current === undefined || this.isSystemSchema(current)) {
      return [...this.topology.shards.keys()];
    }
    return this.database(current).shards;
  }
}

/** `0`, `00`: the texts of integer literals that AUTO_INCREMENT reads as "the next one". */
export function isZero(text: string): boolean {
  return /^0+$/.test(text);
}
