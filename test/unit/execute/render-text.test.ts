import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readNumber, renderText, TextPlaces } from '../../../src/execute/render-text.ts';
import type { SessionValue, TextEdit } from '../../../src/plan/plan.ts';
import { textPosition } from '../../../src/sql/template-position.ts';
import { ScriptedShards } from './scripted-shards.ts';
import { bound, context, spanOf } from './statement-fixture.ts';

const { facts } = context(new ScriptedShards(() => ({ kind: 'ok' })));

function rendered(
  sql: string,
  makeEdits: (part: (text: string) => TextEdit['span']) => TextEdit[],
): string {
  const statement = bound(sql);
  return renderText(
    statement,
    makeEdits((text) => spanOf(statement, text)),
    facts,
  ).toString();
}

describe('the text a shard gets', () => {
  test('is the client’s own bytes when there is nothing to change', () => {
    const statement = bound('SELECT 1');

    expect(renderText(statement, [], facts)).toBe(statement.text);
  });

  test('replaces at template positions, whatever the length of the literals before', () => {
    const sql = "SELECT 'a long literal', 2 FROM t WHERE a = 12345 GROUP BY b";

    expect(
      rendered(sql, (part) => [
        {
          kind: 'replace',
          span: { start: part('FROM').start, end: part('FROM').start },
          text: ', b ',
        },
        { kind: 'replace', span: part('GROUP BY b'), text: 'ORDER BY c' },
      ]),
    ).toBe("SELECT 'a long literal', 2 , b FROM t WHERE a = 12345 ORDER BY c");
  });

  test('edits come in any order', () => {
    expect(
      rendered('SELECT 1, 2', (part) => [
        { kind: 'replace', span: part('2'), text: 'two' },
        { kind: 'replace', span: part('1'), text: 'one' },
      ]),
    ).toBe('SELECT one, two');
  });

  test.each<[SessionValue, string]>([
    ['last_insert_id', '(7 | 0)'],
    ['row_count', 'CAST(3 | 0 AS SIGNED)'],
    ['found_rows', 'CAST(5 | 0 AS SIGNED)'],
    ['connection_id', '(42 | 0)'],
    ['user', "'o''neil@10.0.0.7'"],
    ['current_user', "'app@%'"],
  ])('writes the session’s %s as %s', (value, text) => {
    expect(
      rendered('SELECT f(), 1', (part) => [
        { kind: 'session-value', span: part('f()'), value, alias: 'f()' },
      ]),
    ).toBe(`SELECT ${text} AS \`f()\`, 1`);
  });

  test('composes from words and the client’s own bytes', () => {
    const statement = bound('SELECT a FROM t ORDER BY a + 5');
    const latin1 = {
      ...statement,
      text: Buffer.from('SELECT \xe4 FROM t ORDER BY \xe4 + 5', 'latin1'),
    };
    const span = (start: number, end: number) => ({ start, end });

    const text = renderText(
      latin1,
      [{ kind: 'compose', span: span(8, 8), parts: [', (', span(25, 30), ')'] }],
      facts,
    );

    expect(text.toString('latin1')).toBe('SELECT \xe4, (\xe4 + 5) FROM t ORDER BY \xe4 + 5');
  });

  test.each([
    ['LIMIT 10', 'LIMIT 10'],
    ['LIMIT 10 OFFSET 5', 'LIMIT 15'],
    ['LIMIT 18446744073709551615 OFFSET 5', 'LIMIT 18446744073709551615'],
  ])('%s becomes %s', (clause, wanted) => {
    const hasOffset = clause.includes('OFFSET');

    expect(
      rendered(`SELECT a FROM t ${clause}`, (part) => [
        {
          kind: 'limit',
          span: part(clause),
          count: { kind: 'literal', slot: 0 },
          ...(hasOffset ? { offset: { kind: 'literal', slot: 1 } } : {}),
        },
      ]),
    ).toBe(`SELECT a FROM t ${wanted}`);
  });

  test('places found one after the other are those found alone', () => {
    const piece = fc.constantFrom('a', ' , ', "'text'", '1', '12.5', 'x ', "''");
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(60)), (pieces, positions) => {
        const statement = bound(pieces.join(' '));
        const places = new TextPlaces(statement.literals);

        for (const position of positions) {
          expect(places.at(position)).toBe(textPosition(position, statement.literals));
        }
      }),
    );
  });
});

describe('the number of LIMIT', () => {
  const read = (digits: string) =>
    readNumber({ kind: 'literal', slot: 0 }, bound(`SELECT a FROM t LIMIT ${digits}`));

  test('has up to 64 bits', () => {
    expect(read('18446744073709551615')).toBe(2n ** 64n - 1n);
  });

  test('is a syntax error beyond, as on one server', () => {
    expect(() => read('18446744073709551616')).toThrow(expect.objectContaining({ errno: 1064 }));
  });
});
