import { expect, test } from 'vitest';
import { findDeadlocks, type WaitEdge } from '../../../src/txn/wait-graph.ts';

/** 'a b c' says that a waits for b, and b for c. */
function edges(...ways: readonly string[]): readonly WaitEdge[] {
  return ways.flatMap((way) => {
    const names = way.split(' ');
    return names.slice(1).map((blocker, at) => ({ waiter: names[at] ?? '', blocker }));
  });
}

/** Begun in this order. */
function begun(...names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name, at) => [name, at]));
}

function victims(graph: readonly WaitEdge[], ages: ReadonlyMap<string, number>) {
  return findDeadlocks(graph, ages).map(({ victim }) => victim);
}

test('a line of waits is no deadlock', () => {
  expect(victims(edges('a b c d', 'a c'), begun('a', 'b', 'c', 'd'))).toEqual([]);
});

test('the youngest of a cycle is given up, whoever waits for it from outside', () => {
  expect(victims(edges('a b c a', 'd a'), begun('b', 'c', 'a', 'd'))).toEqual(['a']);
});

test('each cycle has its victim, and one that lies in two ends both', () => {
  expect(victims(edges('a b a', 'c d c'), begun('a', 'b', 'c', 'd'))).toEqual(['d', 'b']);
  expect(victims(edges('a x a', 'b x b'), begun('a', 'b', 'x'))).toEqual(['x']);
});

test('connections that nobody answers for take part and are never chosen', () => {
  expect(findDeadlocks(edges('a s1/7 b a'), begun('a', 'b'))).toEqual([
    { members: ['b', 'a', 's1/7'], victim: 'b' },
  ]);
  expect(victims(edges('s1/7 s1/8 s1/7'), begun('a'))).toEqual([]);
});

test('those who began at once are told apart by name', () => {
  const ages = new Map([
    ['a', 5],
    ['b', 5],
  ]);
  expect(victims(edges('a b a'), ages)).toEqual(victims(edges('b a b'), ages));
});
