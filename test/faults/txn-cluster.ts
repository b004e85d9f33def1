import { randomBytes } from 'node:crypto';
import { ControlConnections } from '../../src/backend/control-connection.ts';
import type { Lease } from '../../src/backend/lease.ts';
import { ensureMetadataSchema } from '../../src/backend/metadata-schema.ts';
import { runCommand } from '../../src/backend/run-command.ts';
import { internState } from '../../src/backend/session-states.ts';
import { queryCommand } from '../../src/backend/shard-connection.ts';
import { ShardPools } from '../../src/backend/shard-pools.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { parseConfigValue, type ShardConfig } from '../../src/topology/config-schema.ts';
import { type ShardId, shardIds } from '../../src/topology/strategy.ts';
import { type LeftBranches, XaCoordinator } from '../../src/txn/commit-coordinator.ts';
import type { CommitLimits } from '../../src/txn/commit-limits.ts';
import type { CommitStepHook } from '../../src/txn/commit-steps.ts';
import { findPrepared } from '../../src/txn/prepared-scan.ts';
import { RECOVERY_LIMITS, Recovery } from '../../src/txn/recovery.ts';
import { Transaction, type TransactionOptions } from '../../src/txn/transaction.ts';
import { GtridSource } from '../../src/txn/xid.ts';

export interface ClusterServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface ClusterOptions {
  readonly servers: readonly ClusterServer[];
  readonly deployment: string;
  /** A database of the test's own, on every shard. */
  readonly database: string;
}

/** A name that no other test has: recovery leaves other deployments' branches alone. */
export function freshDeployment(): string {
  return `t${randomBytes(6).toString('hex')}`;
}

/** Everything a proxy has for transactions, over real servers, without the proxy. Shards are s1, s2, … */
export class TransactionCluster {
  readonly shards: readonly ShardId[];
  readonly control: ControlConnections;
  readonly options: ClusterOptions;
  readonly left: LeftBranches[] = [];
  readonly #pools: ShardPools;

  constructor(options: ClusterOptions) {
    this.options = options;
    const names = options.servers.map((_, index) => `s${index + 1}`);
    this.shards = shardIds(names);
    const config = parseConfigValue({
      listen: '127.0.0.1:1',
      users: { app: { password: 'x' } },
      shards: Object.fromEntries(
        options.servers.map(({ host, port, user, password }, index) => [
          names[index],
          { host, port, user, password },
        ]),
      ),
      databases: { [options.database]: { default: 's1' } },
    });
    if (!('config' in config)) throw new Error(JSON.stringify(config));
    const shards = new Map<ShardId, ShardConfig>();
    for (const shard of this.shards) {
      const found = config.config.shards[shard];
      if (found !== undefined) shards.set(shard, found);
    }
    this.control = new ControlConnections({ shards, connectTimeoutMs: 2_000 });
    this.#pools = new ShardPools(
      {
        generation: 1,
        config: config.config,
        shards,
        metadataShard: this.shards[0] ?? ('' as ShardId),
        databases: new Map(),
      },
      { clock: systemClock },
    );
  }

  /** Creates `accounts` with the ids 1 to 3 on every shard, all of them with a balance of 0. */
  async setUp(): Promise<void> {
    await ensureMetadataSchema(this.control, this.shards);
    const { database } = this.options;
    for (const shard of this.shards) {
      await this.control.query(shard, `DROP DATABASE IF EXISTS ${database}`);
      await this.control.query(shard, `CREATE DATABASE ${database}`);
      await this.control.query(
        shard,
        `CREATE TABLE ${database}.accounts (id INT PRIMARY KEY, balance INT NOT NULL) ENGINE=InnoDB`,
      );
      await this.control.query(
        shard,
        `INSERT INTO ${database}.accounts VALUES (1, 0), (2, 0), (3, 0)`,
      );
    }
  }

  coordinator(
    options: { readonly atStep?: CommitStepHook; readonly limits?: CommitLimits } = {},
  ): XaCoordinator {
    return new XaCoordinator({
      gtrids: new GtridSource(this.options.deployment),
      control: this.control,
      clock: systemClock,
      logger: silentLogger,
      onLeft: (left) => this.left.push(left),
      ...options,
    });
  }

  begin(coordinator: XaCoordinator, options: TransactionOptions = {}): Transaction {
    const state = internState({
      database: this.options.database,
      variables: new Map(),
      foundRows: false,
    });
    return new Transaction(
      coordinator,
      this.#pools.leasesFor(() => state),
      options,
    );
  }

  recovery(): Recovery {
    return new Recovery({
      control: this.control,
      shards: () => this.shards,
      deployment: this.options.deployment,
      clock: systemClock,
      logger: silentLogger,
      limits: { ...RECOVERY_LIMITS, intervalMs: 100, courtesyMs: 200 },
    });
  }

  /** The balance of account `id` on each shard. */
  async balances(id = 1): Promise<readonly number[]> {
    const sql = `SELECT balance FROM ${this.options.database}.accounts WHERE id = ?`;
    const replies = await Promise.all(this.shards.map((s) => this.control.query(s, sql, [id])));
    return replies.map(({ rows }) => Number(rows[0]?.balance));
  }

  /** Branches of this deployment that are prepared on a shard. */
  async preparedCount(): Promise<number> {
    const found = await findPrepared(this.control, this.shards, this.options.deployment);
    if (found.failures.size > 0) return Number.NaN;
    return [...found.transactions.values()].flat().length;
  }

  /** Lets recovery run until nothing is prepared and no row is locked, at most 10 seconds. */
  async recoverUntilClean(): Promise<void> {
    const recovery = this.recovery();
    recovery.start();
    try {
      await eventually(async () => (await this.preparedCount()) === 0);
      for (const shard of this.shards) {
        // Waits for the lock of a transaction whose connection is just going away.
        await this.control.query(
          shard,
          `UPDATE ${this.options.database}.accounts SET balance = balance WHERE id = 1`,
        );
      }
    } finally {
      await recovery.stop();
    }
  }

  async close(): Promise<void> {
    this.#pools.stop();
    await this.control.close();
  }
}

/** Runs a statement as the executor does. */
export async function runOn(transaction: Transaction, shard: ShardId, sql: string): Promise<void> {
  const lease: Lease = transaction.tryLease(shard) ?? (await transaction.lease(shard));
  try {
    await runCommand(lease, queryCommand(sql));
  } finally {
    lease.release();
  }
}

/** Waits for a condition, looking often, at most `withinMs`. */
export async function eventually(holds: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`did not come about within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
