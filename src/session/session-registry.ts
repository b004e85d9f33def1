import type { Clock } from '../runtime/clock.ts';

/** What SHOW PROCESSLIST and SHOW SESSIONS say of one client. */
export interface SessionInfo {
  readonly id: number;
  readonly user: string;
  readonly host: string;
  readonly database: string | undefined;
  readonly command: 'Connect' | 'Sleep' | 'Query';
  readonly seconds: number;
  readonly inTransaction: boolean;
  /** The statement in hand, as the client wrote it. */
  readonly statement: string | undefined;
}

export interface RegisteredSession {
  readonly id: number;
  info(): SessionInfo;
  /** Called every second: closes what has been idle, and ends what has run, for too long. */
  tick(nowMs: number): void;
  /** KILL QUERY: ends the statement, keeps the session. */
  killStatement(): void;
  /** KILL: ends the session. */
  kill(): void;
  /** The proxy stops: closes at once when idle, otherwise after the statement or transaction. */
  drain(): void;
  destroy(): void;
}

const TICK_MS = 1000;

/** Connection ids start at a random place, so that those of two proxies seldom meet. */
const FIRST_IDS = 0x3fffffff;

/** Every client of this process. */
export class SessionRegistry {
  readonly #sessions = new Map<number, RegisteredSession>();
  readonly #clock: Clock;
  #nextId: number;
  #cancelTick: (() => void) | undefined;
  #emptied: (() => void)[] = [];

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#nextId = 1 + Math.floor((random() * FIRST_IDS) / 1000) * 1000;
  }

  get size(): number {
    return this.#sessions.size;
  }

  start(): void {
    this.#cancelTick = this.#clock.after(TICK_MS, () => {
      const now = this.#clock.monotonicMs();
      for (const session of this.#sessions.values()) session.tick(now);
      this.start();
    });
  }

  /** The thread id of a new client: 32 bits, as the protocol has it. */
  nextId(): number {
    do this.#nextId = this.#nextId >= 0xffffffff ? 1 : this.#nextId + 1;
    while (this.#sessions.has(this.#nextId));
    return this.#nextId;
  }

  add(session: RegisteredSession): void {
    this.#sessions.set(session.id, session);
  }

  remove(id: number): void {
    this.#sessions.delete(id);
    if (this.#sessions.size > 0) return;
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const resolve of emptied) resolve();
  }

  get(id: number): RegisteredSession | undefined {
    return this.#sessions.get(id);
  }

  list(): readonly SessionInfo[] {
    return [...this.#sessions.values()].map((session) => session.info());
  }

  /** Closes the sessions of users that are not `known` any more; those busy for longer than `timeoutMs` are cut off. */
  closeUsers(known: (user: string) => boolean, timeoutMs: number): void {
    const leaving = [...this.#sessions.values()].filter((session) => {
      const { command, user } = session.info();
      return command !== 'Connect' && !known(user);
    });
    for (const session of leaving) session.drain();
    if (leaving.length === 0) return;
    this.#clock.after(timeoutMs, () => {
      for (const session of leaving)
        if (this.#sessions.get(session.id) === session) session.destroy();
    });
  }

  /** Resolves when the last session is gone; those still there after `timeoutMs` are cut off. */
  async drain(timeoutMs: number): Promise<void> {
    this.#cancelTick?.();
    if (this.#sessions.size === 0) return;
    const empty = new Promise<void>((resolve) => this.#emptied.push(resolve));
    for (const session of [...this.#sessions.values()]) session.drain();
    const cancel = this.#clock.after(timeoutMs, () => {
      for (const session of [...this.#sessions.values()]) session.destroy();
    });
    await empty;
    cancel();
  }
}
