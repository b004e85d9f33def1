import type { ShardPools, ShardStats } from '../backend/shard-pools.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { LocalColumn, LocalRows } from '../session/local-rows.ts';
import type { ShowCommands, ShowQuestion } from '../session/session-services.ts';
import { type Table, type Topology, tableOf } from '../topology/topology.ts';
import type { InDoubtTransaction, Recovery } from '../txn/recovery.ts';
import { type ConfigSource, configRows, versionRows } from './config-commands.ts';

export interface ShowSources {
  readonly pools: Pick<ShardPools, 'stats'>;
  readonly recovery: Pick<Recovery, 'inDoubt'>;
  readonly config: ConfigSource;
}

/** SHOW statements about Shardgate itself. */
export function showCommands({ pools, recovery, config }: ShowSources): ShowCommands {
  return {
    show(question, topology) {
      switch (question.what) {
        case 'SHARDS':
          return shardRows(pools.stats(), topology);
        case 'SHARD MAP':
          return mapRows(question, topology);
        case 'TRANSACTIONS IN DOUBT':
          return inDoubtRows(recovery.inDoubt());
        case 'CONFIG':
          return configRows(config.status());
        case 'CONFIG VERSIONS':
          return config.versions().then(versionRows);
        default:
          return undefined;
      }
    },
  };
}

function shardRows(shards: readonly ShardStats[], topology: Topology): LocalRows {
  return {
    columns: [
      textColumn('shard', 64),
      textColumn('host', 255),
      integerColumn('port'),
      textColumn('state', 8),
      textColumn('metadata', 3),
      textColumn('version', 64),
      integerColumn('connections'),
      integerColumn('idle'),
      integerColumn('waiting'),
      textColumn('last_error', 512),
    ],
    rows: shards.map((stats) => [
      stats.shard,
      stats.host,
      String(stats.port),
      stats.up === undefined ? 'unknown' : stats.up ? 'up' : 'down',
      stats.shard === topology.metadataShard ? 'yes' : 'no',
      // MariaDB's greeting begins so for the sake of old replicas.
      stats.serverVersion?.replace(/^5\.5\.5-/, ''),
      String(stats.connected),
      String(stats.idle),
      String(stats.waiting),
      stats.lastError,
    ]),
  };
}

function mapRows({ table }: ShowQuestion, topology: Topology): LocalRows {
  const tables = table === undefined ? allTables(topology) : [namedTable(table, topology)];
  return {
    columns: [
      textColumn('database', 64),
      textColumn('table', 64),
      textColumn('placement', 16),
      textColumn('key', 64),
      textColumn('strategy', 64),
      textColumn('shards', 1024),
    ],
    rows: tables.map((table) => [table.database, table.name, ...placementFields(table)]),
  };
}

function allTables(topology: Topology): readonly Table[] {
  return [...topology.databases.values()].flatMap((database) => [...database.tables.values()]);
}

function namedTable(named: NonNullable<ShowQuestion['table']>, topology: Topology): Table {
  const database = topology.databases.get(named.database);
  if (database === undefined) {
    throw new ProxyError('ER_BAD_DB_ERROR', `Unknown database '${named.database}'`);
  }
  return tableOf(database, named.name);
}

function placementFields({ placement }: Table): readonly (string | undefined)[] {
  switch (placement.kind) {
    case 'sharded': {
      const { strategy, keyColumns } = placement;
      const name = `${strategy.name} (${strategy.kind})`;
      return ['sharded', keyColumns.join(', '), name, strategy.shards.join(', ')];
    }
    case 'reference':
      return ['reference', undefined, undefined, placement.shards.join(', ')];
    case 'unsharded':
      return ['unsharded', undefined, undefined, placement.shard];
  }
}

function inDoubtRows(transactions: readonly InDoubtTransaction[]): LocalRows {
  return {
    columns: [
      textColumn('transaction', 128),
      textColumn('decided_on', 64),
      textColumn('prepared_on', 1024),
      integerColumn('seconds'),
      textColumn('waits_for', 512),
    ],
    rows: transactions.map((one) => [
      one.gtrid,
      one.decisionShard,
      one.preparedOn.join(', '),
      String(Math.floor(one.seenForMs / 1000)),
      one.waitsFor,
    ]),
  };
}

function textColumn(name: string, charactersMax: number): LocalColumn {
  return { type: 'text', name, charactersMax };
}

function integerColumn(name: string): LocalColumn {
  return { type: 'integer', name, bits: 64 };
}
