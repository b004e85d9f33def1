import { expect, test } from 'vitest';
import { lexicalUnder } from '../../../src/session/session-state.ts';
import { lexicalKey } from '../../../src/sql/fingerprint.ts';
import { lexical, planned, plannedLine } from '../../support/planned.ts';

const SQL = "INSERT INTO users (id, name) VALUES (0, 'a')";

test('0 in a generated column takes a number from the sequence', () => {
  expect(plannedLine(planned(SQL))).toContain('1 ids for id');
});

test('under NO_AUTO_VALUE_ON_ZERO it is a value, and plans are kept apart', () => {
  const rule = lexicalUnder('STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO', lexical);

  expect(plannedLine(planned(SQL, 'shop', rule))).toBe('insert s1');
  expect(lexicalKey(rule)).not.toBe(lexicalKey(lexicalUnder('STRICT_TRANS_TABLES', lexical)));
});
