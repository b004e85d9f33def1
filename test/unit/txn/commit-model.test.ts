import { describe, expect, test } from 'vitest';
import {
  brokenPromise,
  firstWorld,
  isSettled,
  RULES,
  type Rules,
  stepsFrom,
  type World,
} from './commit-model.ts';

interface Exploration {
  readonly worlds: number;
  /** What happened, step by step, up to the first broken promise. */
  readonly broken: readonly string[] | undefined;
  /** Worlds from which no sequence of steps leads to a settled one. */
  readonly stuck: number;
}

/** Visits every world that can come about. */
function explore(participants: number, rules: Rules): Exploration {
  const first = firstWorld(participants, rules);
  const keys = new Map<string, number>();
  const worlds: World[] = [];
  const origins: { readonly from: number; readonly what: string }[] = [];
  const comeFrom: number[][] = [];
  const visit = (world: World, from: number, what: string): number => {
    const key = keyOf(world);
    const known = keys.get(key);
    if (known !== undefined) return known;
    keys.set(key, worlds.length);
    origins.push({ from, what });
    comeFrom.push([]);
    return worlds.push(world) - 1;
  };
  visit(first, -1, 'start');
  for (let at = 0; at < worlds.length; at++) {
    const world = worlds[at];
    if (world === undefined) break;
    const promise = brokenPromise(world);
    if (promise !== undefined) {
      const trace: string[] = [promise];
      for (let back = at; back > 0; back = origins[back]?.from ?? 0) {
        trace.unshift(origins[back]?.what ?? '');
      }
      return { worlds: worlds.length, broken: trace, stuck: 0 };
    }
    for (const step of stepsFrom(world, rules)) {
      comeFrom[visit(step.world, at, step.what)]?.push(at);
    }
  }
  return { worlds: worlds.length, broken: undefined, stuck: countStuck(worlds, comeFrom) };
}

function countStuck(worlds: readonly World[], comeFrom: readonly (readonly number[])[]): number {
  const canSettle = new Uint8Array(worlds.length);
  const open: number[] = [];
  for (const [at, world] of worlds.entries()) {
    if (!isSettled(world)) continue;
    canSettle[at] = 1;
    open.push(at);
  }
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const before of comeFrom[at] ?? []) {
      if (canSettle[before] === 1) continue;
      canSettle[before] = 1;
      open.push(before);
    }
  }
  return canSettle.reduce((stuck, can) => stuck + (can === 0 ? 1 : 0), 0);
}

/** Equal for worlds that differ in nothing that matters: recoverers are alike, causes are words. */
function keyOf({ coordinator, told, row, decision, participants, recoverers }: World): string {
  const parts: string[] = [told, row, decision.data, decision.holdsRow ? 'holds' : ''];
  if (coordinator === 'crashed') {
    parts.push('crashed');
  } else {
    parts.push(coordinator.kind);
    if (coordinator.kind === 'preparing') {
      parts.push(coordinator.decisionRow, [...coordinator.unprepared].join());
    }
    if ('unconfirmed' in coordinator) {
      parts.push([...coordinator.unconfirmed].join(), [...coordinator.left].sort().join());
    }
  }
  for (const connection of [decision, ...participants]) {
    parts.push(connection.line, connection.commands.join());
    parts.push(connection.answers.map(({ to, ok }) => `${to}${ok ? '+' : '-'}`).join());
  }
  for (const { branch } of participants) parts.push(branch);
  parts.push(recoverers.map(recovererKey).sort().join());
  return parts.join('|');
}

function recovererKey(recoverer: World['recoverers'][number]): string {
  if (recoverer.at === 'idle') return 'idle';
  return `${recoverer.participant}${recoverer.at === 'settled' ? recoverer.decision : ''}`;
}

describe('the commit protocol, all interleavings of crashes, cuts, refusals and two recoverers', () => {
  test.each([
    { participants: 1, connectionOwnsBranch: false },
    { participants: 1, connectionOwnsBranch: true },
    { participants: 2, connectionOwnsBranch: false },
  ])(
    'keeps its promises and always ends: %o',
    ({ participants, connectionOwnsBranch }) => {
      const found = explore(participants, { ...RULES, connectionOwnsBranch });

      expect(found.broken).toBeUndefined();
      expect(found.stuck).toBe(0);
      expect(found.worlds).toBeGreaterThan(100);
    },
    180_000,
  );

  test.each([
    'recoveryLeavesMark',
    'commitWaitsForRow',
    'onlyAnsweredPreparesCount',
    'unclearIsAsked',
  ] as const)('the model sees what goes wrong without %s', (rule) => {
    expect(explore(1, { ...RULES, [rule]: false }).broken).toBeDefined();
  });

  test('without recovery a crash leaves branches for ever', () => {
    expect(explore(1, { ...RULES, recoveryRuns: false }).stuck).toBeGreaterThan(0);
  });
});
