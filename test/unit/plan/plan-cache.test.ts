import { describe, expect, test } from 'vitest';
import type { CachedPlan } from '../../../src/plan/plan.ts';
import { PlanCache } from '../../../src/plan/plan-cache.ts';
import { Fingerprinter } from '../../../src/sql/fingerprint.ts';
import { lexical } from '../../support/planned.ts';

const fingerprinter = new Fingerprinter();

function template(sql: string): Buffer {
  const text = Buffer.from(sql);
  fingerprinter.scan(text, 0, text.length, lexical);
  return text;
}

/** A plan that can be told apart from others. */
function plan(name: string, rest: Partial<CachedPlan> = {}): CachedPlan {
  return {
    plan: { kind: 'ddl', shards: [], statement: {} as never, database: name, tables: [] },
    pinned: [],
    nonZero: [],
    userVariables: [],
    ...rest,
  };
}

function store(cache: PlanCache, sql: string, cached: CachedPlan, database = 'shop'): void {
  template(sql);
  cache.store(fingerprinter, database, 0, cached);
}

function find(cache: PlanCache, sql: string, { database = 'shop', bits = 0 } = {}) {
  const text = template(sql);
  return cache.find(fingerprinter, text, database, bits);
}

describe('a plan serves', () => {
  const cache = new PlanCache(10);
  const stored = plan('point');
  store(cache, 'SELECT 1 WHERE id = 5', stored);

  test('statements that differ in literals only', () => {
    expect(find(cache, 'SELECT 234 WHERE id = 77')).toBe(stored);
  });

  test.each([
    ['other words', 'SELECT 1 WHERE ix = 5'],
    ['another type of literal', "SELECT 1 WHERE id = '5'"],
    ['other white space', 'SELECT 1  WHERE id = 5'],
    ['less text', 'SELECT 1 WHERE id = '],
    ['more text', 'SELECT 1 WHERE id = 5 '],
  ])('not %s', (_, sql) => {
    expect(find(cache, sql)).toBeUndefined();
  });

  test('not another database, none, or other lexical rules', () => {
    const sql = 'SELECT 1 WHERE id = 5';

    expect(find(cache, sql, { database: 'blog' })).toBeUndefined();
    expect(cache.find(fingerprinter, template(sql), undefined, 0)).toBeUndefined();
    expect(find(cache, sql, { bits: 1 })).toBeUndefined();
  });
});

test('a collision of hashes is no hit', () => {
  const cache = new PlanCache(10);
  store(cache, 'SELECT a', plan('a'));
  const text = template('SELECT b');
  const colliding = { ...view(fingerprinter), hash: hashOf('SELECT a') };

  expect(cache.find(colliding, text, 'shop', 0)).toBeUndefined();
});

test('pinned literals are compared, each variant for itself', () => {
  const cache = new PlanCache(10);
  const first = plan('by 1', { pinned: [{ slot: 1, text: '1' }] });
  const second = plan('by 2', { pinned: [{ slot: 1, text: '2' }] });
  store(cache, 'SELECT 9 ORDER BY 1', first);
  store(cache, 'SELECT 9 ORDER BY 2', second);

  expect(find(cache, 'SELECT 8 ORDER BY 1')).toBe(first);
  expect(find(cache, 'SELECT 8 ORDER BY 2')).toBe(second);
  expect(find(cache, 'SELECT 8 ORDER BY 3')).toBeUndefined();
  expect(find(cache, 'SELECT 8 ORDER BY 12')).toBeUndefined();
  expect(cache.size).toBe(1);
});

test('the seventeenth variant takes the place of the first', () => {
  const cache = new PlanCache(10);
  for (let number = 1; number <= 17; number++) {
    const pinned = [{ slot: 0, text: String(number) }];
    store(cache, `ORDER BY ${number}`, plan(String(number), { pinned }));
  }

  expect(find(cache, 'ORDER BY 1')).toBeUndefined();
  expect(find(cache, 'ORDER BY 2')).toBeDefined();
  expect(find(cache, 'ORDER BY 17')).toBeDefined();
});

test('a plan for numbers that are not zero does not serve zero', () => {
  const cache = new PlanCache(10);
  store(cache, 'VALUES (7)', plan('given', { nonZero: [0] }));

  expect(find(cache, 'VALUES (100)')).toBeDefined();
  expect(find(cache, 'VALUES (0)')).toBeUndefined();
  expect(find(cache, 'VALUES (00)')).toBeUndefined();
});

test('a statement that its template does not stand for is never cached', () => {
  const cache = new PlanCache(10);
  const sql = `SELECT ${Array.from({ length: 600 }, () => '1').join(', ')}`;
  store(cache, sql, plan('long'));

  expect(cache.size).toBe(0);
  expect(find(cache, sql)).toBeUndefined();
});

test('a full cache keeps what is used', () => {
  const cache = new PlanCache(20);
  store(cache, 'SELECT used', plan('used'));
  for (let number = 0; number < 200; number++) {
    expect(find(cache, 'SELECT used')).toBeDefined();
    store(cache, `SELECT c${number}`, plan('once'));
    expect(cache.size).toBeLessThanOrEqual(20);
  }

  expect(find(cache, 'SELECT c199')).toBeDefined();
  expect(find(cache, 'SELECT c0')).toBeUndefined();
});

function view(from: Fingerprinter) {
  const { template: bytes, templateLength, hash, literals, cacheable } = from;
  return { template: bytes, templateLength, hash, literals, cacheable };
}

function hashOf(sql: string): number {
  const current = new Fingerprinter();
  const text = Buffer.from(sql);
  current.scan(text, 0, text.length, lexical);
  return current.hash;
}
