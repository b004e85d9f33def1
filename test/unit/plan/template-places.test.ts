import { expect, test } from 'vitest';
import { TemplatePlaces } from '../../../src/plan/template-places.ts';
import { Fingerprinter } from '../../../src/sql/fingerprint.ts';
import { templatePosition } from '../../../src/sql/template-position.ts';
import { lexical } from '../../support/planned.ts';

test.each([
  'SELECT 1',
  "12 'a''b' 3",
  "INSERT INTO t VALUES (100, 'long text'), (0x1F, b'1')",
  'x',
])('places of %s are those of the fingerprint, at every position', (sql) => {
  const text = Buffer.from(sql);
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, lexical);
  const places = new TemplatePlaces(fingerprinter.literals);

  for (let position = 0; position <= text.length; position++) {
    expect(places.of(position)).toBe(templatePosition(position, fingerprinter.literals));
  }
});
