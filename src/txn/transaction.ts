import type { Lease, ReplyEnd, ShardLeases } from '../backend/lease.ts';
import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { ShardId } from '../topology/strategy.ts';
import { Branch } from './branch.ts';
import type { XaCoordinator } from './commit-coordinator.ts';
import type { HeldBranch, LockHolder } from './deadlocks.ts';
import { PinnedLease } from './pinned-lease.ts';
import { type Savepoint, Savepoints } from './savepoints.ts';
import type { Gtrid } from './xid.ts';

export type IsolationLevel =
  | 'READ UNCOMMITTED'
  | 'READ COMMITTED'
  | 'REPEATABLE READ'
  | 'SERIALIZABLE';

/** How the transaction was begun. What is undefined is left to each shard's session. */
export interface TransactionOptions {
  readonly isolation?: IsolationLevel | undefined;
  readonly readOnly?: boolean | undefined;
}

type Phase =
  | { readonly kind: 'open' }
  /** Rolled back to end a deadlock over several shards; the client hears it next and is out of it then. */
  | { readonly kind: 'condemned'; readonly cause: ProxyError }
  /** Rolled back on every shard by a failure; the client has to end it. */
  | { readonly kind: 'failed'; readonly cause: Error }
  /** Ended by COMMIT, ROLLBACK or, as MySQL does, by a deadlock; `cause` when it had been condemned. */
  | { readonly kind: 'over'; readonly cause?: ProxyError };

const ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION = 1792;
const SERVER_STATUS_IN_TRANS = 0x0001;
const STATEMENT_SAVEPOINT = 'shardgate_statement';

/**
 * The leases of a session from BEGIN to COMMIT: one a shard, its branch opened with the first
 * statement there. The first shard touched runs a plain transaction and becomes the decision shard;
 * all others run XA branches named after it.
 */
export class Transaction implements ShardLeases, LockHolder {
  readonly inTransaction = true;
  readonly #coordinator: XaCoordinator;
  readonly #pools: ShardLeases;
  readonly #options: TransactionOptions;
  readonly #branches = new Map<ShardId, PinnedLease>();
  readonly #opening = new Map<ShardId, Promise<PinnedLease>>();
  readonly #savepoints = new Savepoints();
  #first: { readonly shard: ShardId; readonly gtrid: Gtrid } | undefined;
  #phase: Phase = { kind: 'open' };
  /** Branches with an error whose consequence is not known yet. */
  readonly #doubted = new Set<Branch>();
  /** Branches the running statement has a savepoint on; undefined when it needs none. */
  #statement: Set<Branch> | undefined;
  /** What has to be waited for before the next statement: probes after errors, the rollback of a failure. */
  #pending: Promise<void> | undefined;
  /** Which of several is younger: the wall clock, since proxies compare theirs. */
  readonly begunAtMs: number;

  constructor(coordinator: XaCoordinator, pools: ShardLeases, options: TransactionOptions = {}) {
    this.#coordinator = coordinator;
    this.#pools = pools;
    this.#options = options;
    this.begunAtMs = coordinator.clock.now();
  }

  /** The name in logs, errors and SHOW; undefined until a shard was touched. */
  get id(): string | undefined {
    return this.#first?.gtrid;
  }

  /** True when the client is no longer in a transaction: the session forgets this one. */
  get isOver(): boolean {
    return this.#phase.kind === 'over';
  }

  /** Shards touched so far, the decision shard first. */
  get shards(): readonly ShardId[] {
    return [...this.#branches.keys()];
  }

  /**
   * For WITH CONSISTENT SNAPSHOT: opens a branch with a read view on every shard, all of them while
   * no commit is half done anywhere. Throws when a shard cannot be reached or the gate stays shut.
   */
  async openSnapshot(): Promise<void> {
    const { snapshots } = this.#coordinator;
    if (snapshots === undefined) throw notSupported('a snapshot over all shards');
    const { isolation } = this.#options;
    // As a server does: at the other levels it means nothing.
    if (isolation !== undefined && isolation !== 'REPEATABLE READ') return;
    const [first, ...others] = snapshots.shards;
    if (first === undefined) return;
    this.#claimFirst(first);
    const leases = await leaseAll(this.#pools, [first, ...others]);
    const branches = leases.map((lease) => this.#adopt(lease));
    const how = characteristics({ ...this.#options, isolation: 'REPEATABLE READ' }) ?? '';
    try {
      await snapshots.whileNothingCommits(async () => {
        await Promise.all(branches.map((branch) => branch.openSnapshot(how)));
      });
    } catch (error) {
      for (const branch of branches) branch.destroy();
      throw error;
    }
  }

  holds(): readonly HeldBranch[] {
    return this.#openBranches().map(({ shard, lease, statementSinceMs }) => ({
      shard,
      threadId: lease.serverThreadId,
      waitsSinceMs: statementSinceMs,
    }));
  }

  condemn(endStatements: (waiting: readonly HeldBranch[]) => Promise<void>): boolean {
    const waiting = this.holds().filter(({ waitsSinceMs }) => waitsSinceMs !== undefined);
    if (this.#phase.kind !== 'open' || waiting.length === 0) return false;
    this.#phase = { kind: 'condemned', cause: deadlock() };
    this.#coordinator.deadlocks?.forget(this);
    const branches = this.#openBranches();
    for (const branch of branches) branch.refuseStatements();
    // Killed first, and awaited: a KILL that comes late must not hit anybody's next statement.
    this.#wait(endStatements(waiting).then(() => this.#coordinator.rollBack(branches)));
    return true;
  }

  tryLease(shard: ShardId): Lease | undefined {
    if (this.#phase.kind !== 'open' || this.#pending !== undefined) return undefined;
    const pinned = this.#branches.get(shard);
    if (pinned !== undefined) return this.#handOut(pinned);
    if (this.#opening.has(shard)) return undefined;
    const lease = this.#pools.tryLease(shard);
    return lease === undefined ? undefined : this.#handOut(this.#open(lease));
  }

  async lease(shard: ShardId, signal?: AbortSignal): Promise<Lease> {
    await this.#settled();
    this.#demandOpen();
    const pinned = this.#branches.get(shard) ?? (await this.#openOnce(shard, signal));
    this.#demandOpen();
    return this.#handOut(pinned);
  }

  /** For what the text of a statement does not show: a function that writes. */
  markWrite(shard: ShardId): void {
    this.#branches.get(shard)?.branch.markUse('wrote');
  }

  /**
   * Waits until it is known what an error has done to the transaction. The session calls it when a
   * statement failed, then looks at `isOver`, then tells the client.
   */
  async afterError(): Promise<void> {
    await this.#settled();
  }

  /**
   * Before a statement that may write on several shards: from here on each shard that is touched
   * gets a savepoint, in the same write as the statement.
   */
  beginStatement(): void {
    this.#statement = new Set();
  }

  /** After that statement, when it succeeded. */
  endStatement(): void {
    this.#statement = undefined;
  }

  /** After that statement failed somewhere: undoes it where it succeeded. The transaction stays open. */
  async undoStatement(): Promise<void> {
    const touched = [...(this.#statement ?? [])];
    this.#statement = undefined;
    await this.#settled();
    if (this.#phase.kind !== 'open') return;
    await this.#onEach(touched, `ROLLBACK TO SAVEPOINT ${STATEMENT_SAVEPOINT}`);
  }

  async savepoint(name: string): Promise<void> {
    await this.#settled();
    this.#demandOpen();
    const { shardName } = this.#savepoints.set(name);
    await this.#onEach(this.#openBranches(), `SAVEPOINT ${shardName}`);
  }

  async rollbackTo(name: string): Promise<void> {
    await this.#onSavepoint(name, 'ROLLBACK TO SAVEPOINT', (found) =>
      this.#savepoints.rolledBackTo(found),
    );
  }

  async releaseSavepoint(name: string): Promise<void> {
    await this.#onSavepoint(name, 'RELEASE SAVEPOINT', (found) => this.#savepoints.released(found));
  }

  /**
   * Commits on every shard or on none and ends the transaction either way. Throws when it was rolled
   * back, with the reason, and ER_ERROR_DURING_COMMIT when nobody knows.
   */
  async commit(): Promise<void> {
    await this.#settled();
    const phase = this.#phase;
    this.#end();
    if (phase.kind === 'condemned') throw phase.cause;
    if (phase.kind === 'failed') throw rolledBack(phase.cause);
    if (phase.kind === 'over' || this.#first === undefined) return;
    const { shard, gtrid } = this.#first;
    await this.#coordinator.commit(gtrid, this.#openBranches(), async () =>
      this.#openBranch(await this.#pools.lease(shard)),
    );
  }

  /** Ends the transaction; all shards forget it. Never throws: a lost connection has rolled back too. */
  async rollback(): Promise<void> {
    await this.#settled();
    const wasOpen = this.#phase.kind === 'open';
    this.#end();
    if (wasOpen) await this.#coordinator.rollBack(this.#openBranches());
  }

  async #openOnce(shard: ShardId, signal: AbortSignal | undefined): Promise<PinnedLease> {
    const begun = this.#opening.get(shard);
    if (begun !== undefined) return begun;
    this.#claimFirst(shard); // Before waiting: statements on several shards ask for them in order.
    const opening = this.#pools.lease(shard, signal).then((lease) => {
      if (this.#phase.kind === 'open') return this.#open(lease);
      lease.release();
      throw this.#closedError();
    });
    this.#opening.set(shard, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(shard);
      // A shard that cannot be reached decides nothing, unless branches bear its name already.
      if (this.#branches.size + this.#opening.size === 0) this.#first = undefined;
    }
  }

  #claimFirst(shard: ShardId): { readonly shard: ShardId; readonly gtrid: Gtrid } {
    this.#first ??= { shard, gtrid: this.#coordinator.gtrids.next(shard) };
    return this.#first;
  }

  #open(lease: Lease): PinnedLease {
    return this.#pin(this.#openBranch(lease));
  }

  #pin(branch: Branch): PinnedLease {
    const pinned = new PinnedLease(branch, {
      onEnd: (end) => this.#onReplyEnd(branch, end),
      onLost: (cause) => this.#fail(cause),
      refusal: () => (this.#phase.kind === 'open' ? undefined : this.#closedError()),
      isCondemned: () => this.#condemnedBy() !== undefined,
    });
    this.#branches.set(branch.shard, pinned);
    // On one shard alone its server sees every cycle.
    if (this.#branches.size === 2) this.#coordinator.deadlocks?.watch(this);
    return pinned;
  }

  /** A branch that is not opened yet. */
  #adopt(lease: Lease): Branch {
    const branch = this.#newBranch(lease);
    this.#pin(branch);
    return branch;
  }

  #newBranch(lease: Lease): Branch {
    const { shard, gtrid } = this.#claimFirst(lease.shard);
    const { clock, limits } = this.#coordinator;
    const kind = lease.shard === shard ? 'plain' : 'xa';
    return new Branch({ lease, kind, gtrid, clock, limits });
  }

  #openBranch(lease: Lease): Branch {
    const branch = this.#newBranch(lease);
    const onFailed = (cause: Error): void => this.#failOn(branch, cause);
    branch.open(characteristics(this.#options), onFailed);
    // A lock that a plain SELECT took at this level has to stand until the decision.
    if (this.#options.isolation === 'SERIALIZABLE') branch.markUse('locked');
    for (const { shardName } of this.#savepoints.standing) {
      branch.sendQuietly(`SAVEPOINT ${shardName}`, onFailed);
    }
    return branch;
  }

  #handOut(pinned: PinnedLease): Lease {
    const { branch } = pinned;
    if (this.#statement !== undefined && !this.#statement.has(branch)) {
      this.#statement.add(branch);
      branch.sendQuietly(`SAVEPOINT ${STATEMENT_SAVEPOINT}`, (cause) =>
        this.#failOn(branch, cause),
      );
    }
    return pinned;
  }

  #onReplyEnd(branch: Branch, end: ReplyEnd): void {
    if (this.#phase.kind !== 'open') return;
    if (end.error?.errno === ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION) branch.markReadOnly();
    if (end.error !== undefined) this.#probe(branch);
    else if (!inTransaction(end)) this.#endedByShard(branch);
  }

  /**
   * An error may have cost the statement (duplicate key) or the whole transaction (deadlock, lock
   * wait with innodb_rollback_on_timeout): the shard's status says which, also for XA branches (tried
   * on MySQL 9.7 and MariaDB 10.11). Another statement sent without knowing could run outside.
   */
  #probe(branch: Branch): void {
    this.#doubted.add(branch);
    this.#wait(
      branch.run('DO 0').then(
        (end) => {
          this.#doubted.delete(branch);
          if (!inTransaction(end)) this.#close({ kind: 'over' });
        },
        (cause: Error) => this.#failOn(branch, cause),
      ),
    );
  }

  /**
   * A statement was carried out outside of the transaction: it follows one whose error ended it (SET
   * sent behind a write), or it committed by itself. The session ends transactions before statements
   * that do, so that is never expected with several shards.
   */
  #endedByShard(branch: Branch): void {
    if (this.#branches.size === 1 || this.#doubted.has(branch)) this.#close({ kind: 'over' });
    else this.#fail(new Error(`a statement has ended the transaction on shard ${branch.shard}`));
  }

  async #onSavepoint(
    name: string,
    verb: 'ROLLBACK TO SAVEPOINT' | 'RELEASE SAVEPOINT',
    keep: (found: Savepoint) => void,
  ): Promise<void> {
    await this.#settled();
    this.#demandOpen();
    const found = this.#savepoints.find(name);
    await this.#onEach(this.#openBranches(), `${verb} ${found.shardName}`);
    keep(found);
  }

  /** Runs a command of ours on the branches. One failure leaves the shards at odds, so it ends the transaction. */
  async #onEach(branches: readonly Branch[], sql: string): Promise<void> {
    try {
      await Promise.all(branches.map((branch) => branch.run(sql)));
    } catch (cause) {
      this.#fail(cause instanceof Error ? cause : new Error(String(cause)));
      await this.#settled();
      this.#demandOpen();
    }
  }

  #openBranches(): readonly Branch[] {
    return [...this.#branches.values()].map((pinned) => pinned.branch);
  }

  /** One of our own commands was not OK: the branch is not what the transaction takes it for. */
  #failOn(branch: Branch, cause: Error): void {
    branch.destroy();
    this.#fail(cause);
  }

  #fail(cause: Error): void {
    this.#close({ kind: 'failed', cause });
  }

  /** Rolls back everywhere in the background; the next call waits for it. */
  #close(phase: Phase): void {
    if (this.#phase.kind !== 'open') return;
    this.#phase = phase;
    this.#coordinator.deadlocks?.forget(this);
    this.#wait(this.#coordinator.rollBack(this.#openBranches()));
  }

  #end(): void {
    this.#phase = { kind: 'over' };
    this.#coordinator.deadlocks?.forget(this);
  }

  #wait(work: Promise<void>): void {
    const all = Promise.all([this.#pending, work]).then(() => {
      if (this.#pending === all) this.#pending = undefined;
    });
    this.#pending = all;
  }

  async #settled(): Promise<void> {
    while (this.#pending !== undefined) await this.#pending;
  }

  #demandOpen(): void {
    if (this.#phase.kind !== 'open') throw this.#closedError();
  }

  #condemnedBy(): ProxyError | undefined {
    const phase = this.#phase;
    return phase.kind === 'condemned' || phase.kind === 'over' ? phase.cause : undefined;
  }

  #closedError(): ProxyError {
    const phase = this.#phase;
    if (phase.kind === 'failed') return rolledBack(phase.cause);
    const cause = this.#condemnedBy();
    if (cause !== undefined) {
      this.#phase = { kind: 'over', cause };
      return cause;
    }
    return new ProxyError('ER_XA_RBROLLBACK', 'The transaction is over');
  }
}

function rolledBack(cause: Error): ProxyError {
  return new ProxyError(
    'ER_XA_RBROLLBACK',
    `The transaction was rolled back on every shard (${cause.message}); send ROLLBACK and start again`,
    { cause },
  );
}

function deadlock(): ProxyError {
  const message = 'Deadlock found when trying to get lock; try restarting transaction';
  return new ProxyError('ER_LOCK_DEADLOCK', message);
}

/** All or none of them. */
async function leaseAll(pools: ShardLeases, shards: readonly ShardId[]): Promise<readonly Lease[]> {
  const taken = await Promise.allSettled(
    shards.map(async (shard) => pools.tryLease(shard) ?? pools.lease(shard)),
  );
  const failed = taken.find(({ status }) => status === 'rejected');
  const leases = taken.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  if (failed?.status !== 'rejected') return leases;
  for (const lease of leases) lease.release();
  throw failed.reason;
}

function inTransaction(end: ReplyEnd): boolean {
  return (end.statusFlags & SERVER_STATUS_IN_TRANS) !== 0;
}

/** SET TRANSACTION works for the next transaction of either kind; XA START has no such words itself. */
function characteristics(options: TransactionOptions): string | undefined {
  const parts: string[] = [];
  if (options.isolation !== undefined) parts.push(`ISOLATION LEVEL ${options.isolation}`);
  if (options.readOnly !== undefined) parts.push(options.readOnly ? 'READ ONLY' : 'READ WRITE');
  return parts.length === 0 ? undefined : `SET TRANSACTION ${parts.join(', ')}`;
}
