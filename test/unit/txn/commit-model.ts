import { unreachable } from '../../../src/runtime/assert.ts';
import {
  actionsOnEntering,
  type CommitAction,
  type CommitEvent,
  type CommitState,
  nextCommitState,
  startCommit,
} from '../../../src/txn/two-phase-commit.ts';
import type { Gtrid } from '../../../src/txn/xid.ts';
import { shardId } from './fake-shards.ts';

/**
 * The world around one commit: its coordinator (the real state machine), the decision shard, the
 * participants, the connections between them, and recoverers. A step is one thing that happens
 * somewhere; faults (a crash, a lost connection, a refusal) are steps like others.
 */
export interface World {
  readonly coordinator: CommitState | 'crashed';
  readonly told: 'nothing' | 'committed' | 'rolled back' | 'unknown';
  /** The decision row on disk. */
  readonly row: 'none' | 'commit' | 'abort';
  readonly decision: DecisionShard;
  readonly participants: readonly Participant[];
  readonly recoverers: readonly Recoverer[];
}

type Command = 'prepare' | 'row' | 'commit' | 'xa commit' | 'roll back';

/** Commands and answers under way. 'cut': the coordinator's end is gone, the shard has not noticed. */
interface Connection {
  readonly line: 'up' | 'cut' | 'closed';
  readonly commands: readonly Command[];
  readonly answers: readonly { readonly to: Command; readonly ok: boolean }[];
}

interface DecisionShard extends Connection {
  readonly data: 'open' | 'committed' | 'rolled back';
  /** Inserted in the open transaction: nobody else gets at the row. */
  readonly holdsRow: boolean;
}

interface Participant extends Connection {
  readonly branch: 'active' | 'prepared' | 'committed' | 'rolled back';
}

type Recoverer =
  | { readonly at: 'idle' }
  | { readonly at: 'saw'; readonly participant: number }
  | {
      readonly at: 'settled';
      readonly participant: number;
      readonly decision: 'commit' | 'abort';
    };

/** What makes the protocol safe, each to be left out once by the test. */
export interface Rules {
  /** Recovery puts 'abort' where the coordinator's 'commit' would go. */
  readonly recoveryLeavesMark: boolean;
  readonly commitWaitsForRow: boolean;
  readonly onlyAnsweredPreparesCount: boolean;
  readonly unclearIsAsked: boolean;
  readonly recoveryRuns: boolean;
  /** MariaDB: a prepared branch belongs to its connection as long as that lives. */
  readonly connectionOwnsBranch: boolean;
}

export const RULES: Rules = {
  recoveryLeavesMark: true,
  commitWaitsForRow: true,
  onlyAnsweredPreparesCount: true,
  unclearIsAsked: true,
  recoveryRuns: true,
  connectionOwnsBranch: false,
};

export interface Step {
  readonly what: string;
  readonly world: World;
}

const CLOSED: Connection = { line: 'up', commands: [], answers: [] };

export function firstWorld(participants: number, rules: Rules): World {
  const names = Array.from({ length: participants }, (_, index) => shardId(`p${index}`));
  const state = startCommit({
    gtrid: 'sg1.model.d.1' as Gtrid,
    decisionShard: shardId('d'),
    participants: names,
  });
  const world: World = {
    coordinator: state,
    told: 'nothing',
    row: 'none',
    decision: { ...CLOSED, data: 'open', holdsRow: false },
    participants: names.map(() => ({ ...CLOSED, branch: 'active' })),
    recoverers: [{ at: 'idle' }, { at: 'idle' }],
  };
  return act(world, actionsOnEntering(state), rules);
}

/** Everything that can happen next. */
export function stepsFrom(world: World, rules: Rules): readonly Step[] {
  return [
    ...coordinatorSteps(world, rules),
    ...decisionShardSteps(world),
    ...world.participants.flatMap((_, index) => participantSteps(world, index)),
    ...(rules.recoveryRuns
      ? world.recoverers.flatMap((_, i) => recoverySteps(world, i, rules))
      : []),
  ];
}

/** Nothing is open, prepared or locked any more. */
export function isSettled(world: World): boolean {
  return (
    world.decision.data !== 'open' &&
    world.participants.every(({ branch }) => branch === 'committed' || branch === 'rolled back')
  );
}

/** The promise that `world` breaks, if any. */
export function brokenPromise(world: World): string | undefined {
  const ends = [world.decision.data, ...world.participants.map(({ branch }) => branch)];
  const committed = ends.includes('committed');
  const rolledBack = ends.includes('rolled back');
  if (committed && rolledBack) return 'committed here and rolled back there';
  if (world.told === 'committed' && (rolledBack || world.decision.data !== 'committed')) {
    return 'the client was told OK for what is not durable';
  }
  if (world.told === 'rolled back' && committed) return 'the client was told that it rolled back';
  return undefined;
}

function coordinatorSteps(world: World, rules: Rules): Step[] {
  if (world.coordinator === 'crashed') return [];
  const steps: Step[] = [{ what: 'the coordinator crashes', world: crash(world) }];
  if (world.coordinator.kind === 'resolving') {
    const { settled, row } = settle(world, rules);
    const asked = { ...world, row };
    steps.push({ what: 'asked, but the answer is lost', world: asked });
    steps.push({
      what: 'nobody answers',
      world: hear(world, { kind: 'found-nobody', cause: undefined }, rules),
    });
    if (settled !== 'undecided') {
      const event: CommitEvent =
        settled === 'commit'
          ? { kind: 'found-committed' }
          : { kind: 'found-aborted', cause: undefined };
      steps.push({ what: `asked: ${settled}`, world: hear(asked, event, rules) });
    }
  }
  for (const at of places(world)) {
    const connection = connectionAt(world, at);
    const [answer, ...answers] = connection.answers;
    if (connection.line !== 'up') continue;
    steps.push({ what: `${at}: the line is cut`, world: cut(world, at, rules) });
    if (answer === undefined) continue;
    const next = withConnection(world, at, { answers });
    const event = eventOf(answer.to, at, answer.ok, rules);
    const heard = hear(answer.ok ? next : closeIfUnclear(next, at, answer.to), event, rules);
    steps.push({ what: `${at}: ${answer.to} was ${answer.ok ? 'done' : 'refused'}`, world: heard });
  }
  return steps;
}

/** What the coordinator makes of an answer, or of none. */
function eventOf(command: Command, at: Place, ok: boolean, rules: Rules): CommitEvent {
  const shard = shardId(at === 'd' ? 'd' : `p${at}`);
  const cause = undefined;
  switch (command) {
    case 'prepare':
      return ok || !rules.onlyAnsweredPreparesCount
        ? { kind: 'prepared', shard }
        : { kind: 'failed', cause };
    case 'row':
      return ok ? { kind: 'decision-row-written' } : { kind: 'failed', cause };
    case 'commit':
      return ok ? { kind: 'decided' } : { kind: 'decision-unclear', cause };
    case 'xa commit':
    case 'roll back':
      return { kind: ok ? 'confirmed' : 'unconfirmed', shard };
    default:
      return unreachable(command);
  }
}

/** The line was known to be cut: nothing goes out. */
function eventOfUnsent(command: Command, at: Place, rules: Rules): CommitEvent {
  if (command === 'commit') return { kind: 'failed', cause: undefined };
  return eventOf(command, at, false, rules);
}

function closeIfUnclear(world: World, at: Place, command: Command): World {
  const closes = command === 'commit' || command === 'xa commit' || command === 'roll back';
  return closes ? withConnection(world, at, { line: 'cut', answers: [] }) : world;
}

/** Feeds an event to the real state machine and does what it asks for. */
function hear(world: World, event: CommitEvent, rules: Rules): World {
  const { coordinator } = world;
  if (coordinator === 'crashed') return world;
  let next = nextCommitState(coordinator, event);
  if (!rules.commitWaitsForRow && next.kind === 'preparing' && next.unprepared.size === 0) {
    next = { kind: 'deciding', plan: next.plan };
  }
  if (!rules.unclearIsAsked && next.kind === 'resolving') {
    next = nextCommitState(next, { kind: 'found-aborted', cause: undefined });
  }
  const moved: World = { ...world, coordinator: next };
  if (next.kind === coordinator.kind) return moved;
  if (next.kind === 'committed') return { ...moved, told: 'committed' };
  if (next.kind === 'aborted') return { ...moved, told: 'rolled back' };
  if (next.kind === 'unknown') return { ...dropAllLines(moved), told: 'unknown' };
  return act(moved, actionsOnEntering(next), rules);
}

function act(world: World, actions: readonly CommitAction[], rules: Rules): World {
  let next = world;
  for (const action of actions) {
    if (action.kind === 'ask-decision-shard') continue; // A step of its own.
    const at = placeOf(action);
    const command = commandOf(action);
    const connection = connectionAt(next, at);
    next =
      connection.line === 'up'
        ? withConnection(next, at, { commands: [...connection.commands, command] })
        : hear(next, eventOfUnsent(command, at, rules), rules);
  }
  return next;
}

function commandOf(action: CommitAction): Command {
  switch (action.kind) {
    case 'prepare':
      return 'prepare';
    case 'write-decision-row':
      return 'row';
    case 'commit-decision':
      return 'commit';
    case 'commit-branch':
      return 'xa commit';
    case 'roll-back':
      return 'roll back';
    case 'ask-decision-shard':
      throw new Error('asked on a connection of its own');
    default:
      return unreachable(action);
  }
}

function decisionShardSteps(world: World): Step[] {
  const { decision } = world;
  const [command, ...commands] = decision.commands;
  const steps: Step[] = [];
  if (decision.line === 'cut') {
    const data = decision.data === 'open' ? 'rolled back' : decision.data;
    const closed = { ...decision, ...GONE, data, holdsRow: false } as const;
    steps.push({ what: 'd notices the cut', world: { ...world, decision: closed } });
  }
  if (command === undefined) return steps;
  const rest = { ...decision, commands };
  const open = decision.data === 'open';
  const put = (
    what: string,
    change: Partial<DecisionShard>,
    ok: boolean,
    row = world.row,
  ): void => {
    const answered = answer({ ...rest, ...change }, command, ok);
    steps.push({ what: `d: ${what}`, world: { ...world, row, decision: answered } });
  };
  if (command === 'row') {
    if (world.row === 'none') put('inserts the row', { holdsRow: open }, true);
    else put('finds the mark', {}, false);
  } else if (command === 'commit' && open) {
    const row = decision.holdsRow ? 'commit' : world.row;
    put('commits', { data: 'committed', holdsRow: false }, true, row);
    put('refuses to commit', { data: 'rolled back', holdsRow: false }, false);
  } else {
    const data = open ? 'rolled back' : decision.data;
    put('rolls back', { data, holdsRow: false }, true);
  }
  return steps;
}

function participantSteps(world: World, index: number): Step[] {
  const participant = world.participants[index];
  if (participant === undefined) return [];
  const [command, ...commands] = participant.commands;
  const steps: Step[] = [];
  const put = (what: string, next: Participant): void => {
    const participants = world.participants.with(index, next);
    steps.push({ what: `p${index}: ${what}`, world: { ...world, participants } });
  };
  const { branch } = participant;
  if (participant.line === 'cut') {
    const after = branch === 'active' ? 'rolled back' : branch;
    put('notices the cut', { ...participant, ...GONE, branch: after });
  }
  if (command === undefined) return steps;
  const rest = { ...participant, commands };
  if (command === 'prepare') {
    put('prepares', answer({ ...rest, branch: 'prepared' }, command, true));
    put('refuses to prepare', answer({ ...rest, branch: 'rolled back' }, command, false));
  } else if (command === 'xa commit') {
    const known = branch === 'prepared';
    const after = known ? 'committed' : branch;
    put('xa commit', answer({ ...rest, branch: after }, command, known));
  } else {
    const known = branch === 'prepared' || branch === 'active';
    const after = known ? 'rolled back' : branch;
    put('xa rollback', answer({ ...rest, branch: after }, command, known));
  }
  return steps;
}

/** Recovery's rule, which the coordinator goes by too when its answer was lost. */
function settle(
  world: World,
  rules: Rules,
): { readonly settled: 'commit' | 'abort' | 'undecided'; readonly row: World['row'] } {
  if (world.row !== 'none') return { settled: world.row, row: world.row };
  if (!rules.recoveryLeavesMark) return { settled: 'abort', row: 'none' };
  if (world.decision.holdsRow) return { settled: 'undecided', row: 'none' };
  return { settled: 'abort', row: 'abort' };
}

function recoverySteps(world: World, index: number, rules: Rules): Step[] {
  const recoverer = world.recoverers[index];
  if (recoverer === undefined) return [];
  const name = `recoverer ${index}`;
  const become = (next: Recoverer, change: Partial<World> = {}): World => ({
    ...world,
    ...change,
    recoverers: world.recoverers.with(index, next),
  });
  switch (recoverer.at) {
    case 'idle':
      return world.participants.flatMap(({ branch }, participant) =>
        branch === 'prepared'
          ? [{ what: `${name} sees p${participant}`, world: become({ at: 'saw', participant }) }]
          : [],
      );
    case 'saw': {
      const { participant } = recoverer;
      const { settled, row } = settle(world, rules);
      const next: Recoverer =
        settled === 'undecided'
          ? { at: 'idle' }
          : { at: 'settled', participant, decision: settled };
      return [{ what: `${name}: ${settled}`, world: become(next, { row }) }];
    }
    case 'settled': {
      const found = world.participants[recoverer.participant];
      if (found === undefined) return [];
      const owned = rules.connectionOwnsBranch && found.line !== 'closed';
      const ends = found.branch === 'prepared' && !owned;
      const branch = recoverer.decision === 'commit' ? 'committed' : 'rolled back';
      const participants = ends
        ? world.participants.with(recoverer.participant, { ...found, branch })
        : world.participants;
      return [
        {
          what: `${name} ends p${recoverer.participant}`,
          world: become({ at: 'idle' }, { participants }),
        },
      ];
    }
    default:
      return unreachable(recoverer);
  }
}

type Place = 'd' | number;

const GONE: Connection = { line: 'closed', commands: [], answers: [] };

function places(world: World): readonly Place[] {
  return ['d', ...world.participants.keys()];
}

function placeOf(action: CommitAction): Place {
  if (!('shard' in action) || action.shard === 'd') return 'd';
  return Number(action.shard.slice(1));
}

function connectionAt(world: World, at: Place): Connection {
  const connection = at === 'd' ? world.decision : world.participants[at];
  if (connection === undefined) throw new Error(`no participant ${at}`);
  return connection;
}

function withConnection(world: World, at: Place, change: Partial<Connection>): World {
  if (at === 'd') return { ...world, decision: { ...world.decision, ...change } };
  const participant = world.participants[at];
  if (participant === undefined) return world;
  return { ...world, participants: world.participants.with(at, { ...participant, ...change }) };
}

function answer<Shard extends Connection>(shard: Shard, to: Command, ok: boolean): Shard {
  if (shard.line !== 'up') return shard;
  return { ...shard, answers: [...shard.answers, { to, ok }] };
}

/** The coordinator hears of the loss at once; what is under way to the shard may still be carried out. */
function cut(world: World, at: Place, rules: Rules): World {
  const { commands, answers } = connectionAt(world, at);
  const awaited = [...answers.map(({ to }) => to), ...commands];
  let next = withConnection(world, at, { line: 'cut', answers: [] });
  for (const command of awaited) next = hear(next, eventOf(command, at, false, rules), rules);
  return next;
}

function crash(world: World): World {
  return { ...dropAllLines(world), coordinator: 'crashed' };
}

function dropAllLines(world: World): World {
  let next = world;
  for (const at of places(world)) {
    const { line } = connectionAt(next, at);
    if (line === 'up') next = withConnection(next, at, { line: 'cut', answers: [] });
  }
  return next;
}
