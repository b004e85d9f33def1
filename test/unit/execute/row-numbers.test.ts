import { describe, expect, test } from 'vitest';
import { ShardError } from '../../../src/errors/shard-error.ts';
import type { InsertFacts } from '../../../src/execute/insert-text.ts';
import { firstByRow, withStatementRow } from '../../../src/execute/row-numbers.ts';
import { shardIds } from '../../../src/topology/strategy.ts';

const [s1, s2] = shardIds(['s1', 's2']);
if (s1 === undefined || s2 === undefined) throw new Error('two shards');
const insert: InsertFacts = {
  rowNumbers: new Map([
    [s1, [1, 4]],
    [s2, [2, 3]],
  ]),
  lastShard: s1,
};

function failed(shard: string, message: string): ShardError {
  return new ShardError({ errno: 1366, sqlState: 'HY000', shard, message });
}

describe('errors of a split INSERT', () => {
  test('count rows as the client wrote them', () => {
    const error = withStatementRow(failed('s1', "Incorrect value for 'a' at row 2"), insert);

    expect(error.message).toBe("Incorrect value for 'a' at row 4");
    expect(error.errno).toBe(1366);
  });

  test.each([
    'Duplicate entry 5',
    'Incorrect at row 2 of it',
    'Incorrect at row 3',
    'Incorrect at row 0',
  ])('stay as they are without a row of the shard: %s', (message) => {
    expect(withStatementRow(failed('s1', message), insert).message).toBe(message);
  });

  test('of several shards the one that one server would meet first is told', () => {
    const errors = [failed('s1', 'bad at row 2'), failed('s2', 'bad at row 1')];

    expect(firstByRow(errors, insert)).toMatchObject({ message: 'bad at row 2', shard: 's2' });
  });
});
