import { unreachable } from '../runtime/assert.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Gtrid } from './xid.ts';

/** What is committed: the data of the decision shard and one prepared branch on each participant. */
export interface CommitPlan {
  readonly gtrid: Gtrid;
  /** Runs a plain transaction; its COMMIT makes the decision durable together with its data. */
  readonly decisionShard: ShardId;
  /** Shards with an XA branch that wrote. Never the decision shard. */
  readonly participants: readonly ShardId[];
}

/**
 * Two-phase commit with the decision in the last agent, as states. What a crash in a state means is
 * what recovery does with the branches it finds prepared.
 */
export type CommitState =
  /**
   * XA PREPARE is on its way to the participants and the decision row is being inserted, not
   * committed. Some branches may be prepared and no decision is on disk. After a crash: the row is
   * rolled back with its connection, recovery inserts 'abort' and rolls back.
   */
  | {
      readonly kind: 'preparing';
      readonly plan: CommitPlan;
      readonly unprepared: ReadonlySet<ShardId>;
      readonly decisionRow: 'awaited' | 'written';
    }
  /**
   * Every branch is prepared and COMMIT is on its way to the decision shard. After a crash: the
   * decision shard knows; recovery's 'abort' either finds 'commit' there or comes first.
   */
  | { readonly kind: 'deciding'; readonly plan: CommitPlan }
  /** The answer to that COMMIT did not come. The decision shard is asked, by recovery's own rule. */
  | { readonly kind: 'resolving'; readonly plan: CommitPlan }
  /** The decision to commit is on disk. After a crash: commit every prepared branch. */
  | {
      readonly kind: 'committing';
      readonly plan: CommitPlan;
      readonly unconfirmed: ReadonlySet<ShardId>;
      readonly left: ReadonlySet<ShardId>;
    }
  /** No decision to commit can become durable any more. After a crash: roll back what is prepared. */
  | {
      readonly kind: 'aborting';
      readonly plan: CommitPlan;
      readonly cause: unknown;
      readonly unconfirmed: ReadonlySet<ShardId>;
      readonly left: ReadonlySet<ShardId>;
    }
  /** Over. `left` are branches that recovery has to commit; the client is told OK all the same. */
  | { readonly kind: 'committed'; readonly plan: CommitPlan; readonly left: ReadonlySet<ShardId> }
  /** Over. `left` are branches that recovery may find prepared and then rolls back. */
  | {
      readonly kind: 'aborted';
      readonly plan: CommitPlan;
      readonly cause: unknown;
      readonly left: ReadonlySet<ShardId>;
    }
  /** Over for the client, who is told the transaction's id. Recovery finishes it when the decision shard is back. */
  | { readonly kind: 'unknown'; readonly plan: CommitPlan; readonly cause: unknown };

export type CommitEvent =
  | { readonly kind: 'prepared'; readonly shard: ShardId }
  | { readonly kind: 'decision-row-written' }
  /** Refused, lost or late, and COMMIT was not and will not be sent to the decision shard. */
  | { readonly kind: 'failed'; readonly cause: unknown }
  | { readonly kind: 'decided' }
  /** An error, a lost connection or silence in answer to COMMIT: it may be durable or not. */
  | { readonly kind: 'decision-unclear'; readonly cause: unknown }
  | { readonly kind: 'found-committed' }
  | { readonly kind: 'found-aborted'; readonly cause: unknown }
  | { readonly kind: 'found-nobody'; readonly cause: unknown }
  | { readonly kind: 'confirmed'; readonly shard: ShardId }
  /** The second phase could not be carried out on that shard. */
  | { readonly kind: 'unconfirmed'; readonly shard: ShardId };

/** What the coordinator does when it enters a state. */
export type CommitAction =
  | { readonly kind: 'prepare'; readonly shard: ShardId }
  | { readonly kind: 'write-decision-row' }
  | { readonly kind: 'commit-decision' }
  | { readonly kind: 'ask-decision-shard' }
  | { readonly kind: 'commit-branch'; readonly shard: ShardId }
  | { readonly kind: 'roll-back'; readonly shard: ShardId };

const NOBODY: ReadonlySet<ShardId> = new Set();

export function startCommit(plan: CommitPlan): CommitState {
  const unprepared = new Set(plan.participants);
  return { kind: 'preparing', plan, unprepared, decisionRow: 'awaited' };
}

/** Where the commit goes next. Pure: the coordinator sends, waits and feeds in what happened. */
export function nextCommitState(state: CommitState, event: CommitEvent): CommitState {
  switch (state.kind) {
    case 'preparing':
      return afterPreparing(state, event);
    case 'deciding':
      if (event.kind === 'decided') return committing(state.plan);
      if (event.kind === 'decision-unclear') return { kind: 'resolving', plan: state.plan };
      if (event.kind === 'failed') return aborting(state.plan, event.cause);
      return state;
    case 'resolving':
      if (event.kind === 'found-committed') return committing(state.plan);
      if (event.kind === 'found-aborted') return aborting(state.plan, event.cause);
      if (event.kind === 'found-nobody') {
        return { kind: 'unknown', plan: state.plan, cause: event.cause };
      }
      return state;
    case 'committing': {
      const { unconfirmed, left } = afterSecondPhase(state, event);
      if (unconfirmed.size === 0) return { kind: 'committed', plan: state.plan, left };
      return { ...state, unconfirmed, left };
    }
    case 'aborting': {
      const { unconfirmed, left } = afterSecondPhase(state, event);
      const { plan, cause } = state;
      if (unconfirmed.size === 0) return { kind: 'aborted', plan, cause, left };
      return { ...state, unconfirmed, left };
    }
    case 'committed':
    case 'aborted':
    case 'unknown':
      return state;
    default:
      return unreachable(state);
  }
}

/** What has to be sent on entering `state`; nothing for a state that only waits for more of the same. */
export function actionsOnEntering(state: CommitState): readonly CommitAction[] {
  const { plan } = state;
  switch (state.kind) {
    case 'preparing':
      return [
        ...plan.participants.map((shard) => ({ kind: 'prepare', shard }) as const),
        { kind: 'write-decision-row' },
      ];
    case 'deciding':
      return [{ kind: 'commit-decision' }];
    case 'resolving':
      return [{ kind: 'ask-decision-shard' }];
    case 'committing':
      return plan.participants.map((shard) => ({ kind: 'commit-branch', shard }) as const);
    case 'aborting':
      return [plan.decisionShard, ...plan.participants].map(
        (shard) => ({ kind: 'roll-back', shard }) as const,
      );
    case 'committed':
    case 'aborted':
    case 'unknown':
      return [];
    default:
      return unreachable(state);
  }
}

/**
 * A branch counts as prepared only when it said so, and COMMIT goes to the decision shard only when
 * the row is known to be in the same transaction: a COMMIT without it would decide nothing.
 */
function afterPreparing(
  state: CommitState & { readonly kind: 'preparing' },
  event: CommitEvent,
): CommitState {
  let { unprepared, decisionRow } = state;
  if (event.kind === 'failed') return aborting(state.plan, event.cause);
  if (event.kind === 'prepared') unprepared = without(unprepared, event.shard);
  if (event.kind === 'decision-row-written') decisionRow = 'written';
  if (unprepared.size === 0 && decisionRow === 'written') {
    return { kind: 'deciding', plan: state.plan };
  }
  return { ...state, unprepared, decisionRow };
}

function afterSecondPhase(
  state: { readonly unconfirmed: ReadonlySet<ShardId>; readonly left: ReadonlySet<ShardId> },
  event: CommitEvent,
): { readonly unconfirmed: ReadonlySet<ShardId>; readonly left: ReadonlySet<ShardId> } {
  if (event.kind !== 'confirmed' && event.kind !== 'unconfirmed') return state;
  if (!state.unconfirmed.has(event.shard)) return state;
  const unconfirmed = without(state.unconfirmed, event.shard);
  if (event.kind === 'confirmed') return { unconfirmed, left: state.left };
  return { unconfirmed, left: new Set([...state.left, event.shard]) };
}

function committing(plan: CommitPlan): CommitState {
  return { kind: 'committing', plan, unconfirmed: new Set(plan.participants), left: NOBODY };
}

function aborting(plan: CommitPlan, cause: unknown): CommitState {
  const unconfirmed = new Set([plan.decisionShard, ...plan.participants]);
  return { kind: 'aborting', plan, cause, unconfirmed, left: NOBODY };
}

function without(shards: ReadonlySet<ShardId>, shard: ShardId): ReadonlySet<ShardId> {
  const rest = new Set(shards);
  rest.delete(shard);
  return rest;
}
