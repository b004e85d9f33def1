import type { Lease } from '../backend/lease.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { ExecutionContext } from './execution.ts';
import type { RoutedInput } from './routed-gather.ts';
import { abortError } from './shard-command.ts';

/** The connections of one gathered statement: one to each shard that is asked, and the one that finishes. */
export class GatherLeases {
  readonly finish: Lease;
  readonly #leases: ReadonlyMap<ShardId, Lease>;
  readonly #context: Pick<ExecutionContext, 'leases' | 'signal'>;
  readonly #stop = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  private constructor(
    finish: Lease,
    leases: ReadonlyMap<ShardId, Lease>,
    context: Pick<ExecutionContext, 'leases' | 'signal'>,
  ) {
    this.finish = finish;
    this.#leases = leases;
    this.#context = context;
    if (context.signal.aborted) this.#endWithStatement();
    else context.signal.addEventListener('abort', this.#endWithStatement, { once: true });
  }

  /**
   * In the order of the config, the finishing shard among them: two statements that need several pools
   * never wait for each other's last connection.
   */
  static async take(
    finish: ShardId,
    moved: readonly RoutedInput[],
    context: ExecutionContext,
  ): Promise<GatherLeases> {
    const { leases, signal } = context;
    const beside = leases.inTransaction ? context.scratchLeases : leases;
    if (beside === undefined) throw new Error('a transaction without connections beside it');
    const wanted = new Set(moved.flatMap(({ shards }) => shards));
    if (!leases.inTransaction) wanted.add(finish);
    const taken = new Map<ShardId, Lease>();
    try {
      for (const shard of context.topology.shards.keys()) {
        if (!wanted.has(shard)) continue;
        taken.set(shard, leases.tryLease(shard) ?? (await leases.lease(shard, signal)));
      }
      const own = leases.inTransaction ? undefined : taken.get(finish);
      const last = own ?? beside.tryLease(finish) ?? (await beside.lease(finish, signal));
      if (own !== undefined) taken.delete(finish);
      if (!signal.aborted) return new GatherLeases(last, taken, context);
      last.release();
      throw abortError(signal);
    } catch (error) {
      for (const lease of taken.values()) lease.release();
      throw error;
    }
  }

  /** Aborted when the statement is, or when its answer is not to be had any more. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get failure(): unknown {
    return this.#failure?.error;
  }

  /** The rows of this shard are copied where they are. */
  isOwn(shard: ShardId): boolean {
    return !this.#context.leases.inTransaction && shard === this.finish.shard;
  }

  of(shard: ShardId): Lease {
    const lease = this.#leases.get(shard);
    if (lease === undefined) throw new Error(`no connection to ${shard} was taken`);
    return lease;
  }

  /** What is still being sent is not wanted. Connections of a transaction are read to the end instead. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    if (!this.#context.leases.inTransaction) this.#stop.abort(error);
  }

  /** A connection with replies outstanding is closed by it; the others go back. */
  async giveBack(): Promise<void> {
    this.#context.signal.removeEventListener('abort', this.#endWithStatement);
    for (const lease of this.#leases.values()) lease.release();
    this.finish.release();
  }

  readonly #endWithStatement = (): void => {
    this.#stop.abort(this.#context.signal.reason);
    this.finish.destroy();
  };
}
