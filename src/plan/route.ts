import { notSupported, type ProxyError } from '../errors/proxy-error.ts';
import { unquoteString } from '../sql/literal-value.ts';
import type { LexicalContext, LiteralSpans, LiteralType } from '../sql/statement.ts';
import { LiteralToken } from '../sql/tokenizer.ts';
import {
  type KeyLiteral,
  type KeyResult,
  keyOfBound,
  keyOfEqual,
  keyOfStored,
} from '../topology/key-value.ts';
import type { RoutingCaches, RoutingLookup } from '../topology/routing-caches.ts';
import type { KeyBound, KeyType, RoutingKey, ShardId, Strategy } from '../topology/strategy.ts';
import type { Table } from '../topology/topology.ts';
import type { InsertPlan, KeyCondition, KeySource, ShardTarget } from './plan.ts';

/** The literals of the statement at hand. */
export interface RoutedText {
  readonly text: Buffer;
  readonly literals: LiteralSpans;
  readonly lexical: LexicalContext;
  /** Which strings are stored and compared as they are written; all UTF-8 when left out. */
  readonly keyText?: KeyText;
}

/**
 * Literals are read in `character_set_client` and converted to `character_set_connection`: 'utf8mb3'
 * loses characters of four bytes, 'ascii' (latin1 and the like) all beyond ASCII. In 'binary' they
 * are no text, and compare by bytes. 'none': ucs2 and other sets where ASCII itself has other bytes.
 */
export type KeyText = 'utf8mb3' | 'ascii' | 'binary' | 'none';

export type TargetRoute =
  | { readonly kind: 'shards'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'lookups'; readonly lookups: readonly RoutingLookup[] };

export type RowsRoute =
  | { readonly kind: 'rows'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'lookups'; readonly lookups: readonly RoutingLookup[] };

type ByKey = Extract<ShardTarget, { kind: 'by-key' }>;

const UNKNOWN: KeyResult = Object.freeze({ kind: 'unknown' });
/** Digits that fit into a number without rounding. */
const EXACT_DIGITS = 15;
const DIGIT_ZERO = 0x30;
/** First bytes of characters of four, and of more than one, bytes. */
const UTF8_FOUR_BYTES = 0xf0;
const UTF8_SEVERAL_BYTES = 0x80;

/** One route a shard, so that a point statement makes no garbage. Grows with names of shards only. */
const oneShard = new Map<ShardId, TargetRoute>();

const TYPE_OF_TOKEN: ReadonlyMap<number, LiteralType> = new Map([
  [LiteralToken.integer, 'integer'],
  [LiteralToken.decimal, 'decimal'],
  [LiteralToken.float, 'float'],
  [LiteralToken.string, 'string'],
]);

/**
 * The shards that a statement goes to, in the order of the config. `preferred` is chosen where any
 * shard will do: one that the transaction has touched already.
 */
export function routeTarget(
  target: ShardTarget,
  bound: RoutedText,
  caches: RoutingCaches,
  preferred?: ShardId,
): TargetRoute {
  switch (target.kind) {
    case 'fixed':
      return toOne(target.shard);
    case 'any': {
      const usable = preferred !== undefined && target.shards.includes(preferred);
      return toOne(usable ? preferred : (target.shards[0] as ShardId));
    }
    case 'every':
      return { kind: 'shards', shards: target.shards };
    case 'agreeing':
      return routeAgreeing(target, bound, caches);
    case 'by-key':
      return routeByKey(target, bound, caches);
  }
}

/**
 * The shard of each row of an INSERT. `firstId` is the first of the generated ids. Throws 1235 for
 * a key that is not plainly a value of its column: no row is ever put where it may not belong.
 */
export function routeRows(
  plan: InsertPlan,
  bound: RoutedText,
  caches: RoutingCaches,
  firstId?: bigint,
): RowsRoute {
  const { target } = plan;
  if (target.kind !== 'by-key')
    throw new Error('only rows of sharded tables are routed one by one');
  const shards: ShardId[] = [];
  const lookups: RoutingLookup[] = [];
  for (const row of plan.rows) {
    if (row.key === undefined) throw new Error('a row of a sharded table without a key');
    const result = storedKey(row.key, bound, { caches, firstId });
    if (result.kind === 'lookup') lookups.push(result.lookup);
    else if (result.kind !== 'key') throw refusedKey(plan.table);
    else {
      const shard = shardOf(target, result.key, lookups);
      if (shard !== undefined) shards.push(shard);
    }
  }
  return lookups.length > 0 ? { kind: 'lookups', lookups } : { kind: 'rows', shards };
}

function toOne(shard: ShardId): TargetRoute {
  let route = oneShard.get(shard);
  if (route === undefined) {
    route = Object.freeze({ kind: 'shards', shards: Object.freeze([shard]) });
    oneShard.set(shard, route);
  }
  return route;
}

function routeByKey(target: ByKey, bound: RoutedText, caches: RoutingCaches): TargetRoute {
  const { condition, strategy } = target;
  if (condition.kind === 'all') return { kind: 'shards', shards: strategy.shards };
  if (condition.kind === 'equal') {
    const key = shortInteger(condition.value, bound);
    const shard = key === undefined ? undefined : strategy.shardOf(key);
    if (shard !== undefined) return toOne(shard);
  }
  const evaluation = new Evaluation(target, bound, caches);
  const shards = evaluation.shards(condition);
  if (evaluation.lookups.length > 0) return { kind: 'lookups', lookups: evaluation.lookups };
  const [first] = shards;
  // No row can match. One shard still answers, for the columns and errors of the statement.
  if (first === undefined) return toOne(strategy.shards[0] as ShardId);
  return shards.length === 1 ? toOne(first) : { kind: 'shards', shards };
}

function routeAgreeing(
  { targets, mayDiffer }: Extract<ShardTarget, { kind: 'agreeing' }>,
  bound: RoutedText,
  caches: RoutingCaches,
): TargetRoute {
  const shards = new Set<ShardId>();
  const lookups: RoutingLookup[] = [];
  for (const target of targets) {
    const route = routeTarget(target, bound, caches);
    if (route.kind === 'lookups') lookups.push(...route.lookups);
    else for (const shard of route.shards) shards.add(shard);
  }
  if (lookups.length > 0) return { kind: 'lookups', lookups };
  const [shard] = shards;
  if (shards.size === 1 && shard !== undefined) return toOne(shard);
  if (mayDiffer) return { kind: 'shards', shards: [...shards] };
  throw notSupported(
    `this statement over rows of several shards (here: ${[...shards].join(', ')}): it works only when all its shard key values lie on one shard`,
  );
}

/** The key of an unsigned integer literal for a signed-enough column, straight from the bytes. */
function shortInteger(source: KeySource, bound: RoutedText): number | undefined {
  if (source.kind !== 'literal' || source.certain !== true || source.negated) return undefined;
  const start = bound.literals.starts[source.slot] as number;
  const end = bound.literals.ends[source.slot] as number;
  if (end - start > EXACT_DIGITS) return undefined;
  const type = keyTypeOf(source.table, source.keyIndex);
  if (type?.kind !== 'integer') return undefined;
  let value = 0;
  for (let at = start; at < end; at++) {
    value = value * 10 + (bound.text[at] as number) - DIGIT_ZERO;
  }
  if (type.bytes === 8) return value;
  const span = 2 ** (8 * type.bytes);
  return value < (type.unsigned ? span : span / 2) ? value : undefined;
}

function keyTypeOf(table: Table, keyIndex: number): KeyType | undefined {
  return table.placement.kind === 'sharded' ? table.placement.keyTypes[keyIndex] : undefined;
}

/** The literal as its column's rules read it; undefined when only a shard can. */
function literalOf(
  source: Extract<KeySource, { kind: 'literal' }>,
  bound: RoutedText,
): KeyLiteral | undefined {
  const { literals, text } = bound;
  if (source.slot >= literals.count) throw new Error(`the plan names literal ${source.slot}`);
  const type = TYPE_OF_TOKEN.get(literals.types[source.slot] as number);
  if (type === undefined) return undefined;
  const span = {
    start: literals.starts[source.slot] as number,
    end: literals.ends[source.slot] as number,
  };
  if (type !== 'string') {
    const digits = text.toString('latin1', span.start, span.end);
    return { type, text: source.negated ? `-${digits}` : digits };
  }
  const value = textOf(unquoteString(text, span, bound.lexical), bound.keyText);
  return value === undefined ? undefined : { type, text: value };
}

/** Undefined for bytes that are not the same text for the server and for us. */
function textOf(bytes: Buffer, keyText: KeyText | undefined): string | undefined {
  if (keyText !== undefined) {
    if (keyText === 'none') return undefined;
    const firstOther = keyText === 'utf8mb3' ? UTF8_FOUR_BYTES : UTF8_SEVERAL_BYTES;
    if (bytes.some((byte) => byte >= firstOther)) return undefined;
  }
  const text = bytes.toString('utf8');
  return Buffer.byteLength(text) === bytes.length && !text.includes('\ufffd') ? text : undefined;
}

function storedKey(
  source: KeySource,
  bound: RoutedText,
  options: { readonly caches: RoutingCaches; readonly firstId: bigint | undefined },
): KeyResult {
  switch (source.kind) {
    case 'constant':
      return { kind: 'key', key: source.key };
    case 'generated': {
      if (options.firstId === undefined) throw new Error('a generated key before its id was taken');
      const id = options.firstId + BigInt(source.row);
      return { kind: 'key', key: id <= Number.MAX_SAFE_INTEGER ? Number(id) : id };
    }
    case 'parameter':
      return UNKNOWN;
    case 'literal': {
      const type = keyTypeOf(source.table, source.keyIndex);
      const literal = type === undefined ? undefined : literalOf(source, bound);
      if (type === undefined || literal === undefined) return UNKNOWN;
      return keyOfStored(literal, type, options.caches);
    }
  }
}

function shardOf(target: ByKey, key: RoutingKey, lookups: RoutingLookup[]): ShardId | undefined {
  const shard = target.strategy.shardOf(key);
  if (shard !== undefined) return shard;
  lookups.push({
    kind: 'directory',
    database: target.database,
    strategy: target.strategy.name,
    key,
  });
  return undefined;
}

function refusedKey(table: Table): ProxyError {
  const column = table.placement.kind === 'sharded' ? table.placement.keyColumns[0] : '';
  return notSupported(
    `this value for the shard key '${column}' of table '${table.name}': write a plain literal of the column's type and range`,
  );
}

/** Which shards a condition leaves, with the literals at hand. */
class Evaluation {
  readonly lookups: RoutingLookup[] = [];
  readonly #target: ByKey;
  readonly #strategy: Strategy;
  readonly #bound: RoutedText;
  readonly #caches: RoutingCaches;

  constructor(target: ByKey, bound: RoutedText, caches: RoutingCaches) {
    this.#target = target;
    this.#strategy = target.strategy;
    this.#bound = bound;
    this.#caches = caches;
  }

  shards(condition: KeyCondition): readonly ShardId[] {
    const all = this.#strategy.shards;
    switch (condition.kind) {
      case 'all':
        return all;
      case 'none':
        return [];
      case 'equal':
        return this.#equal(condition.value);
      case 'in':
        return this.#union(condition.values.map((value) => this.#equal(value)));
      case 'between':
        return this.#between(condition);
      case 'and': {
        const parts = condition.conditions.map((part) => this.shards(part));
        return all.filter((shard) => parts.every((part) => part.includes(shard)));
      }
      case 'or':
        return this.#union(condition.conditions.map((part) => this.shards(part)));
    }
  }

  #union(parts: readonly (readonly ShardId[])[]): readonly ShardId[] {
    const found = new Set(parts.flat());
    return this.#strategy.shards.filter((shard) => found.has(shard));
  }

  #equal(source: KeySource): readonly ShardId[] {
    const result = this.#read(source, keyOfEqual);
    if (result.kind === 'no-row') return [];
    if (result.kind !== 'key') return this.#strategy.shards;
    const shard = shardOf(this.#target, result.key, this.lookups);
    return shard === undefined ? this.#strategy.shards : [shard];
  }

  #between(condition: Extract<KeyCondition, { kind: 'between' }>): readonly ShardId[] {
    const low = this.#bounded(condition.low);
    const high = this.#bounded(condition.high);
    if (low === undefined || high === undefined) return [];
    const isHalf = low.key === undefined || high.key === undefined;
    if (condition.together && isHalf) return this.#strategy.shards;
    return this.#strategy.shardsBetween(low, high);
  }

  /** Undefined when no key is on the right side of it. */
  #bounded(
    bound: { readonly value: KeySource; readonly inclusive: boolean } | undefined,
  ): KeyBound | undefined {
    if (bound === undefined) return { key: undefined, inclusive: false };
    if (this.#bound.keyText === 'binary' && bound.value.kind === 'literal') {
      return { key: undefined, inclusive: false };
    }
    const result = this.#read(bound.value, keyOfBound);
    if (result.kind === 'no-row') return undefined;
    if (result.kind !== 'key') return { key: undefined, inclusive: false };
    return { key: result.key, inclusive: bound.inclusive };
  }

  #read(source: KeySource, keyOf: typeof keyOfEqual): KeyResult {
    if (source.kind === 'constant') return { kind: 'key', key: source.key };
    if (source.kind !== 'literal') return UNKNOWN;
    const type = keyTypeOf(source.table, source.keyIndex);
    const literal = type === undefined ? undefined : literalOf(source, this.#bound);
    if (type === undefined || literal === undefined) return UNKNOWN;
    const result = keyOf(literal, type, this.#caches);
    if (result.kind === 'lookup') this.lookups.push(result.lookup);
    return result;
  }
}
