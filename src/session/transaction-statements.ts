import type { ShardLeases } from '../backend/lease.ts';
import type { HotCounters } from '../observability/metrics.ts';
import { unreachable } from '../runtime/assert.ts';
import type { TransactionStatement } from '../sql/statement.ts';
import type { Transaction, TransactionOptions } from '../txn/transaction.ts';
import type { SessionData } from './session-state.ts';

export interface TransactionServices {
  /** The transaction takes its connections from `pools`. */
  readonly openTransaction: (pools: ShardLeases, options: TransactionOptions) => Transaction;
  readonly counters: HotCounters;
}

/** What a transaction statement does to the session beside its transaction. */
export interface TransactionEffect {
  /** COMMIT RELEASE: the client is disconnected. */
  readonly release: boolean;
}

const NO_EFFECT: TransactionEffect = { release: false };

/**
 * The transaction of one session as its client sees it: begun by BEGIN, or by any statement while
 * autocommit is off, and ended by COMMIT, ROLLBACK, a schema change, or a deadlock.
 */
export class SessionTransactions {
  readonly #services: TransactionServices;
  readonly #data: SessionData;
  readonly #pools: ShardLeases;
  #current: Transaction | undefined;
  #options: TransactionOptions = {};

  constructor(services: TransactionServices, data: SessionData, pools: ShardLeases) {
    this.#services = services;
    this.#data = data;
    this.#pools = pools;
  }

  get isOpen(): boolean {
    return this.#current !== undefined;
  }

  get current(): Transaction | undefined {
    return this.#current;
  }

  /** Shards hold connections of it: what they look like cannot be changed any more. */
  get hasShards(): boolean {
    return this.#current !== undefined && this.#current.shards.length > 0;
  }

  /**
   * The transaction that the next statement belongs to; undefined in autocommit. While autocommit is
   * off a statement begins one.
   */
  forStatement(): Transaction | undefined {
    if (this.#current === undefined && !this.#data.autocommit) this.#open({});
    return this.#current;
  }

  /** A transaction for one statement that must be all or nothing; the session does not see it. */
  forOneStatement(): Transaction {
    return this.#services.openTransaction(this.#pools, this.#takeNext({}));
  }

  /** SET TRANSACTION said something about the next transaction, which in autocommit is a statement. */
  get mustWrapStatement(): boolean {
    return this.#data.nextTransaction !== undefined;
  }

  async run(statement: TransactionStatement): Promise<TransactionEffect> {
    switch (statement.kind) {
      case 'begin': {
        await this.commit();
        const { readOnly, consistentSnapshot } = statement;
        this.#open({ readOnly });
        if (consistentSnapshot) await this.#openSnapshot();
        return NO_EFFECT;
      }
      case 'commit':
        return this.#end(() => this.commit(), statement);
      case 'rollback':
        return this.#end(() => this.rollback(), statement);
      case 'savepoint':
        // Outside of a transaction MySQL takes it and forgets it with the statement.
        await this.forStatement()?.savepoint(statement.name);
        return NO_EFFECT;
      case 'rollback-to':
        await this.#withSavepoint((open) => open.rollbackTo(statement.name));
        return NO_EFFECT;
      case 'release-savepoint':
        await this.#withSavepoint((open) => open.releaseSavepoint(statement.name));
        return NO_EFFECT;
      default:
        return unreachable(statement);
    }
  }

  /** Commits what is open; also what schema changes do first. */
  async commit(): Promise<void> {
    const open = this.#forget();
    if (open === undefined) return;
    await open.commit();
    this.#services.counters.transactionsCommitted++;
  }

  async rollback(): Promise<void> {
    const open = this.#forget();
    if (open === undefined) return;
    await open.rollback();
    this.#services.counters.transactionsRolledBack++;
  }

  /** The client is gone or begins anew. */
  async abandon(): Promise<void> {
    this.#data.nextTransaction = undefined;
    await this.rollback();
  }

  /** A statement failed: waits until it is known whether the transaction still is. */
  async afterError(): Promise<void> {
    await this.#current?.afterError();
    if (this.#current?.isOver === true) this.#forget();
  }

  #open(options: TransactionOptions): void {
    this.#options = this.#takeNext(options);
    this.#current = this.#services.openTransaction(this.#pools, this.#options);
    this.#data.setInTransaction(true);
  }

  async #openSnapshot(): Promise<void> {
    try {
      await this.#current?.openSnapshot();
    } catch (error) {
      await this.rollback();
      throw error;
    }
  }

  #takeNext(options: TransactionOptions): TransactionOptions {
    const next = this.#data.nextTransaction;
    this.#data.nextTransaction = undefined;
    return {
      ...options,
      isolation: next?.isolation,
      readOnly: options.readOnly ?? next?.readOnly,
    };
  }

  #forget(): Transaction | undefined {
    const open = this.#current;
    this.#current = undefined;
    this.#data.setInTransaction(false);
    return open;
  }

  async #end(
    end: () => Promise<void>,
    statement: { readonly chain?: boolean; readonly release?: boolean },
  ): Promise<TransactionEffect> {
    const options = this.#options;
    await end();
    if (statement.chain === true) {
      this.#options = options;
      this.#current = this.#services.openTransaction(this.#pools, options);
      this.#data.setInTransaction(true);
    }
    return { release: statement.release === true };
  }

  async #withSavepoint(action: (open: Transaction) => Promise<void>): Promise<void> {
    const open = this.forStatement() ?? this.#services.openTransaction(this.#pools, {});
    // A transaction that was just opened knows no savepoint: it says 1305 as a server does.
    await action(open);
  }
}
