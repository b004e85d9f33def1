import { unreachable } from '../runtime/assert.ts';
import type { RangeStrategyConfig, StrategyConfig } from './config-schema.ts';
import { DirectoryMap } from './directory.ts';
import { HashRing } from './hash-ring.ts';
import { type KeyOrder, keyOrder, padOfKeys } from './key-order.ts';
import { keyClass } from './key-type.ts';
import { type KeyResult, keyOfEqual } from './key-value.ts';
import { RangeMap } from './range-map.ts';
import type { Directory, RoutingCaches, RoutingLookup } from './routing-caches.ts';
import {
  type KeyType,
  type RoutingKey,
  type ShardId,
  type Strategy,
  shardIds,
} from './strategy.ts';

export interface StrategySource {
  readonly database: string;
  readonly name: string;
  readonly config: StrategyConfig;
  /** Of the key columns that use it; undefined when no table has one. */
  readonly keyType: KeyType | undefined;
  readonly caches: RoutingCaches;
  readonly directory: Directory;
}

export type StrategyResult =
  | { readonly kind: 'strategy'; readonly strategy: Strategy }
  | { readonly kind: 'lookups'; readonly lookups: readonly RoutingLookup[] }
  /** A bound or pin that the key column cannot hold: `entry` is its index or its key. */
  | { readonly kind: 'wrong'; readonly entry: number | string; readonly message: string };

const NO_CACHES: RoutingCaches = { weightOf: () => undefined };

/** Makes the strategy for key columns of one type. Pure. */
export function strategyFor(source: StrategySource): StrategyResult {
  const { config, name } = source;
  switch (config.type) {
    case 'hash': {
      const shards = shardIds(config.shards);
      const weights = new Map(Object.entries(config.weights) as [ShardId, number][]);
      const virtualNodes = config.virtual_nodes;
      return { kind: 'strategy', strategy: new HashRing({ name, shards, virtualNodes, weights }) };
    }
    case 'range':
      return rangeMapFor(source, config);
    case 'directory': {
      const pins = keysOf(Object.keys(config.pins), source);
      if (pins.kind !== 'keys') return pins;
      const owners = shardIds(Object.values(config.pins));
      const shards = shardIds(config.shards);
      const strategy = new DirectoryMap({
        name,
        shards,
        pins: new Map(pins.keys.map((key, index) => [key, owners[index] as ShardId])),
        entries: source.directory,
      });
      return { kind: 'strategy', strategy };
    }
    default:
      return unreachable(config);
  }
}

function rangeMapFor(source: StrategySource, config: RangeStrategyConfig): StrategyResult {
  const bounds = config.ranges.flatMap(({ below }) => (below === undefined ? [] : [below]));
  const keys = keysOf(bounds, source);
  if (keys.kind !== 'keys') return keys;
  const type = source.keyType ?? guessKeyType(bounds);
  const pad = padOfKeys(type, source.caches);
  // Without a table nobody knows the order of text, and nothing is routed by it.
  const isOrdered = source.keyType !== undefined || type.kind !== 'binary';
  const order = isOrdered ? keyOrder(type, pad) : AS_GIVEN;
  for (const [index, key] of keys.keys.entries()) {
    const before = keys.keys[index - 1];
    if (before !== undefined && order(before, key) >= 0) {
      return { kind: 'wrong', entry: index, message: 'must be greater than the one before it' };
    }
  }
  const ranges = config.ranges.map(({ shard }, index) => ({
    below: keys.keys[index],
    shard: shard as ShardId,
  }));
  return { kind: 'strategy', strategy: new RangeMap({ name: source.name, ranges, order }) };
}

/** Bounds stand in the order that they are given in. */
const AS_GIVEN: KeyOrder = () => -1;

/** Stands for a strategy whose bounds or pins are wrong: it names its shards, and nothing is routed by it. */
export function placeholderStrategy(name: string, config: StrategyConfig): Strategy {
  if (config.type === 'range') {
    const ranges = config.ranges.map(({ below, shard }) => ({ below, shard: shard as ShardId }));
    return new RangeMap({ name, ranges, order: AS_GIVEN });
  }
  return new DirectoryMap({
    name,
    shards: shardIds(config.shards),
    pins: new Map(),
    entries: new Map(),
  });
}

type KeysResult =
  | { readonly kind: 'keys'; readonly keys: readonly RoutingKey[] }
  | Exclude<StrategyResult, { kind: 'strategy' }>;

/** The config's texts as keys of the column's type. */
function keysOf(texts: readonly string[], source: StrategySource): KeysResult {
  const type = source.keyType ?? guessKeyType(texts);
  const caches = source.keyType === undefined ? NO_CACHES : source.caches;
  const keys: RoutingKey[] = [];
  const lookups: RoutingLookup[] = [];
  for (const [index, text] of texts.entries()) {
    const result = keyOfText(text, type, caches);
    if (result.kind === 'key') keys.push(result.key);
    else if (result.kind === 'lookup') lookups.push(result.lookup);
    else {
      const entry = source.config.type === 'range' ? index : text;
      return { kind: 'wrong', entry, message: `is not a value of the key column (${type.kind})` };
    }
  }
  return lookups.length > 0 ? { kind: 'lookups', lookups } : { kind: 'keys', keys };
}

/** What stands in the file is text of YAML; for numbers it is read as the number it shows. */
function keyOfText(text: string, type: KeyType, caches: RoutingCaches): KeyResult {
  const isNumber = type.kind === 'integer' || type.kind === 'decimal';
  const numeric = /^[+-]?\d+$/.test(text) ? 'integer' : 'decimal';
  if (isNumber && !/^[+-]?\d+(?:\.\d+)?$/.test(text)) return { kind: 'unknown' };
  return keyOfEqual({ type: isNumber ? numeric : 'string', text }, type, caches);
}

/** Until a table says better: the order that bounds of this look most likely have. */
function guessKeyType(texts: readonly string[]): KeyType {
  if (texts.every((text) => /^[+-]?\d{1,19}$/.test(text))) {
    return { kind: 'integer', unsigned: false, bytes: 8 };
  }
  if (texts.every((text) => /^[+-]?\d+(?:\.\d+)?$/.test(text))) {
    return { kind: 'decimal', precision: 65, scale: 30 };
  }
  if (texts.every((text) => /^\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?$/.test(text))) {
    return { kind: 'datetime', fraction: 6 };
  }
  return { kind: 'binary' };
}

/**
 * One instance a strategy and class of keys. Instances of the snapshot before are kept where nothing about them
 * changed: a large ring takes time to build, and plans know co-located tables by their common instance.
 */
export class StrategyInstances {
  readonly #before: ReadonlyMap<string, Strategy>;
  readonly #made = new Map<string, Strategy>();

  constructor(before?: StrategyInstances) {
    this.#before = before === undefined ? new Map() : before.#made;
  }

  get(source: StrategySource): StrategyResult {
    const type = source.keyType === undefined ? '' : keyClass(source.keyType);
    const identity = JSON.stringify([source.database, source.name, source.config, type]);
    const known = this.#made.get(identity) ?? this.#before.get(identity);
    const result: StrategyResult =
      known === undefined ? strategyFor(source) : { kind: 'strategy', strategy: known };
    if (result.kind === 'strategy') this.#made.set(identity, result.strategy);
    return result;
  }
}
