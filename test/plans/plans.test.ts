import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ProxyError } from '../../src/errors/proxy-error.ts';
import { planned, plannedLine } from '../support/planned.ts';

/** What a statement is planned as, in the shop of test/support/plan-topology.ts. */
interface PlanCase {
  readonly comment: string;
  readonly sql: string;
  /** `shop` when absent; null: none selected. */
  readonly database?: string | null;
  /** The plan in one line, see plannedLine. */
  readonly plan?: string;
  /** Number and a part of the message. */
  readonly error?: string;
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json'));

test('there are cases', () => {
  expect(files.length).toBeGreaterThan(5);
});

describe.each(files)('%s', (file) => {
  const cases: readonly PlanCase[] = JSON.parse(
    readFileSync(join(import.meta.dirname, file), 'utf8'),
  );

  test.each(cases.map((one) => [one.comment, one.sql, one] as const))('%s: %s', (_, sql, one) => {
    const outcome = outcomeOf(sql, one.database);

    if (one.error === undefined) expect(outcome).toBe(one.plan);
    else expect(outcome).toContain(`error ${one.error}`);
  });
});

function outcomeOf(sql: string, database: string | null | undefined): string {
  try {
    return plannedLine(planned(sql, database));
  } catch (error) {
    if (error instanceof ProxyError) return `error ${error.errno} ${error.message}`;
    throw error;
  }
}
