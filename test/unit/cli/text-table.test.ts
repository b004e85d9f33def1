import { expect, test } from 'vitest';
import { formatTable } from '../../../src/cli/text-table.ts';

test('columns are as wide as their widest cell', () => {
  const table = formatTable([
    { shard: 's1', sql: 'SELECT 1' },
    { shard: 'shard-two', sql: null },
  ]);

  expect(table.split('\n')).toEqual([
    'shard       sql',
    's1          SELECT 1',
    'shard-two   NULL',
  ]);
});

test('no rows make no table', () => {
  expect(formatTable([])).toBe('');
});
