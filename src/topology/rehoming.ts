import type { ConfigPath, DatabaseConfig, StrategyConfig } from './config-schema.ts';
import { HashRing } from './hash-ring.ts';
import type { KeyType, ShardId } from './strategy.ts';
import {
  type Database,
  type Placement,
  shardsOfTable,
  type Table,
  type Topology,
  tableOf,
} from './topology.ts';

/** Rows of one table on one shard that could have no place there under a new map: for the shard to count. */
export interface RehomingQuestion {
  readonly database: string;
  readonly table: string;
  readonly shard: ShardId;
  readonly rule: HomeRule;
  /** Where the setting stands that the table owes this to. */
  readonly path: ConfigPath;
}

/** Which rows of the shard are out of place, and where their new home is. */
export type HomeRule =
  /** Each of them; `to` says what becomes of them, in words that follow "would be ". */
  | { readonly kind: 'any'; readonly to: string }
  | {
      readonly kind: 'hash';
      readonly column: string;
      readonly keyType: KeyType;
      readonly ring: HashRing;
    }
  | {
      readonly kind: 'range';
      readonly column: string;
      readonly keyType: KeyType;
      readonly ranges: readonly { readonly below?: string | undefined; readonly shard: string }[];
    }
  /** Those with one of these keys. */
  | {
      readonly kind: 'keys';
      readonly column: string;
      readonly keyType: KeyType;
      readonly keys: readonly { readonly text: string; readonly to: string }[];
    }
  /** Those with a key that is not among these. */
  | {
      readonly kind: 'other-keys';
      readonly column: string;
      readonly keyType: KeyType;
      readonly keys: readonly string[];
    };

/** A table that has to exist on a shard before a new map may send rows there. */
export interface MissingTable {
  readonly database: string;
  readonly table: string;
  readonly from: ShardId;
  readonly to: ShardId;
}

export interface Rehoming {
  readonly questions: readonly RehomingQuestion[];
  readonly missing: readonly MissingTable[];
}

/**
 * What has to be asked before `after` may follow `before`: which tables have another placement, and on which shards
 * rows could be left that nobody would find, or would appear that nobody sees now. Pure. `isReturn`: `after` was in force
 * a moment ago, so that rows which are where it wants them may have been written by it.
 */
export function rehomingBetween(
  before: Topology,
  after: Topology,
  options: { readonly isReturn: boolean } = { isReturn: false },
): Rehoming {
  const questions: RehomingQuestion[] = [];
  const missing: MissingTable[] = [];
  const names = new Set([...before.databases.keys(), ...after.databases.keys()]);
  for (const name of names) {
    const old = before.databases.get(name);
    const now = after.databases.get(name);
    for (const table of tablesOf(old, now)) {
      const pair: Pair = {
        before: old && tableOf(old, table),
        after: now && tableOf(now, table),
        path: ['databases', name, 'tables', table],
        isReturn: options.isReturn,
        named: after.config.databases[name]?.tables[table] !== undefined,
        strategies: [strategiesOf(before, name), strategiesOf(after, name)],
      };
      questions.push(...questionsOf(pair));
      missing.push(...missingOf(pair));
    }
  }
  return { questions, missing };
}

type Strategies = DatabaseConfig['strategies'];

interface Pair {
  readonly before: Table | undefined;
  readonly after: Table | undefined;
  readonly path: ConfigPath;
  readonly isReturn: boolean;
  /** In the new config. */
  readonly named: boolean;
  readonly strategies: readonly [before: Strategies, after: Strategies];
}

function strategiesOf(topology: Topology, database: string): Strategies {
  return topology.config.databases[database]?.strategies ?? {};
}

/** Those that exist on a shard: others have no rows. */
function tablesOf(before: Database | undefined, after: Database | undefined): ReadonlySet<string> {
  const tables = [before, after].flatMap((database) => [...(database?.tables.values() ?? [])]);
  return new Set(tables.filter(({ schema }) => schema !== undefined).map(({ name }) => name));
}

function questionsOf(pair: Pair): readonly RehomingQuestion[] {
  const { before, after, path } = pair;
  const place = { database: String(path[1]), table: String(path[3]), path: pathOf(pair) };
  if (before === undefined) return ofNewDatabase(pair).map((one) => ({ ...place, ...one }));
  const holders = shardsOfTable(before);
  if (after === undefined) {
    const rule = { kind: 'any', to: 'out of reach: the database is no longer named' } as const;
    return holders.map((shard) => ({ ...place, shard, rule }));
  }
  if (isSamePlacement(before.placement, after.placement)) return [];
  const isView = (before.schema ?? after.schema)?.isView === true;
  // A view has no rows; where it does not exist, queries on it fail and say so.
  if (isView) return [];
  const added = shardsOfTable(after).filter((shard) => !holders.includes(shard));
  const appear = { kind: 'any', to: 'seen that nobody sees now' } as const;
  return [
    ...holders.flatMap((shard) =>
      rulesFor(shard, pair, before, after).map((rule) => ({ ...place, shard, rule })),
    ),
    ...added.flatMap((shard) => {
      const isReference = after.placement.kind === 'reference';
      const rules = pair.isReturn && !isReference ? rulesFor(shard, pair, before, after) : [appear];
      return rules.map((rule) => ({ ...place, shard, rule }));
    }),
  ];
}

/** Where the table is named, else the default that it owes its place to. */
function pathOf({ path, named }: Pair): ConfigPath {
  return named ? path : [...path.slice(0, 2), 'default'];
}

/** A database that is taken over as it is: rows must be where keys look for them. */
function ofNewDatabase(
  pair: Pair,
): readonly { readonly shard: ShardId; readonly rule: HomeRule }[] {
  const { after } = pair;
  if (after?.placement.kind !== 'sharded') return [];
  return shardsOfTable(after).flatMap((shard) =>
    rulesOfStrategy(shard, pair, after).map((rule) => ({ shard, rule })),
  );
}

function isSamePlacement(before: Placement, after: Placement): boolean {
  if (before.kind === 'unsharded') {
    return after.kind === 'unsharded' && before.shard === after.shard;
  }
  if (before.kind === 'reference') {
    return (
      after.kind === 'reference' && after.shards.every((shard) => before.shards.includes(shard))
    );
  }
  return (
    after.kind === 'sharded' &&
    before.strategy === after.strategy &&
    before.keyColumns.join().toLowerCase() === after.keyColumns.join().toLowerCase()
  );
}

function rulesFor(shard: ShardId, pair: Pair, before: Table, after: Table): readonly HomeRule[] {
  const { placement } = after;
  const wasReference = before.placement.kind === 'reference';
  switch (placement.kind) {
    case 'unsharded': {
      const to = placement.shard;
      const hasCopy = wasReference && shardsOfTable(before).includes(to);
      return shard === to || hasCopy ? [] : [{ kind: 'any', to: `on ${to}` }];
    }
    case 'reference': {
      const isWhole = placement.shards.length === 1 && placement.shards[0] === shard;
      return isWhole ? [] : [{ kind: 'any', to: `copied to ${placement.shards.join(', ')}` }];
    }
    case 'sharded':
      if (wasReference) return [{ kind: 'any', to: 'doubled: every shard has a copy' }];
      return rulesOfStrategy(shard, pair, after);
  }
}

function rulesOfStrategy(shard: ShardId, pair: Pair, after: Table): readonly HomeRule[] {
  if (after.placement.kind !== 'sharded') return [];
  const { strategy, keyColumns, keyTypes } = after.placement;
  const [column, keyType] = [keyColumns[0], keyTypes[0]];
  const config = pair.strategies[1][strategy.name];
  if (column === undefined || config === undefined) throw new Error('a table without a key');
  // Nothing is routed by such a key, and the config is refused for that.
  if (keyType === undefined) return [{ kind: 'any', to: 'without a key' }];
  switch (config.type) {
    case 'hash':
      if (!(strategy instanceof HashRing)) throw new Error(`${strategy.name} is no ring`);
      return [{ kind: 'hash', column, keyType, ring: strategy }];
    case 'range':
      return [{ kind: 'range', column, keyType, ranges: config.ranges }];
    case 'directory': {
      const before = directoryBefore(pair, column);
      if (before !== undefined && config.shards.includes(shard)) {
        const keys = changedPins(before, config).filter(({ to }) => to !== shard);
        return keys.length === 0 ? [] : [{ kind: 'keys', column, keyType, keys }];
      }
      const pinned = Object.keys(config.pins).filter((key) => config.pins[key] === shard);
      return [{ kind: 'other-keys', column, keyType, keys: pinned }];
    }
  }
}

type Directory = Extract<StrategyConfig, { type: 'directory' }>;

/** The directory that the table was on already, by the same key: its recorded entries stay as they are. */
function directoryBefore({ before, after, strategies }: Pair, column: string) {
  if (before?.placement.kind !== 'sharded' || after?.placement.kind !== 'sharded') return undefined;
  const isSame =
    before.placement.strategy.name === after.placement.strategy.name &&
    before.placement.keyColumns[0]?.toLowerCase() === column.toLowerCase();
  const config = isSame ? strategies[0][before.placement.strategy.name] : undefined;
  return config?.type === 'directory' ? config : undefined;
}

function changedPins(before: Directory, after: Directory) {
  const texts = new Set([...Object.keys(before.pins), ...Object.keys(after.pins)]);
  return [...texts]
    .filter((text) => before.pins[text] !== after.pins[text])
    .map((text) => ({ text, to: after.pins[text] ?? 'any shard, the next time it is written' }));
}

/** Tables begin empty on a shard that is added to their strategy, and they have to exist for that. */
function missingOf({ before, after }: Pair): readonly MissingTable[] {
  if (before === undefined || after === undefined || before.schema === undefined) return [];
  if (before.schema.isView) return [];
  const holders = shardsOfTable(before);
  const [from] = holders;
  if (from === undefined) return [];
  return shardsOfTable(after)
    .filter((shard) => !holders.includes(shard))
    .map((to) => ({ database: before.database, table: before.name, from, to }));
}
