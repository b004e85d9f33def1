import type { Directory } from '../../src/topology/routing-caches.ts';
import type {
  KeyBound,
  KeyType,
  RoutingKey,
  ShardId,
  Strategy,
} from '../../src/topology/strategy.ts';
import { shardIds } from '../../src/topology/strategy.ts';
import type { ColumnSchema, TableSchema } from '../../src/topology/table-schema.ts';
import type { Database, Placement, Table, Topology } from '../../src/topology/topology.ts';

/**
 * A topology whose placement can be told by looking: integer keys go to shard `key mod 4`, days
 * before 2026 to s1, before July 2026 to s2, later ones to s3, the tenant acme lives on s2 and
 * globex on s3.
 */

export const [s1, s2, s3, s4] = shardIds(['s1', 's2', 's3', 's4']) as [
  ShardId,
  ShardId,
  ShardId,
  ShardId,
];
const SHARDS = [s1, s2, s3, s4];

function modulo(name: string): Strategy {
  return {
    name,
    kind: 'hash',
    shards: SHARDS,
    shardOf: (key) => SHARDS[Number(BigInt(key ?? 0) & 3n)],
    shardsBetween: () => SHARDS,
    selfContained: true,
  };
}

const DAYS = ['2026-01-01', '2026-07-01'];
const byDay: Strategy = {
  name: 'by_day',
  kind: 'range',
  shards: [s1, s2, s3],
  shardOf: (key) => SHARDS[DAYS.filter((day) => String(key) >= day).length],
  shardsBetween(low: KeyBound, high: KeyBound) {
    const index = (key: RoutingKey): number =>
      DAYS.filter((day) => (key === null ? '' : String(key)) >= day).length;
    const from = low.key === undefined ? 0 : index(low.key);
    const to = high.key === undefined ? 2 : index(high.key);
    return [s1, s2, s3].slice(from, to + 1);
  },
  selfContained: true,
};

const TENANTS: Directory = new Map<RoutingKey, ShardId>([
  ['acme', s2],
  ['globex', s3],
]);
const byTenant: Strategy = {
  name: 'by_tenant',
  kind: 'directory',
  shards: [s2, s3],
  shardOf: (key) => TENANTS.get(key),
  shardsBetween: () => [s2, s3],
  selfContained: false,
};

const onlyOne: Strategy = { ...modulo('only_one'), shards: [s4], shardOf: () => s4 };

const BIGINT: KeyType = { kind: 'integer', unsigned: false, bytes: 8 };
const INT: KeyType = { kind: 'integer', unsigned: false, bytes: 4 };

/** `name type collation`, the collation only where it is not utf8mb4_general_ci; `name!` is NOT NULL. */
function column(text: string): ColumnSchema {
  const [word = '', dataType = '', collation] = text.split(' ');
  const name = word.replace('!', '');
  const isText = ['varchar', 'char', 'text', 'enum', 'set'].includes(dataType);
  return {
    name,
    dataType,
    columnType: dataType,
    nullable: !word.endsWith('!'),
    hasDefault: !word.endsWith('!'),
    generatedAlways: false,
    charset: isText ? 'utf8mb4' : undefined,
    collation: isText ? (collation ?? 'utf8mb4_general_ci') : undefined,
    keyType: undefined,
  };
}

function schema(columns: string, autoIncrementColumn?: string): TableSchema {
  return {
    columns: columns.split(', ').map(column),
    primaryKey: [],
    uniqueKeys: [],
    autoIncrementColumn,
    isView: false,
  };
}

function sharded(strategy: Strategy, key: string, type: KeyType | undefined): Placement {
  return { kind: 'sharded', strategy, keyColumns: [key], keyTypes: [type] };
}

function table(
  database: string,
  name: string,
  placement: Placement,
  rest: { readonly schema?: TableSchema; readonly generated?: readonly string[] },
): Table {
  return {
    database,
    name,
    placement,
    generated: new Set(rest.generated ?? []),
    schema: rest.schema,
  };
}

const byUser = modulo('by_user');
const byNumber = modulo('by_number');
const everywhere: Placement = { kind: 'reference', shards: SHARDS };

const SHOP: readonly Table[] = [
  table('shop', 'users', sharded(byUser, 'id', BIGINT), {
    schema: schema(
      'id bigint, name varchar, email varchar utf8mb4_0900_ai_ci, age int, status enum, bio json, created datetime',
      'id',
    ),
    generated: ['id'],
  }),
  table('shop', 'orders', sharded(byUser, 'user_id', INT), {
    schema: schema('id bigint, user_id int, total decimal, at datetime, note text', 'id'),
    generated: ['id'],
  }),
  table('shop', 'items', sharded(byUser, 'user_id', BIGINT), {
    schema: schema('order_id bigint, user_id bigint, sku varchar, qty int'),
  }),
  table('shop', 'logins', sharded(byUser, 'user_id', BIGINT), {
    schema: {
      ...schema('user_id bigint, email varchar'),
      columns: [
        ...schema('user_id bigint').columns,
        { ...column('secret int'), invisible: true },
        column('email varchar'),
      ],
      primaryKey: ['user_id', 'email'],
      uniqueKeys: [{ name: 'email', columns: ['email'] }],
    },
  }),
  table('shop', 'stock', sharded(byNumber, 'number', BIGINT), {
    schema: schema(
      'number bigint, sku varchar, amount int, weight float, rate double, price decimal',
    ),
  }),
  table('shop', 'counters', sharded(byUser, 'user_id', BIGINT), {
    schema: schema('id bigint, user_id! bigint, value int', 'id'),
  }),
  table('shop', 'events', sharded(byDay, 'at', { kind: 'datetime', fraction: 0 }), {
    schema: schema('id bigint, at datetime, kind varchar'),
  }),
  table(
    'shop',
    'notes',
    sharded(byTenant, 'tenant', {
      kind: 'text',
      charset: 'utf8mb4',
      collation: 'utf8mb4_bin',
      charsMax: 40,
    }),
    {
      schema: schema('tenant varchar utf8mb4_bin, title varchar utf8mb4_uca1400_as_cs, body text'),
    },
  ),
  table(
    'shop',
    'names',
    sharded(modulo('by_name'), 'name', {
      kind: 'text',
      charset: 'utf8mb4',
      collation: 'utf8mb4_general_ci',
    }),
    { schema: schema('name varchar, age int') },
  ),
  table(
    'shop',
    'adults',
    { kind: 'unsharded', shard: s1 },
    { schema: { ...schema('id bigint'), isView: true } },
  ),
  table('shop', 'solo', sharded(onlyOne, 'id', BIGINT), { schema: schema('id bigint, x int') }),
  table('shop', 'future', sharded(byUser, 'id', undefined), {}),
  table('shop', 'countries', everywhere, { schema: schema('code varchar, name varchar') }),
  table('shop', 'tags', everywhere, { schema: schema('id int, tag varchar', 'id') }),
  table(
    'shop',
    'settings',
    { kind: 'unsharded', shard: s1 },
    {
      schema: schema('name varchar, value text'),
    },
  ),
  table(
    'shop',
    'logs',
    { kind: 'unsharded', shard: s2 },
    { schema: schema('at datetime, line text') },
  ),
];

const BLOG: readonly Table[] = [
  table(
    'blog',
    'posts',
    { kind: 'unsharded', shard: s3 },
    {
      schema: schema('id int, title varchar', 'id'),
    },
  ),
];

function database(name: string, shards: readonly ShardId[], tables: readonly Table[]): Database {
  const strategies = new Map<string, Strategy>();
  for (const { placement } of tables) {
    if (placement.kind === 'sharded') strategies.set(placement.strategy.name, placement.strategy);
  }
  return {
    name,
    defaultShard: shards[0] as ShardId,
    shards,
    strategies,
    tables: new Map(tables.map((one) => [one.name, one])),
  };
}

export const planTopology: Topology = {
  generation: 1,
  // The planner never reads the config: what it needs is in the other fields.
  config: {} as Topology['config'],
  shards: new Map(SHARDS.map((shard) => [shard, {} as never])),
  metadataShard: s1,
  databases: new Map([
    ['shop', database('shop', SHARDS, SHOP)],
    ['blog', database('blog', [s3], BLOG)],
  ]),
};
