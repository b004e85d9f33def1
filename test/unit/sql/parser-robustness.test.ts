import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fingerprinter } from '../../../src/sql/fingerprint.ts';
import { NotParsed } from '../../../src/sql/parse-error.ts';
import { parseStatement } from '../../../src/sql/parse-statement.ts';
import type { Literal } from '../../../src/sql/statement.ts';
import { MARIADB, MYSQL } from './lexical-contexts.ts';

const STATEMENTS = [
  'SELECT a, COUNT(DISTINCT b) FROM t x JOIN u USING (i) WHERE a = 1 AND b IN (1, 2) GROUP BY a ORDER BY 1 LIMIT 2, 3',
  "INSERT INTO t (a, b) VALUES (1, 'x'), (DEFAULT, NULL) ON DUPLICATE KEY UPDATE a = VALUES(a) + 1",
  'UPDATE a JOIN b ON a.i = b.i SET a.x = CASE WHEN 1 THEN 2 ELSE 3 END WHERE a.i BETWEEN 1 AND 2',
  'DELETE a, b FROM a JOIN (SELECT 1 AS i UNION SELECT 2) AS b ON a.i = b.i',
  'WITH c (x) AS ((SELECT 1) UNION ALL (SELECT 2)) SELECT ROW_NUMBER() OVER (PARTITION BY x ORDER BY x) FROM c',
  "SET NAMES utf8mb4, @a := INTERVAL 1 DAY + NOW(), @@session.sql_mode = 'x'",
  'CREATE TABLE t (a INT, PRIMARY KEY (a)) AS SELECT * FROM u',
  'SHOW FULL TABLES FROM d WHERE a LIKE 5',
  'EXPLAIN ROUTE SELECT /*+ shard(s1) */ 1',
  "LOAD DATA LOCAL INFILE 'f' INTO TABLE t",
];
const PIECES = [...new Set(STATEMENTS.flatMap((sql) => sql.match(/\w+|\s|[^\w\s]/g) ?? []))];

const shuffled = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 40 })
  .map((all) => all.join(' '));
const damaged = fc
  .tuple(fc.constantFrom(...STATEMENTS), fc.nat(200), fc.nat(5), fc.constantFrom('', ...PIECES))
  .map(([sql, at, gone, piece]) => sql.slice(0, at) + piece + sql.slice(at + gone));
const anything = fc.oneof(shuffled, damaged, fc.string({ maxLength: 60 }));

test('every text is parsed or refused, and nothing else happens', () => {
  const check = (sql: string): void => {
    for (const context of [MYSQL, MARIADB]) {
      try {
        const { span } = parseStatement(Buffer.from(sql), context);
        expect(span.end).toBeGreaterThan(span.start);
      } catch (error) {
        if (!(error instanceof NotParsed)) throw error;
      }
    }
  };

  for (const sql of STATEMENTS) expect(() => parseStatement(Buffer.from(sql), MYSQL)).not.toThrow();
  fc.assert(fc.property(anything, check), { numRuns: 3000 });
});

test('every text has a fingerprint', () => {
  const fingerprinter = new Fingerprinter();

  fc.assert(
    fc.property(anything, (sql) => {
      const text = Buffer.from(sql);
      fingerprinter.scan(text, 0, text.length, MARIADB);
      expect(fingerprinter.templateLength).toBeLessThanOrEqual(fingerprinter.statementEnd);
      expect(fingerprinter.statementEnd).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 2000 },
  );
});

/** Every literal in the tree, with its slot and span. */
function literalsOf(value: unknown): { slot: number; start: number; type: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('kind' in value && value.kind === 'literal') {
    // The shape is that of Literal: its kind says so.
    const { slot, span, type } = value as Literal;
    return [{ slot, start: span.start, type }];
  }
  return Object.values(value).flatMap(literalsOf);
}

test.each(STATEMENTS)('the fingerprint knows each literal of %s at its slot', (sql) => {
  const text = Buffer.from(sql);
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, MYSQL);

  for (const { slot, start, type } of literalsOf(parseStatement(text, MYSQL))) {
    if (slot >= 0) expect([type, fingerprinter.literals.starts[slot]]).toEqual([type, start]);
  }
});
