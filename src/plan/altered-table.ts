import { notSupported } from '../errors/proxy-error.ts';
import type { Table } from '../topology/topology.ts';
import { outsideBrackets, type SchemaWord, skipExistence } from './schema-words.ts';

/** What DROP, CHANGE, MODIFY and RENAME may name besides a column. */
const OTHER_PARTS = new Set([
  'CHECK',
  'CONSTRAINT',
  'FOREIGN',
  'INDEX',
  'KEY',
  'PARTITION',
  'PRIMARY',
]);

/** Throws 1235 for an ALTER TABLE that would change the shard key, or move rows where nobody looks. */
export function refuseStranding(words: readonly SchemaWord[], table: Table): void {
  const outside = outsideBrackets(words);
  const { placement, name } = table;
  if (outside.some((_, at) => renamesTable(outside, at))) {
    throw notSupported(`renaming the table '${name}' by ALTER TABLE: use RENAME TABLE`);
  }
  if (placement.kind === 'unsharded') return;
  if (words.some(({ word }) => word === 'REFERENCES')) {
    throw notSupported('adding foreign keys by ALTER TABLE: name them in CREATE TABLE');
  }
  const [key] = placement.kind === 'sharded' ? placement.keyColumns : [];
  if (key === undefined || placement.kind !== 'sharded') return;
  if (outside.some((_, at) => touchesColumn(outside, at, key.toLowerCase()))) {
    throw notSupported(`altering the shard key '${key}' of table '${name}'`);
  }
  if (outside.some((_, at) => swapsPartition(outside, at))) {
    throw notSupported(
      `moving partitions into or out of the sharded table '${name}': copy the rows with INSERT`,
    );
  }
  const [type] = placement.keyTypes;
  const isText = type === undefined || type.kind === 'text';
  if (isText && outside.some((one, at) => one.word === 'CONVERT' && isAt(outside, at + 1, 'TO'))) {
    throw notSupported(
      `CONVERT TO CHARACTER SET of table '${name}', whose shard key '${key}' is text: MODIFY its other columns one by one`,
    );
  }
}

function isAt(words: readonly SchemaWord[], at: number, word: string): boolean {
  return words[at]?.word === word;
}

function renamesTable(words: readonly SchemaWord[], at: number): boolean {
  return (
    isAt(words, at, 'RENAME') && !['COLUMN', 'INDEX', 'KEY'].includes(words[at + 1]?.word ?? '')
  );
}

function touchesColumn(words: readonly SchemaWord[], at: number, column: string): boolean {
  const verb = words[at]?.word ?? '';
  if (!['DROP', 'CHANGE', 'MODIFY', 'RENAME'].includes(verb)) return false;
  const rest = words.slice(at + 1);
  if (OTHER_PARTS.has(rest[0]?.word ?? '')) return false;
  const named = skipExistence(rest[0]?.word === 'COLUMN' ? rest.slice(1) : rest);
  return named[0]?.name === column;
}

function swapsPartition(words: readonly SchemaWord[], at: number): boolean {
  const next = words[at + 1]?.word;
  if (isAt(words, at, 'EXCHANGE')) return next === 'PARTITION';
  return isAt(words, at, 'CONVERT') && (next === 'PARTITION' || next === 'TABLE');
}
