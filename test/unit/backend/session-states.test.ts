import { expect, test } from 'vitest';
import {
  internState,
  withDatabase,
  withoutVariables,
  withVariable,
} from '../../../src/backend/session-states.ts';

const PLAIN = internState({ database: undefined, variables: new Map(), foundRows: false });

test('equal parts are one object, in whatever order they were set', () => {
  const one = withVariable(withVariable(PLAIN, 'a', '1'), 'b', '2');
  const two = withVariable(withVariable(PLAIN, 'b', '2'), 'a', '1');

  expect(one).toBe(two);
  expect([...one.variables.keys()]).toEqual(['a', 'b']);
});

test('every part makes a difference', () => {
  const states = [
    PLAIN,
    withDatabase(PLAIN, 'a'),
    withDatabase(PLAIN, ''),
    withVariable(PLAIN, 'a', '1'),
    withVariable(PLAIN, 'a', '2'),
    withVariable(PLAIN, 'a,1', ''),
    internState({ ...PLAIN, foundRows: true }),
  ];

  expect(new Set(states.map(({ id }) => id)).size).toBe(states.length);
});

test('taking a variable away leads back', () => {
  const changed = withVariable(withDatabase(PLAIN, 'shop'), 'sql_mode', "''");

  expect(withVariable(changed, 'sql_mode', undefined)).toBe(withDatabase(PLAIN, 'shop'));
  expect(withoutVariables(changed)).toBe(withDatabase(PLAIN, 'shop'));
  expect(withVariable(changed, 'sql_mode', "''")).toBe(changed);
});
