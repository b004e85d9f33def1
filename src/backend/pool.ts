import { ProxyError } from '../errors/proxy-error.ts';
import type { Clock } from '../runtime/clock.ts';
import type { LimitsConfig } from '../topology/config-schema.ts';
import { COM_PING } from '../wire/flags.ts';
import type { Lease, SessionState } from './lease.ts';
import { PooledConnection } from './pooled-connection.ts';
import { type LeaseOwner, PooledLease } from './pooled-lease.ts';
import { runCommand } from './run-command.ts';
import { internState } from './session-states.ts';
import { type ShardAddress, shardTitle } from './shard-address.ts';
import { type ConnectOptions, queryCommand, type ShardConnection } from './shard-connection.ts';

/** A connection is replaced now and then, so that a server's changed settings reach all of them. */
const LIFETIME_MS = 3_600_000;
/** After a failed try the next one waits, twice as long each time, and statements fail at once. */
const BACK_OFF_MS = 250;
const BACK_OFF_MAX_MS = 4_000;

export type PoolLimits = Pick<
  LimitsConfig,
  'connect_timeout_ms' | 'acquire_timeout_ms' | 'waiters_max' | 'backend_idle_timeout_ms'
>;

export interface PoolOptions {
  readonly address: ShardAddress;
  readonly limits: PoolLimits;
  readonly clock: Clock;
  /** `connectToShard`, unless a test has its own. */
  readonly connect: (options: ConnectOptions) => Promise<ShardConnection>;
}

export interface PoolStats {
  readonly connected: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiting: number;
  /** Undefined until the shard was tried for the first time. */
  readonly up: boolean | undefined;
  readonly lastError: string | undefined;
  readonly serverVersion: string | undefined;
}

interface Waiter {
  readonly state: SessionState;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
  settled: boolean;
}

/** The connections of one shard: at most `connections_max` of them, and a bounded line of waiters. */
export class Pool implements LeaseOwner {
  readonly #connect: PoolOptions['connect'];
  readonly #clock: Clock;
  #address: ShardAddress;
  #limits: PoolLimits;
  /** Ready for use, the one given back last at the end. */
  readonly #idle: PooledConnection[] = [];
  readonly #all = new Set<PooledConnection>();
  readonly #waiters: Waiter[] = [];
  readonly #stop = new AbortController();
  #opening = 0;
  #failures = 0;
  #retryAtMs = 0;
  #lastError: ProxyError | undefined;
  #up: boolean | undefined;
  #serverVersion: string | undefined;
  #isDraining = false;

  constructor(options: PoolOptions) {
    this.#address = options.address;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#connect = options.connect;
  }

  /** New limits for the same server. */
  adjust(address: ShardAddress, limits: PoolLimits): void {
    this.#address = address;
    this.#limits = limits;
    this.#dispatch();
  }

  get address(): ShardAddress {
    return this.#address;
  }

  stats(): PoolStats {
    return {
      connected: this.#all.size,
      idle: this.#idle.length,
      leased: this.#all.size - this.#idle.length,
      waiting: this.#waiters.length,
      up: this.#up,
      lastError: this.#up === false ? this.#lastError?.message : undefined,
      serverVersion: this.#serverVersion,
    };
  }

  /** An idle connection in exactly this state; the hot path. */
  tryAcquire(state: SessionState): Lease | undefined {
    if (this.#waiters.length > 0 || this.#isDraining) return undefined;
    const idle = this.#idle;
    for (let at = idle.length - 1; at >= 0; at--) {
      const pooled = idle[at];
      if (pooled?.state !== state) continue;
      if (at === idle.length - 1) idle.pop();
      else idle.splice(at, 1);
      return new PooledLease(pooled, this);
    }
    return undefined;
  }

  /**
   * A connection brought to `state`, waiting at most `acquire_timeout_ms`. Throws
   * ER_CON_COUNT_ERROR when the line is full or the time is up, ER_CONNECT_TO_FOREIGN_DATA_SOURCE when
   * the shard cannot be reached, and the shard's own error when it refuses the state.
   */
  acquire(state: SessionState, signal?: AbortSignal): Promise<Lease> {
    const ready = this.tryAcquire(state);
    if (ready !== undefined) return Promise.resolve(ready);
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => this.#wait(state, signal, resolve, reject));
  }

  takeBack(pooled: PooledConnection): void {
    if (pooled.connection.closed) return;
    if (this.#isDraining || this.#isWornOut(pooled)) {
      pooled.connection.close();
    } else if (pooled.isDirty) {
      const cancel = this.#limitTime(pooled, this.#limits.connect_timeout_ms);
      pooled
        .reset()
        .then(
          () => this.#shelve(pooled),
          (error: unknown) => pooled.connection.destroy(error),
        )
        .finally(cancel);
    } else {
      this.#shelve(pooled);
    }
  }

  giveUp(pooled: PooledConnection): void {
    const isBusy = pooled.connection.repliesAwaited > 0;
    pooled.connection.destroy();
    if (isBusy) this.#kill(pooled);
  }

  /** Closes what has been idle for long; called now and then. */
  sweep(): void {
    const oldest = this.#clock.monotonicMs() - this.#limits.backend_idle_timeout_ms;
    const outdated = this.#idle.filter(
      (pooled) => pooled.idleSinceMs <= oldest || this.#isWornOut(pooled),
    );
    for (const pooled of outdated) pooled.connection.close();
  }

  /** Asks the server whether it is there, on an idle connection or a new one. */
  async ping(timeoutMs: number): Promise<void> {
    const pooled = this.#idle.shift();
    if (pooled === undefined) {
      // Leased connections answer for the server; a pool without any tries to open one.
      if (this.#all.size === 0 && this.#opening === 0 && !this.#isDraining) await this.#open(false);
      return;
    }
    const cancel = this.#limitTime(pooled, timeoutMs);
    try {
      await runCommand(pooled.connection, Buffer.from([COM_PING]));
      const { idleSinceMs } = pooled;
      this.takeBack(pooled);
      // A ping is no use: the connection goes on ageing.
      pooled.idleSinceMs = idleSinceMs;
      this.#up = true;
    } catch (error) {
      pooled.connection.destroy(error);
      this.#lastError = asProxyError(error);
      // The others are as old as this one; only a new connection can tell whether the server is there.
      for (const other of this.#idle.splice(0)) other.connection.destroy(error);
      if (this.#opening === 0 && !this.#isDraining) await this.#open(false);
    } finally {
      cancel();
    }
  }

  /** Gives out no more leases; connections close as they come back. */
  drain(): void {
    this.#isDraining = true;
    this.#stop.abort();
    for (const pooled of [...this.#idle]) pooled.connection.close();
    this.#rejectAll(this.#removed());
  }

  /** Closes every connection, also those in use. */
  stop(): void {
    this.drain();
    for (const pooled of [...this.#all]) pooled.connection.destroy('Shardgate is stopping');
  }

  #refusal(): ProxyError | undefined {
    if (this.#isDraining) return this.#removed();
    if (this.#waiters.length >= this.#limits.waiters_max) {
      return new ProxyError(
        'ER_CON_COUNT_ERROR',
        `Too many statements wait for a connection to ${shardTitle(this.#address)} (limits.waiters_max is ${this.#limits.waiters_max})`,
      );
    }
    const isDown = this.#failures > 0 && this.#all.size === 0;
    return isDown && this.#clock.monotonicMs() < this.#retryAtMs ? this.#lastError : undefined;
  }

  #removed(): ProxyError {
    return new ProxyError(
      'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      `Cannot connect to ${shardTitle(this.#address)}: it is no longer part of the configuration, or Shardgate is stopping`,
    );
  }

  #wait(
    state: SessionState,
    signal: AbortSignal | undefined,
    resolve: (lease: Lease) => void,
    reject: (error: unknown) => void,
  ): void {
    const settle = (): void => {
      waiter.settled = true;
      cancel();
      signal?.removeEventListener('abort', onAbort);
      const at = this.#waiters.indexOf(waiter);
      if (at !== -1) this.#waiters.splice(at, 1);
    };
    const waiter: Waiter = {
      state,
      settled: false,
      resolve: (lease) => {
        settle();
        resolve(lease);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    };
    const onAbort = (): void => waiter.reject(signal?.reason);
    const { acquire_timeout_ms: timeoutMs } = this.#limits;
    const cancel = this.#clock.after(timeoutMs, () => waiter.reject(this.#tooLate(timeoutMs)));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.push(waiter);
    this.#dispatch();
  }

  #tooLate(timeoutMs: number): ProxyError {
    const title = shardTitle(this.#address);
    return this.#all.size === 0 && this.#lastError !== undefined
      ? this.#lastError
      : new ProxyError(
          'ER_CON_COUNT_ERROR',
          `No connection to ${title} became free within ${timeoutMs} ms (limits.acquire_timeout_ms; the shard's connections_max is ${this.#address.config.connections_max})`,
        );
  }

  // Serves the line from its head: with idle connections while they can be brought to the state,
  // then by opening new ones, at the price of idle ones that cannot be used.
  #dispatch(): void {
    for (let head = this.#waiters[0]; head !== undefined; head = this.#waiters[0]) {
      const pooled = this.#takeIdle(head.state);
      if (pooled === undefined) break;
      this.#waiters.shift();
      void this.#prepare(pooled, head);
    }
    while (this.#opening < this.#waiters.length && this.#mayOpen()) {
      if (this.#all.size + this.#opening >= this.#address.config.connections_max) {
        const useless = this.#idle.shift();
        if (useless === undefined) return;
        useless.connection.close();
      } else {
        void this.#open(this.#waiters[this.#opening]?.state.foundRows ?? false);
      }
    }
  }

  #limitTime(pooled: PooledConnection, timeoutMs: number): () => void {
    return this.#clock.after(timeoutMs, () =>
      pooled.connection.destroy(new Error(`no answer within ${timeoutMs} ms`)),
    );
  }

  #takeIdle(state: SessionState): PooledConnection | undefined {
    const idle = this.#idle;
    let at = idle.findLastIndex((pooled) => pooled.state === state);
    if (at === -1) at = idle.findIndex((pooled) => pooled.canReach(state));
    return at === -1 ? undefined : idle.splice(at, 1)[0];
  }

  #mayOpen(): boolean {
    if (this.#isDraining) return false;
    if (this.#failures === 0) return true;
    return this.#opening === 0 && this.#clock.monotonicMs() >= this.#retryAtMs;
  }

  async #prepare(pooled: PooledConnection, waiter: Waiter): Promise<void> {
    const cancel = this.#limitTime(pooled, this.#limits.acquire_timeout_ms);
    try {
      await pooled.bringTo(waiter.state);
      if (waiter.settled) this.takeBack(pooled);
      else waiter.resolve(new PooledLease(pooled, this));
    } catch (error) {
      if (!pooled.connection.closed) {
        this.takeBack(pooled);
        waiter.reject(error);
      } else if (!waiter.settled) {
        // An idle connection had been closed by the server. Nothing of the statement was sent yet.
        this.#waiters.unshift(waiter);
        this.#dispatch();
      }
    } finally {
      cancel();
    }
  }

  async #open(foundRows: boolean): Promise<void> {
    this.#opening += 1;
    const opened = await this.#login(foundRows).finally(() => {
      this.#opening -= 1;
    });
    if (opened instanceof ProxyError) this.#openFailed(opened);
    else this.takeBack(opened);
  }

  async #login(foundRows: boolean): Promise<PooledConnection | ProxyError> {
    try {
      const connection = await this.#connect({
        address: this.#address,
        foundRows,
        connectTimeoutMs: this.#limits.connect_timeout_ms,
        clock: this.#clock,
        signal: this.#stop.signal,
      });
      const pooled = new PooledConnection(connection, this.#clock.monotonicMs());
      const cancel = this.#limitTime(pooled, this.#limits.connect_timeout_ms);
      await pooled.setBase().finally(cancel);
      this.#all.add(pooled);
      connection.whenClosed(() => this.#forget(pooled));
      this.#failures = 0;
      this.#up = true;
      this.#serverVersion = connection.serverVersion;
      return pooled;
    } catch (error) {
      return asProxyError(error);
    }
  }

  #openFailed(error: ProxyError): void {
    this.#lastError = error;
    const nowMs = this.#clock.monotonicMs();
    // Tries that were under way together count as one.
    if (nowMs >= this.#retryAtMs) {
      const backOffMs = Math.min(BACK_OFF_MS * 2 ** this.#failures, BACK_OFF_MAX_MS);
      this.#failures += 1;
      this.#retryAtMs = nowMs + backOffMs;
    }
    if (this.#all.size > 0) {
      // Others are connected (too many connections, say): who waits may still get one of theirs.
      this.#waiters[0]?.reject(error);
      return;
    }
    this.#up = false;
    this.#rejectAll(error);
  }

  #rejectAll(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #shelve(pooled: PooledConnection): void {
    if (pooled.connection.closed) return;
    if (this.#isDraining) {
      pooled.connection.close();
      return;
    }
    pooled.idleSinceMs = this.#clock.monotonicMs();
    this.#idle.push(pooled);
    if (this.#waiters.length > 0) this.#dispatch();
  }

  #forget(pooled: PooledConnection): void {
    this.#all.delete(pooled);
    const at = this.#idle.indexOf(pooled);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#waiters.length > 0) this.#dispatch();
  }

  #isWornOut(pooled: PooledConnection): boolean {
    return this.#clock.monotonicMs() - pooled.openedMs > LIFETIME_MS;
  }

  // A server notices that its client is gone only when it writes to it: a long statement would run
  // on and keep its locks. When it is over already, the server says 1094 and nothing is amiss.
  #kill(pooled: PooledConnection): void {
    const state = internState({
      database: pooled.state?.database,
      variables: new Map(),
      foundRows: pooled.connection.foundRows,
    });
    const command = queryCommand(`KILL ${pooled.connection.serverThreadId}`);
    this.acquire(this.#idle.at(-1)?.state ?? state)
      .then(async (lease) => {
        await runCommand(lease, command).catch(() => {});
        lease.release();
      })
      .catch(() => {
        // The shard is away, or busy beyond its limits: the server ends the statement by itself.
      });
  }
}

function asProxyError(error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ProxyError('ER_CONNECT_TO_FOREIGN_DATA_SOURCE', message, { cause: error });
}
