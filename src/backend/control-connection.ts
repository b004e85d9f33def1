import { readFileSync } from 'node:fs';
import { connect, isIP } from 'node:net';
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2/promise';
import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ShardConfig } from '../topology/config-schema.ts';
import type { ShardId } from '../topology/strategy.ts';

/** Integers beyond 2^53, decimals and all dates and times are strings; binary columns are Buffers. */
export type ControlRow = Readonly<Record<string, unknown>>;

export interface ControlReply {
  /** Empty for statements without rows. */
  readonly rows: readonly ControlRow[];
  readonly affectedRows: number;
  readonly insertId: bigint;
}

/** One connection for several statements in a row. */
export interface ControlSession {
  query(sql: string, params?: readonly unknown[]): Promise<ControlReply>;
}

export interface ControlOptions {
  readonly shards: ReadonlyMap<ShardId, ShardConfig>;
  readonly connectTimeoutMs: number;
  /** Of each statement; its connection is closed when the time is up. */
  readonly queryTimeoutMs?: number;
  /** Of each shard, apart from the connections that clients' statements use. */
  readonly connectionsMax?: number;
  readonly waitersMax?: number;
}

const QUERY_TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 4;
const WAITERS_MAX = 1_000;
const IDLE_TIMEOUT_MS = 60_000;

/** A state that does not depend on how the server is configured. */
const SESSION_SETUP =
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, " +
  "time_zone = '+00:00', character_set_results = 'utf8mb4'";

/**
 * The control plane's connections to the shards: metadata, schemas, look-ups, recovery. The one door of mysql2.
 * What a shard answers with ERR is thrown as `ShardError`; a shard that does not answer as
 * ER_CONNECT_TO_FOREIGN_DATA_SOURCE that names it.
 */
export class ControlConnections {
  readonly #options: ControlOptions;
  readonly #pools = new Map<ShardId, { readonly config: ShardConfig; readonly pool: Pool }>();
  #shards: ReadonlyMap<ShardId, ShardConfig>;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#shards = options.shards;
  }

  async query(shard: ShardId, sql: string, params?: readonly unknown[]): Promise<ControlReply> {
    return this.session(shard, (session) => session.query(sql, params));
  }

  /** Keeps one connection for the time of `work`. It is closed instead of reused when work throws. */
  async session<Result>(
    shard: ShardId,
    work: (session: ControlSession) => Promise<Result>,
  ): Promise<Result> {
    const connection = await this.#connect(shard);
    try {
      const result = await work({
        query: (sql, params) => this.#ask(shard, connection, { sql, params: params ?? [] }),
      });
      connection.release();
      return result;
    } catch (error) {
      // The session may be within a transaction, hold a lock, or wait for an answer still.
      connection.destroy();
      throw error;
    }
  }

  /** Runs `work` in a transaction that commits when it returns and is rolled back when it throws. */
  async transaction<Result>(
    shard: ShardId,
    work: (session: ControlSession) => Promise<Result>,
  ): Promise<Result> {
    return this.session(shard, async (session) => {
      await session.query('START TRANSACTION');
      const result = await work(session);
      await session.query('COMMIT');
      return result;
    });
  }

  /** Connections to shards that are gone or have another address are closed when their work is done. */
  async setShards(shards: ReadonlyMap<ShardId, ShardConfig>): Promise<void> {
    this.#shards = shards;
    const outdated = [...this.#pools].filter(([shard, { config }]) => {
      return JSON.stringify(shards.get(shard)) !== JSON.stringify(config);
    });
    for (const [shard] of outdated) this.#pools.delete(shard);
    await Promise.all(outdated.map(([, { pool }]) => pool.end()));
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    this.#shards = new Map();
    await Promise.all(pools.map(({ pool }) => pool.end()));
  }

  async #connect(shard: ShardId): Promise<PoolConnection> {
    try {
      return await this.#poolOf(shard).getConnection();
    } catch (error) {
      throw this.#errorOf(shard, error);
    }
  }

  #poolOf(shard: ShardId): Pool {
    const known = this.#pools.get(shard);
    if (known !== undefined) return known.pool;
    const config = this.#shards.get(shard);
    if (config === undefined) {
      throw new ProxyError('ER_CONNECT_TO_FOREIGN_DATA_SOURCE', `There is no shard ${shard}`);
    }
    const pool = openPool(config, this.#options);
    this.#pools.set(shard, { config, pool });
    return pool;
  }

  async #ask(
    shard: ShardId,
    connection: PoolConnection,
    statement: { readonly sql: string; readonly params: readonly unknown[] },
  ): Promise<ControlReply> {
    try {
      const [result] = await connection.query({
        sql: statement.sql,
        values: [...statement.params],
        timeout: this.#options.queryTimeoutMs ?? QUERY_TIMEOUT_MS,
      });
      if (Array.isArray(result)) {
        // The driver's type covers every mode of its; objects are what this mode gives.
        return { rows: result as unknown as readonly ControlRow[], affectedRows: 0, insertId: 0n };
      }
      return { rows: [], affectedRows: result.affectedRows, insertId: BigInt(result.insertId) };
    } catch (error) {
      throw this.#errorOf(shard, error);
    }
  }

  #errorOf(shard: ShardId, error: unknown): Error {
    const { errno, sqlState, code, message } = error as DriverError;
    if (errno !== undefined && errno > 0 && sqlState !== undefined) {
      return new ShardError({ errno, sqlState, message: message ?? '', shard });
    }
    const config = this.#shards.get(shard);
    const place = config === undefined ? '' : ` (${config.host}:${config.port})`;
    const why = code ?? message ?? 'no answer';
    return new ProxyError(
      'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      `Shard ${shard}${place} cannot be reached: ${why}`,
      { cause: error, details: { shard } },
    );
  }
}

/** True for the error that a shard did not answer, as opposed to what it answered. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ProxyError && error.code === 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE';
}

interface DriverError {
  readonly errno?: number;
  readonly sqlState?: string;
  readonly code?: string;
  readonly message?: string;
}

function openPool(config: ShardConfig, options: ControlOptions): Pool {
  const pool = createPool({
    host: config.host,
    port: config.port,
    user: config.user,
    password: config.password,
    charset: 'utf8mb4_bin',
    connectTimeout: options.connectTimeoutMs,
    connectionLimit: options.connectionsMax ?? CONNECTIONS_MAX,
    maxIdle: 1,
    idleTimeout: IDLE_TIMEOUT_MS,
    queueLimit: options.waitersMax ?? WAITERS_MAX,
    supportBigNumbers: true,
    dateStrings: true,
    ...tlsOptions(config),
  });
  // Sent before the statement that the connection was opened for; if it fails, so does that.
  pool.pool.on('connection', (connection) => {
    connection.query(SESSION_SETUP, (error: unknown) => {
      if (error !== null) connection.destroy();
    });
  });
  return pool;
}

function tlsOptions(config: ShardConfig): Pick<PoolOptions, 'host' | 'ssl' | 'stream'> {
  if (config.tls === undefined) return {};
  const { ca, cert, key, verify, server_name: serverName } = config.tls;
  const ssl = {
    rejectUnauthorized: verify,
    // The driver cannot check the name of an address; the chain is checked all the same.
    verifyIdentity: verify && isIP(serverName ?? config.host) === 0,
    ...(ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }),
    ...(cert === undefined ? {} : { cert: readFileSync(cert, 'utf8') }),
    ...(key === undefined ? {} : { key: readFileSync(key, 'utf8') }),
  };
  if (serverName === undefined) return { ssl };
  // The driver expects the certificate of its host, so it is given the name for that, and a socket to go there.
  return { ssl, host: serverName, stream: () => connect(config.port, config.host) };
}
