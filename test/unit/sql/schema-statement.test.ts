import { expect, test } from 'vitest';
import { readCreateTable } from '../../../src/sql/schema-statement.ts';

test('columns, keys and foreign keys of CREATE TABLE are read', () => {
  const table = readCreateTable(`CREATE TABLE IF NOT EXISTS shop.\`or\`\`ders\` (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    user_id INT,
    name VARCHAR(20) COLLATE latin1_bin DEFAULT 'x',
    twice INT GENERATED ALWAYS AS (user_id * 2) STORED,
    PRIMARY KEY (id, user_id),
    UNIQUE KEY by_name (name(5)),
    CONSTRAINT f FOREIGN KEY (user_id) REFERENCES users (id)
  ) ENGINE=InnoDB`);

  expect(table).toMatchObject({
    database: 'shop',
    name: 'or`ders',
    primaryKey: ['id', 'user_id'],
    uniqueKeys: [['name']],
    foreignKeys: [{ columns: ['user_id'], table: 'users', references: ['id'] }],
  });
  expect(table?.columns).toEqual([
    {
      name: 'id',
      type: 'BIGINT',
      unsigned: true,
      nullable: false,
      autoIncrement: true,
      generated: false,
    },
    {
      name: 'user_id',
      type: 'INT',
      unsigned: false,
      nullable: false,
      autoIncrement: false,
      generated: false,
    },
    {
      name: 'name',
      type: 'VARCHAR',
      unsigned: false,
      nullable: true,
      autoIncrement: false,
      generated: false,
      collation: 'latin1_bin',
    },
    {
      name: 'twice',
      type: 'INT',
      unsigned: false,
      nullable: true,
      autoIncrement: false,
      generated: true,
    },
  ]);
});

test('keys written behind a column count like those of their own', () => {
  const table = readCreateTable('CREATE TABLE t (id INT PRIMARY KEY, code INT UNIQUE KEY)');

  expect(table?.primaryKey).toEqual(['id']);
  expect(table?.uniqueKeys).toEqual([['code']]);
});

test.each([
  ['another statement', 'SELECT 1'],
  ['what the library does not know', 'CREATE TABLE t (id INT) nonsense here'],
  [
    'a versioned comment, which the library would drop',
    'CREATE TABLE t (id INT /*!80000 , b INT */)',
  ],
  ['CREATE TABLE LIKE', 'CREATE TABLE t LIKE u'],
  ['a table made of a query', 'CREATE TABLE t AS SELECT 1 AS a'],
])('%s is left to the shards', (_name, sql) => {
  expect(readCreateTable(sql)).toBeUndefined();
});
