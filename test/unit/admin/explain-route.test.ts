import { expect, test } from 'vitest';
import { explainRoute } from '../../../src/admin/explain-route.ts';
import { planTopology } from '../../support/plan-topology.ts';
import { planCaches, planned } from '../../support/planned.ts';

async function explained(statement: string): Promise<readonly (string | undefined)[][]> {
  const { plan, bound } = planned(`EXPLAIN ROUTE ${statement}`);
  if (plan.kind !== 'local' || plan.explained === undefined) throw new Error('not explained');
  const lookups = { resolve: async (missing: readonly never[]) => missing };
  const needs = { topology: planTopology, caches: planCaches, lookups };
  const { rows } = await explainRoute(plan.explained, bound, needs);
  return rows.map((row) => [...row]);
}

test('a statement of one shard shows its key and its text', async () => {
  expect(await explained('SELECT * FROM users WHERE id = 5')).toEqual([
    ['single', 's2', '5', 'SELECT * FROM users WHERE id = 5'],
  ]);
});

test('a scatter shows each shard and what it is asked', async () => {
  expect(
    await explained(
      "SELECT name FROM events WHERE at >= '2026-02-01 00:00:00' ORDER BY id LIMIT 2, 3",
    ),
  ).toEqual(
    ['s2', 's3'].map((shard) => [
      'scatter: sort, limit',
      shard,
      ">= '2026-02-01 00:00:00'",
      "SELECT name, id FROM events WHERE at >= '2026-02-01 00:00:00' ORDER BY id LIMIT 5",
    ]),
  );
});

test('a list of keys on one shard is a single statement', async () => {
  expect(await explained('SELECT name FROM users WHERE id IN (1, 5)')).toEqual([
    ['single', 's2', '1, 5', 'SELECT name FROM users WHERE id IN (1, 5)'],
  ]);
});

test('an INSERT shows the rows of each shard', async () => {
  expect(await explained('INSERT INTO items (user_id) VALUES (5), (6), (-3)')).toEqual([
    ['insert', 's2', '5, -3', 'INSERT INTO items (user_id) VALUES (5), (-3)'],
    ['insert', 's3', '6', 'INSERT INTO items (user_id) VALUES (6)'],
  ]);
});

test('generated keys are not taken to be shown', async () => {
  const insert = "INSERT INTO users (name) VALUES ('a')";

  expect(await explained(insert)).toEqual([['insert', undefined, 'id from the sequence', insert]]);
});

test('a write to a reference table shows every copy', async () => {
  const rows = await explained("UPDATE countries SET name = 'x'");

  expect(rows.map((row) => row.slice(0, 3))).toEqual(
    ['s1', 's2', 's3', 's4'].map((shard) => ['write: every copy', shard, undefined]),
  );
});

test('session functions stay as they are written', async () => {
  expect(await explained('SELECT LAST_INSERT_ID()')).toEqual([
    ['single', 's1', undefined, 'SELECT LAST_INSERT_ID()'],
  ]);
});
