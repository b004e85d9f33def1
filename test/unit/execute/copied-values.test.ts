import { describe, expect, test } from 'vitest';
import {
  columnDefinition,
  copiedColumn,
  keyDefinition,
} from '../../../src/execute/copied-values.ts';
import { RowFields } from '../../../src/execute/row-fields.ts';
import type { ColumnSchema } from '../../../src/topology/table-schema.ts';

function column(dataType: string, more: Partial<ColumnSchema> = {}): ColumnSchema {
  return {
    name: 'c',
    dataType,
    columnType: dataType,
    nullable: true,
    hasDefault: true,
    generatedAlways: false,
    charset: undefined,
    collation: undefined,
    keyType: undefined,
    ...more,
  };
}

function literal(dataType: string, value: string | undefined): string {
  const bytes = Buffer.from(value ?? '', 'latin1');
  const row =
    value === undefined ? Buffer.of(0xfb) : Buffer.concat([Buffer.of(bytes.length), bytes]);
  return copiedColumn(column(dataType)).literal(new RowFields(1).read(row), 0);
}

describe('a value as a literal', () => {
  test.each([
    ['bigint', '18446744073709551615', '18446744073709551615'],
    ['decimal', '-0.10', '-0.10'],
    ['double', '0.1', '0.1e0'],
    ['double', '-0', '-0e0'],
    ['float', '1.5e300', '1.5e300'],
    ['bit', '255', '255'],
    ['enum', '0', '0'],
    ['varchar', "a'\\", "x'61275c'"],
    ['varchar', '', "''"],
    ['blob', '\0\xff', "x'00ff'"],
    ['json', '[]', "_utf8mb4 x'5b5d'"],
    ['date', '0000-00-00', "'0000-00-00'"],
    ['timestamp', '1700000000.125', 'FROM_UNIXTIME(1700000000.125)'],
    ['timestamp', '0', "'0000-00-00 00:00:00'"],
    ['timestamp', '0.000', "'0000-00-00 00:00:00'"],
  ])('%s %j is %s', (type, value, expected) => {
    expect(literal(type, value)).toBe(expected);
  });

  test.each(['int', 'double', 'bit', 'text', 'json', 'datetime', 'timestamp'])(
    'NULL of type %s is NULL',
    (type) => {
      expect(literal(type, undefined)).toBe('NULL');
    },
  );
});

test('a type that is not known is refused by the column', () => {
  expect(() => copiedColumn(column('tuple'))).toThrow(/tuple \(column 'c'\)/);
});

test('a column of the copy has type, character set, nullability and visibility of the original', () => {
  const name = column('varchar', {
    name: 'na`me',
    columnType: 'varchar(20)',
    charset: 'latin1',
    collation: 'latin1_bin',
    nullable: false,
    invisible: true,
  });

  expect(columnDefinition(name)).toBe(
    '`na``me` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL INVISIBLE',
  );
  expect(columnDefinition(column('longtext', { isCheckedJson: true }))).toBe(
    '`c` longtext NULL CHECK (json_valid(`c`))',
  );
});

describe('the key of the copy', () => {
  const id = column('int');

  test('is the primary key where it is unique, or where MySQL derives from it what GROUP BY determines', () => {
    const unique = { primaryKey: ['c'], isUnique: true, flavour: 'mariadb' } as const;

    expect(keyDefinition([id], unique)).toBe(', PRIMARY KEY (`c`)');
    expect(keyDefinition([id], { ...unique, isUnique: false })).toBe(', KEY (`c`)');
    expect(keyDefinition([id], { ...unique, isUnique: false, flavour: 'mysql' })).toBe(
      ', PRIMARY KEY (`c`)',
    );
  });

  test('is left out for columns that need a length for it', () => {
    const options = { primaryKey: ['c'], isUnique: true, flavour: 'mysql' } as const;

    expect(keyDefinition([column('text')], options)).toBe('');
    expect(keyDefinition([id], { ...options, primaryKey: [] })).toBe('');
  });
});
