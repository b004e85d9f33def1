import fc from 'fast-check';
import { expect, test } from 'vitest';
import { routeTarget } from '../../../src/plan/route.ts';
import type { ShardId } from '../../../src/topology/strategy.ts';
import { s1, s2, s3, s4 } from '../../support/plan-topology.ts';
import { planCaches, planned } from '../../support/planned.ts';

/** SQL's three values: undefined is UNKNOWN. */
type Truth = boolean | undefined;
type Row = Readonly<Record<'id' | 'age', number | null>>;

interface Condition {
  readonly sql: string;
  readonly holds: (row: Row) => Truth;
}

const HOMES: readonly ShardId[] = [s1, s2, s3, s4];
const VALUES: readonly (number | null)[] = [null, -5, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const ROWS: readonly Row[] = VALUES.flatMap((id) => VALUES.map((age) => ({ id, age })));

test('no row that a condition keeps is on a shard that is not asked', () => {
  fc.assert(
    fc.property(condition(), ({ sql, holds }) => {
      const { plan, bound } = planned(`SELECT * FROM users WHERE ${sql}`);
      if (plan.kind !== 'single' && plan.kind !== 'scatter') throw new Error(plan.kind);
      const routed = routeTarget(plan.target, bound, planCaches);
      if (routed.kind !== 'shards') throw new Error('nothing is to be looked up');

      const missed = ROWS.filter(
        (row) => holds(row) === true && !routed.shards.includes(homeOf(row)),
      );
      expect(missed).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test('nor is a pair of rows that a join keeps', () => {
  fc.assert(
    fc.property(condition(), condition(), fc.boolean(), (first, second, any) => {
      const both = any ? 'OR' : 'AND';
      const left = first.sql.replace(/\b(id|age)\b/g, 'u.$1');
      const right = second.sql.replace(/\bid\b/g, 'o.user_id').replace(/\bage\b/g, 'o.value');
      const sql = `SELECT * FROM users u LEFT JOIN counters o ON o.user_id = u.id WHERE (${left}) ${both} (${right})`;
      const { plan, bound } = planned(sql);
      if (plan.kind !== 'single' && plan.kind !== 'scatter') throw new Error(plan.kind);
      const routed = routeTarget(plan.target, bound, planCaches);
      if (routed.kind !== 'shards') throw new Error('nothing is to be looked up');

      const missed = ROWS.filter((user) => {
        const others: readonly Row[] = [
          { id: null, age: null },
          ...VALUES.map((age) => ({ id: user.id, age })),
        ];
        const isKept = others.some((other) => {
          const [a, b] = [first.holds(user), second.holds(other)];
          return (any ? or(a, b) : and(a, b)) === true;
        });
        return isKept && !routed.shards.includes(homeOf(user));
      });
      expect(missed).toEqual([]);
    }),
    { numRuns: 700 },
  );
});

function homeOf({ id }: Row): ShardId {
  return HOMES[(id ?? 0) & 3] as ShardId;
}

function condition(): fc.Arbitrary<Condition> {
  return fc.letrec<{ any: Condition; leaf: Condition; both: Condition; not: Condition }>((tie) => ({
    any: fc.oneof({ maxDepth: 4 }, tie('leaf'), tie('both'), tie('both'), tie('not')),
    leaf: fc.oneof(comparison(), membership(), range(), rowValue()),
    both: fc
      .tuple(tie('any'), tie('any'), fc.constantFrom('AND', 'OR', 'XOR'))
      .map(([a, b, operator]) => ({
        sql: `(${a.sql} ${operator} ${b.sql})`,
        holds: (row) => {
          const [left, right] = [a.holds(row), b.holds(row)];
          if (operator === 'AND') return and(left, right);
          if (operator === 'OR') return or(left, right);
          return left === undefined || right === undefined ? undefined : left !== right;
        },
      })),
    not: tie('any').map((inner) => ({
      sql: `NOT (${inner.sql})`,
      holds: (row) => not(inner.holds(row)),
    })),
  })).any;
}

const column = fc.constantFrom('id' as const, 'id' as const, 'age' as const);
const value = fc.constantFrom(...VALUES);

function comparison(): fc.Arbitrary<Condition> {
  const operator = fc.constantFrom('=', '=', '<=>', '<', '<=', '>', '>=', '<>');
  return fc.tuple(column, operator, value, fc.boolean()).map(([name, sign, right, turned]) => ({
    sql: turned
      ? `${text(right)} ${TURNED[sign] ?? sign} ${name}`
      : `${name} ${sign} ${text(right)}`,
    holds: (row) => compare(row[name], sign, right),
  }));
}

const TURNED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

function membership(): fc.Arbitrary<Condition> {
  const list = fc.array(value, { minLength: 1, maxLength: 4 });
  return fc.tuple(column, list, fc.boolean()).map(([name, values, negated]) => ({
    sql: `${name} ${negated ? 'NOT ' : ''}IN (${values.map(text).join(', ')})`,
    holds: (row) => {
      const found = values.map((one) => compare(row[name], '=', one)).reduce(or, false);
      return negated ? not(found) : found;
    },
  }));
}

function range(): fc.Arbitrary<Condition> {
  return fc.tuple(column, value, value, fc.boolean()).map(([name, low, high, negated]) => ({
    sql: `${name} ${negated ? 'NOT ' : ''}BETWEEN ${text(low)} AND ${text(high)}`,
    holds: (row) => {
      const inside = and(compare(row[name], '>=', low), compare(row[name], '<=', high));
      return negated ? not(inside) : inside;
    },
  }));
}

function rowValue(): fc.Arbitrary<Condition> {
  return fc.tuple(value, value, value, value).map(([a, b, c, d]) => ({
    sql: `(age, id) IN ((${text(a)}, ${text(b)}), (${text(c)}, ${text(d)}))`,
    holds: (row) =>
      or(
        and(compare(row.age, '=', a), compare(row.id, '=', b)),
        and(compare(row.age, '=', c), compare(row.id, '=', d)),
      ),
  }));
}

function text(one: number | null): string {
  return one === null ? 'NULL' : String(one);
}

function compare(left: number | null, sign: string, right: number | null): Truth {
  if (sign === '<=>') return left === right;
  if (left === null || right === null) return undefined;
  switch (sign) {
    case '=':
      return left === right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    default:
      return left !== right;
  }
}

function and(a: Truth, b: Truth): Truth {
  if (a === false || b === false) return false;
  return a === undefined || b === undefined ? undefined : true;
}

function or(a: Truth, b: Truth): Truth {
  if (a === true || b === true) return true;
  return a === undefined || b === undefined ? undefined : false;
}

function not(a: Truth): Truth {
  return a === undefined ? undefined : !a;
}
