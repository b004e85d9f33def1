import type { ShardId } from '../topology/strategy.ts';
import type { ControlPlane } from './decisions.ts';

/** On one shard: connection `waiter` waits for a lock of connection `blocker`, by the server's ids. */
export interface LockWait {
  readonly waiter: number;
  readonly blocker: number;
}

/** Needs the PROCESS privilege. */
const ON_MARIADB =
  'SELECT r.trx_mysql_thread_id AS waiter, b.trx_mysql_thread_id AS blocker ' +
  'FROM information_schema.INNODB_LOCK_WAITS w ' +
  'JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id ' +
  'JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id';

/**
 * Needs PROCESS and SELECT on performance_schema. By transaction ids: the thread ids of that table
 * are of whoever created the lock, which for an implicit lock may be the one who waits.
 */
const ON_MYSQL =
  'SELECT r.trx_mysql_thread_id AS waiter, b.trx_mysql_thread_id AS blocker ' +
  'FROM performance_schema.data_lock_waits w ' +
  'JOIN information_schema.INNODB_TRX r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID ' +
  'JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID';

/** Reads the lock waits of shards from their servers' own tables. */
export class LockWaitReader {
  readonly #control: ControlPlane;
  readonly #queries = new Map<ShardId, string>();

  constructor(control: ControlPlane) {
    this.#control = control;
  }

  /** Throws the shard's error, 1227 or 1142 where a privilege is missing. */
  async read(shard: ShardId): Promise<readonly LockWait[]> {
    const { rows } = await this.#control.query(shard, await this.#queryFor(shard));
    return rows
      .map((row) => ({ waiter: Number(row.waiter), blocker: Number(row.blocker) }))
      .filter(({ waiter, blocker }) => waiter > 0 && blocker > 0);
  }

  async #queryFor(shard: ShardId): Promise<string> {
    const known = this.#queries.get(shard);
    if (known !== undefined) return known;
    const { rows } = await this.#control.query(shard, 'SELECT VERSION() AS version');
    const query = /mariadb/i.test(String(rows[0]?.version)) ? ON_MARIADB : ON_MYSQL;
    this.#queries.set(shard, query);
    return query;
  }
}
