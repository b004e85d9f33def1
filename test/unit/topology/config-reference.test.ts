import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configReference } from '../../../src/topology/config-reference.ts';

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

test('the settings in the README are those of the schema (else: node scripts/write-config-schema.ts)', () => {
  const table = /<!-- settings -->\n\n([\s\S]*?)\n\n<!-- end of settings -->/.exec(README)?.[1];

  expect(table).toBe(configReference());
});

test('a setting is one line with its range and default', () => {
  expect(configReference()).toContain(
    '| `shards.<name>.port` | 1–65535 | `3306` | port of the primary |',
  );
});

test('alternatives of one setting share a line', () => {
  expect(configReference()).toMatch(/strategies\.<name>\.type` \| `hash`, `range`, `directory` \|/);
});
