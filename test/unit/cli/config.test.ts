import { expect, test } from 'vitest';
import { describeSettings } from '../../../src/cli/config.ts';
import { DEFAULT_LIMITS } from '../../../src/topology/config-schema.ts';

test('every limit stands in the list with its default', () => {
  const settings = describeSettings();

  for (const [name, value] of Object.entries(DEFAULT_LIMITS)) {
    expect(settings.some((line) => line.startsWith(`limits.${name}: ${value} `))).toBe(true);
  }
});

test('a setting that has several branches shows all of them', () => {
  const [type] = describeSettings().filter((line) => line.includes('strategies.*.type:'));

  expect(type).toMatch(/hash \| range \| directory/);
});

test('a setting that must be there is marked', () => {
  const [host] = describeSettings().filter((line) => line.startsWith('shards.*.host:'));

  expect(host).toMatch(/\(required\)$/);
});
