import type { ShardId } from '../topology/strategy.ts';
import {
  type ControlConnections,
  type ControlSession,
  isUnreachable,
} from './control-connection.ts';

/** Every step brings every shard from one version to the next; steps are only ever added. */
const STEPS: readonly (readonly string[])[] = [
  [
    // On every shard: a cross-shard commit is decided where its first branch is.
    `CREATE TABLE IF NOT EXISTS shardgate.decisions (
      gtrid VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
      decision ENUM('commit', 'abort') NOT NULL,
      participants TEXT CHARACTER SET utf8mb4 NOT NULL,
      created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
      KEY created_at (created_at)
    ) ENGINE = InnoDB`,
    // The others are used on the metadata shard. They exist everywhere, so that any shard can become it.
    `CREATE TABLE IF NOT EXISTS shardgate.sequences (
      database_name VARCHAR(64) NOT NULL,
      table_name VARCHAR(64) NOT NULL,
      column_name VARCHAR(64) NOT NULL,
      next_id BIGINT UNSIGNED NOT NULL,
      PRIMARY KEY (database_name, table_name, column_name)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    `CREATE TABLE IF NOT EXISTS shardgate.directory_entries (
      database_name VARCHAR(64) NOT NULL,
      strategy_name VARCHAR(64) NOT NULL,
      key_value VARBINARY(2048) NOT NULL,
      shard VARCHAR(64) NOT NULL,
      created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
      PRIMARY KEY (database_name, strategy_name, key_value),
      KEY shard (database_name, strategy_name, shard)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    `CREATE TABLE IF NOT EXISTS shardgate.topology_versions (
      version BIGINT UNSIGNED NOT NULL PRIMARY KEY,
      config MEDIUMTEXT NOT NULL,
      author VARCHAR(255) NOT NULL,
      difference MEDIUMTEXT NOT NULL,
      created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  ],
  [
    `CREATE TABLE IF NOT EXISTS shardgate.deployment (
      only_row TINYINT NOT NULL PRIMARY KEY,
      id VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
    ) ENGINE = InnoDB`,
  ],
  [
    // Nothing was ever recorded in the old one.
    'DROP TABLE IF EXISTS shardgate.topology_versions',
    `CREATE TABLE IF NOT EXISTS shardgate.config_versions (
      cluster VARCHAR(64) NOT NULL,
      version BIGINT UNSIGNED NOT NULL,
      config MEDIUMTEXT NOT NULL,
      author VARCHAR(255) NOT NULL,
      difference MEDIUMTEXT NOT NULL,
      created_at DATETIME NOT NULL,
      PRIMARY KEY (cluster, version)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    `CREATE TABLE IF NOT EXISTS shardgate.shard_identities (
      cluster VARCHAR(64) NOT NULL,
      shard VARCHAR(64) NOT NULL,
      id VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      PRIMARY KEY (cluster, shard)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  ],
  [
    // What deadlocks over several shards are found by, on the metadata shard.
    `CREATE TABLE IF NOT EXISTS shardgate.waiting_branches (
      gtrid VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
      shard VARCHAR(64) NOT NULL,
      thread_id BIGINT UNSIGNED NOT NULL,
      begun_ms BIGINT UNSIGNED NOT NULL,
      waits TINYINT NOT NULL,
      seen_at DATETIME(3) NOT NULL,
      PRIMARY KEY (gtrid, shard)
    ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    // On every shard: a commit shares its row while it is decided there, a snapshot has it alone.
    `CREATE TABLE IF NOT EXISTS shardgate.commit_gate (
      only_row TINYINT NOT NULL PRIMARY KEY
    ) ENGINE = InnoDB`,
    'INSERT IGNORE INTO shardgate.commit_gate VALUES (1)',
  ],
];

const LOCK_NAME = 'shardgate.schema';
const LOCK_WAIT_SECONDS = 20;

/**
 * Creates or completes the `shardgate` database on every shard. Proxies that start at once wait for each other.
 * Returns the shards that do not answer: call again for them before they are written to.
 */
export async function ensureMetadataSchema(
  control: ControlConnections,
  shards: readonly ShardId[],
): Promise<readonly ShardId[]> {
  const unreachable: ShardId[] = [];
  await Promise.all(
    shards.map(async (shard) => {
      try {
        await control.session(shard, async (session) => {
          if ((await versionOn(session)) < STEPS.length) await upgrade(session, shard);
        });
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        unreachable.push(shard);
      }
    }),
  );
  return unreachable;
}

async function versionOn(session: ControlSession): Promise<number> {
  const { rows } = await session.query(
    "SELECT 1 FROM information_schema.tables WHERE table_schema = 'shardgate' AND table_name = 'schema_version'",
  );
  if (rows.length === 0) return 0;
  const version = await session.query(
    'SELECT MAX(version) AS version FROM shardgate.schema_version',
  );
  return Number(version.rows[0]?.version ?? 0);
}

async function upgrade(session: ControlSession, shard: ShardId): Promise<void> {
  const lock = await session.query('SELECT GET_LOCK(?, ?) AS taken', [
    LOCK_NAME,
    LOCK_WAIT_SECONDS,
  ]);
  if (Number(lock.rows[0]?.taken) !== 1) {
    throw new Error(`shard ${shard}: another proxy has been setting up its metadata for too long`);
  }
  await session.query(
    'CREATE DATABASE IF NOT EXISTS shardgate CHARACTER SET utf8mb4 COLLATE utf8mb4_bin',
  );
  await session.query(
    'CREATE TABLE IF NOT EXISTS shardgate.schema_version (version INT NOT NULL PRIMARY KEY) ENGINE = InnoDB',
  );
  for (let version = await versionOn(session); version < STEPS.length; version++) {
    for (const statement of STEPS[version] ?? []) await session.query(statement);
    await session.query('INSERT INTO shardgate.schema_version (version) VALUES (?)', [version + 1]);
  }
  await session.query('DO RELEASE_LOCK(?)', [LOCK_NAME]);
}
