import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../../src/errors/proxy-error.ts';
import type { InsertPlan, ShardTarget } from '../../../src/plan/plan.ts';
import { type KeyText, routeRows, routeTarget } from '../../../src/plan/route.ts';
import { Fingerprinter } from '../../../src/sql/fingerprint.ts';
import { s1, s2, s3, s4 } from '../../support/plan-topology.ts';
import { lexical, planCaches, planned } from '../../support/planned.ts';

function targetOf(sql: string): ShardTarget {
  const { plan } = planned(sql);
  if (!('target' in plan)) throw new Error(`no target: ${plan.kind}`);
  return plan.target;
}

/** Routes another statement of the same template with the plan of the first. */
function rerouted(planSql: string, sql: string, keyText?: KeyText) {
  const text = Buffer.from(sql, 'latin1');
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, lexical);
  const { literals } = fingerprinter;
  const bound = { text, literals, lexical, ...(keyText === undefined ? {} : { keyText }) };
  return routeTarget(targetOf(planSql), bound, planCaches);
}

describe('a cached plan is routed by the literals at hand', () => {
  test.each([
    ['SELECT * FROM users WHERE id = 1', 'SELECT * FROM users WHERE id = 4', [s1]],
    ['SELECT * FROM users WHERE id = 1', 'SELECT * FROM users WHERE id = 123456789', [s2]],
    ['SELECT * FROM users WHERE id = 1', 'SELECT * FROM users WHERE id = 12345678901234567', [s4]],
    ['SELECT * FROM users WHERE id = -1', 'SELECT * FROM users WHERE id = -6', [s3]],
    ["SELECT * FROM users WHERE id = '1'", "SELECT * FROM users WHERE id = '6'", [s3]],
    ["SELECT * FROM users WHERE id = '1'", "SELECT * FROM users WHERE id = 'x'", [s1, s2, s3, s4]],
    ['SELECT 1 FROM users WHERE id IN (1, 2)', 'SELECT 1 FROM users WHERE id IN (3, 7)', [s4]],
  ])('%s then %s', (planSql, sql, shards) => {
    expect(rerouted(planSql, sql)).toEqual({ kind: 'shards', shards });
  });
});

test('a point statement makes no new route', () => {
  const first = rerouted('SELECT * FROM users WHERE id = 1', 'SELECT * FROM users WHERE id = 5');
  const second = rerouted('SELECT * FROM users WHERE id = 1', 'SELECT * FROM users WHERE id = 9');

  expect(second).toBe(first);
});

test('an integer out of the range of the column finds no row', () => {
  const sql = 'SELECT * FROM orders WHERE user_id = 1';

  expect(rerouted(sql, 'SELECT * FROM orders WHERE user_id = 2147483647')).toEqual({
    kind: 'shards',
    shards: [s4],
  });
  expect(rerouted(sql, 'SELECT * FROM orders WHERE user_id = 2147483651')).toEqual({
    kind: 'shards',
    shards: [s1],
  });
});

describe('text that does not mean the same in another character set is no key', () => {
  const planSql = "SELECT * FROM notes WHERE tenant = 'a'";

  test('bytes that are no UTF-8', () => {
    expect(rerouted(planSql, "SELECT * FROM notes WHERE tenant = '\xe9'")).toEqual({
      kind: 'shards',
      shards: [s2, s3],
    });
  });

  test('bytes that happen to be UTF-8', () => {
    const sql = "SELECT * FROM notes WHERE tenant = '\xc3\xa9'";

    expect(rerouted(planSql, sql, 'ascii')).toEqual({ kind: 'shards', shards: [s2, s3] });
    expect(rerouted(planSql, sql, 'utf8mb3').kind).toBe('lookups');
    expect(rerouted(planSql, sql).kind).toBe('lookups');
  });

  test('four bytes a character, which utf8mb3 has no place for', () => {
    const sql = "SELECT * FROM notes WHERE tenant = 'x\xf0\x9f\x98\x80y'";

    expect(rerouted(planSql, sql, 'utf8mb3')).toEqual({ kind: 'shards', shards: [s2, s3] });
    expect(rerouted(planSql, sql).kind).toBe('lookups');
  });

  test('ASCII, where the connection has other bytes for it', () => {
    const sql = "SELECT * FROM notes WHERE tenant = 'acme'";

    expect(rerouted(planSql, sql, 'none')).toEqual({ kind: 'shards', shards: [s2, s3] });
  });

  test('rows with such keys are refused', () => {
    const { plan, bound } = planned("INSERT INTO notes (tenant) VALUES ('é')");

    expect(() => routeRows(plan as InsertPlan, { ...bound, keyText: 'ascii' }, planCaches)).toThrow(
      "this value for the shard key 'tenant'",
    );
    expect(routeRows(plan as InsertPlan, bound, planCaches).kind).toBe('lookups');
  });

  test('ASCII is', () => {
    const sql = "SELECT * FROM notes WHERE tenant = 'acme'";

    expect(rerouted(planSql, sql, 'ascii')).toEqual({ kind: 'shards', shards: [s2] });
    expect(rerouted(planSql, sql, 'binary')).toEqual({ kind: 'shards', shards: [s2] });
  });
});

describe('where any shard will do', () => {
  const { bound } = planned('SELECT 1');
  const target: ShardTarget = { kind: 'any', shards: [s2, s3] };

  test('the preferred one is taken', () => {
    expect(routeTarget(target, bound, planCaches, s3)).toEqual({ kind: 'shards', shards: [s3] });
  });

  test('unless it is none of them', () => {
    expect(routeTarget(target, bound, planCaches, s4)).toEqual({ kind: 'shards', shards: [s2] });
  });
});

test('parts of a statement that come out on different shards are refused where nothing else is possible', () => {
  const sql = 'SELECT * FROM users u, stock s WHERE u.id = 1 AND s.number = 5 FOR UPDATE';

  expect(
    rerouted(sql, 'SELECT * FROM users u, stock s WHERE u.id = 2 AND s.number = 6 FOR UPDATE'),
  ).toEqual({
    kind: 'shards',
    shards: [s3],
  });
  expect(() =>
    rerouted(sql, 'SELECT * FROM users u, stock s WHERE u.id = 2 AND s.number = 5 FOR UPDATE'),
  ).toThrow(ProxyError);
});

describe('rows', () => {
  test('with generated keys follow their ids', () => {
    const { plan, bound } = planned("INSERT INTO users (name) VALUES ('a'), ('b'), ('c')");

    expect(routeRows(plan as InsertPlan, bound, planCaches, 6n)).toEqual({
      kind: 'rows',
      shards: [s3, s4, s1],
    });
  });

  test('with generated keys beyond 2^53 are exact', () => {
    const { plan, bound } = planned("INSERT INTO users (name) VALUES ('a')");

    expect(routeRows(plan as InsertPlan, bound, planCaches, 9_007_199_254_740_995n)).toEqual({
      kind: 'rows',
      shards: [s4],
    });
  });

  test('all that has to be looked up is asked for at once', () => {
    const { plan, bound } = planned("INSERT INTO notes (tenant) VALUES ('x'), ('acme'), ('y')");
    const routed = routeRows(plan as InsertPlan, bound, planCaches);

    expect(routed.kind === 'lookups' && routed.lookups.map((lookup) => lookup.kind)).toEqual([
      'directory',
      'directory',
    ]);
  });
});

test('a plan and its parts are frozen', () => {
  const { plan } = planned('SELECT name FROM users WHERE id IN (1, 2) ORDER BY age LIMIT 3');

  expect(Object.isFrozen(plan)).toBe(true);
  expect(plan.kind === 'scatter' && Object.isFrozen(plan.merge.keys[0])).toBe(true);
  expect(plan.kind === 'scatter' && Object.isFrozen(plan.edits[0])).toBe(true);
});
