import { ProxyError } from '../errors/proxy-error.ts';
import { assert, unreachable } from '../runtime/assert.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import { type Branch, wasNotSent } from './branch.ts';
import type { CommitLimits } from './commit-limits.ts';
import type { CommitStep, CommitStepHook } from './commit-steps.ts';
import { type ControlPlane, insertDecisionSql, settleDecision } from './decisions.ts';
import {
  actionsOnEntering,
  type CommitAction,
  type CommitEvent,
  type CommitState,
  nextCommitState,
  startCommit,
} from './two-phase-commit.ts';
import type { Gtrid } from './xid.ts';

const RESOLVE_PAUSE_MS = 100;

export interface CommitRunParts {
  readonly gtrid: Gtrid;
  readonly decision: Branch;
  readonly participants: readonly Branch[];
  readonly control: ControlPlane;
  readonly clock: Clock;
  readonly limits: CommitLimits;
  readonly atStep: CommitStepHook | undefined;
}

/** One two-phase commit: sends what the states ask for, feeds in what happened, until it is over. */
export class CommitRun {
  readonly #parts: CommitRunParts;
  readonly #branches: ReadonlyMap<ShardId, Branch>;
  readonly #events: CommitEvent[] = [];
  readonly #startedAt: number;
  readonly #stepsDone = new Set<CommitStep>();
  #wake: (() => void) | undefined;
  #unclear = false;

  constructor(parts: CommitRunParts) {
    this.#parts = parts;
    const all = [parts.decision, ...parts.participants];
    this.#branches = new Map(all.map((branch) => [branch.shard, branch]));
    this.#startedAt = parts.clock.monotonicMs();
  }

  get branches(): readonly Branch[] {
    return [...this.#branches.values()];
  }

  /** True when the decision shard had to be asked. */
  get wasUnclear(): boolean {
    return this.#unclear;
  }

  /** Ends in 'committed', 'aborted' or 'unknown'. */
  async run(): Promise<CommitState> {
    const { gtrid, decision, participants } = this.#parts;
    let state = startCommit({
      gtrid,
      decisionShard: decision.shard,
      participants: participants.map((branch) => branch.shard),
    });
    await this.#enter(state);
    while (!isOver(state)) {
      const event = await this.#nextEvent();
      if (event.kind === 'prepared') await this.#step('one-prepared');
      if (event.kind === 'confirmed' && state.kind === 'committing') {
        await this.#step('one-committed');
      }
      const next = nextCommitState(state, event);
      const entered = next.kind !== state.kind;
      state = next;
      if (entered) await this.#enter(state);
    }
    return state;
  }

  async #enter(state: CommitState): Promise<void> {
    const [before, after] = STEPS_AROUND[state.kind] ?? [];
    if (before !== undefined) await this.#step(before);
    for (const action of actionsOnEntering(state)) this.#act(action);
    if (after !== undefined) await this.#step(after);
  }

  /** Sends at once; the answer comes as an event. */
  #act(action: CommitAction): void {
    switch (action.kind) {
      case 'prepare':
        this.#feed(this.#prepare(action.shard));
        return;
      case 'write-decision-row':
        this.#feed(this.#writeDecisionRow());
        return;
      case 'commit-decision':
        this.#feed(this.#commitDecision());
        return;
      case 'ask-decision-shard':
        this.#unclear = true;
        this.#feed(this.#resolve());
        return;
      case 'commit-branch':
        this.#feed(this.#finish(action.shard, (branch) => branch.commitPrepared()));
        return;
      case 'roll-back':
        this.#feed(this.#finish(action.shard, (branch) => branch.rollBack()));
        return;
      default:
        unreachable(action);
    }
  }

  async #prepare(shard: ShardId): Promise<CommitEvent> {
    try {
      await this.#branch(shard).prepare();
      return { kind: 'prepared', shard };
    } catch (cause) {
      return { kind: 'failed', cause };
    }
  }

  async #writeDecisionRow(): Promise<CommitEvent> {
    const { gtrid, decision, participants } = this.#parts;
    try {
      const shards = participants.map((branch) => branch.shard);
      const { affectedRows } = await decision.run(insertDecisionSql(gtrid, shards));
      if (Number(affectedRows) !== 1) {
        const cause = new Error(`shardgate.commit_gate is empty on shard ${decision.shard}`);
        return { kind: 'failed', cause };
      }
      return { kind: 'decision-row-written' };
    } catch (cause) {
      return { kind: 'failed', cause };
    }
  }

  async #commitDecision(): Promise<CommitEvent> {
    const { decision, clock, limits } = this.#parts;
    const elapsedMs = clock.monotonicMs() - this.#startedAt;
    if (elapsedMs > limits.decisionTimeoutMs) {
      return { kind: 'failed', cause: new Error(`no decision within ${elapsedMs} ms`) };
    }
    try {
      await decision.run('COMMIT');
      decision.release();
      return { kind: 'decided' };
    } catch (cause) {
      if (wasNotSent(cause)) return { kind: 'failed', cause };
      // Also after a refusal: an error in answer to COMMIT does not prove that nothing is on disk.
      // Closing the connection frees the row, so that asking for it does not wait.
      decision.destroy();
      return { kind: 'decision-unclear', cause };
    }
  }

  /** Asks as recovery does, which makes the answer final: an 'abort' put there stops a COMMIT still under way. */
  async #resolve(): Promise<CommitEvent> {
    const { gtrid, decision, control, clock, limits } = this.#parts;
    const deadline = clock.monotonicMs() + limits.resolveTimeoutMs;
    let cause: unknown = new Error('the decision is still held by the lost connection');
    do {
      try {
        const found = await settleDecision(control, decision.shard, gtrid);
        if (found === 'commit') return { kind: 'found-committed' };
        if (found === 'abort') {
          return { kind: 'found-aborted', cause: lostBeforeDecision(decision.shard) };
        }
      } catch (error) {
        cause = error; // Unreachable: tried again until the time is up.
      }
      await new Promise<void>((resolve) => clock.after(RESOLVE_PAUSE_MS, resolve));
    } while (clock.monotonicMs() < deadline);
    return { kind: 'found-nobody', cause };
  }

  async #finish(shard: ShardId, act: (branch: Branch) => Promise<void>): Promise<CommitEvent> {
    const branch = this.#branch(shard);
    try {
      await act(branch);
      branch.release();
      return { kind: 'confirmed', shard };
    } catch {
      // Recovery's from here on. MariaDB lets nobody else finish it while its connection lives.
      branch.destroy();
      return { kind: 'unconfirmed', shard };
    }
  }

  #branch(shard: ShardId): Branch {
    const branch = this.#branches.get(shard);
    assert(branch !== undefined, `no branch on shard ${shard}`);
    return branch;
  }

  #feed(outcome: Promise<CommitEvent>): void {
    // Never rejects: every failure is an event.
    void outcome.then((event) => {
      this.#events.push(event);
      this.#wake?.();
    });
  }

  async #nextEvent(): Promise<CommitEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #step(step: CommitStep): Promise<void> {
    if (this.#parts.atStep === undefined || this.#stepsDone.has(step)) return;
    this.#stepsDone.add(step);
    await this.#parts.atStep(step);
  }
}

const STEPS_AROUND: Partial<
  Record<CommitState['kind'], readonly [before: CommitStep, after?: CommitStep]>
> = {
  preparing: ['before-prepare', 'prepare-sent'],
  deciding: ['all-prepared', 'decision-sent'],
  committing: ['decided', 'second-phase-sent'],
  committed: ['before-answer'],
};

function isOver(state: CommitState): boolean {
  return state.kind === 'committed' || state.kind === 'aborted' || state.kind === 'unknown';
}

function lostBeforeDecision(shard: ShardId): ProxyError {
  return new ProxyError('ER_LOCK_DEADLOCK', `Shard ${shard} was lost before it committed`);
}
