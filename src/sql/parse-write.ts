import { parseOrderBy } from './parse-order-by.ts';
import { bracketsLeadToQuery, startsQuery } from './parse-parentheses.ts';
import { parseLimit } from './parse-query.ts';
import { parseSelectItem } from './parse-select.ts';
import {
  parsePartitions,
  parseTableFactor,
  parseTableName,
  parseTableReferences,
} from './parse-table-reference.ts';
import { words } from './reserved-words.ts';
import type {
  Assignment,
  ColumnReference,
  DeleteStatement,
  Expression,
  InsertRow,
  InsertStatement,
  LimitClause,
  OrderItem,
  QueryExpression,
  SelectItem,
  TableName,
  UpdateStatement,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const PRIORITIES = words('LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK');
const VALUE_WORDS = words('VALUES VALUE');

type With = QueryExpression['with'];

/** INSERT and REPLACE. */
export function parseInsert(cursor: TokenCursor): InsertStatement {
  const { start } = cursor;
  const replace = cursor.is('REPLACE');
  cursor.advance();
  const options = priorities(cursor);
  const ignore = !replace && cursor.accept('IGNORE');
  cursor.accept('INTO');
  const table = insertTable(cursor);
  const columnsStart = cursor.start;
  const columns = startsColumnList(cursor) ? columnList(cursor) : undefined;
  const columnsSpan = columns === undefined ? undefined : cursor.spanFrom(columnsStart);
  const source = insertSource(cursor, columns !== undefined);
  const rowAlias = cursor.accept('AS') ? parseRowAlias(cursor) : undefined;
  const onDuplicate = cursor.is('ON') ? duplicateClause(cursor, replace) : undefined;
  const returning = returningClause(cursor);
  return {
    kind: 'insert',
    replace,
    ignore,
    options,
    table,
    ...(columns === undefined ? {} : { columns }),
    ...(columnsSpan === undefined ? {} : { columnsSpan }),
    source,
    ...(rowAlias === undefined ? {} : { rowAlias }),
    ...(onDuplicate === undefined ? {} : { onDuplicate }),
    ...(returning === undefined ? {} : { returning }),
    span: cursor.spanFrom(start),
  };
}

function priorities(cursor: TokenCursor): string[] {
  const options: string[] = [];
  while (cursor.isOneOf(PRIORITIES)) {
    options.push(cursor.word);
    cursor.advance();
  }
  return options;
}

function insertTable(cursor: TokenCursor): TableName {
  const table = parseTableName(cursor);
  if (!cursor.is('PARTITION')) return table;
  parsePartitions(cursor);
  return { ...table, partitioned: true, span: cursor.spanFrom(table.span.start) };
}

/** A bracket opens a column list unless a query stands in it. */
function startsColumnList(cursor: TokenCursor): boolean {
  return cursor.is('(') && !bracketsLeadToQuery(cursor);
}

function columnList(cursor: TokenCursor): ColumnReference[] {
  cursor.expect('(');
  const columns = cursor.is(')') ? [] : cursor.list(() => columnName(cursor));
  cursor.expect(')');
  return columns;
}

/** `c`, `t.c` or `db.t.c`. */
function columnName(cursor: TokenCursor): ColumnReference {
  const { start } = cursor;
  const parts = [cursor.identifier('a column')];
  while (parts.length < 3 && cursor.accept('.')) {
    if (cursor.kind !== TokenKind.word && !cursor.isIdentifier()) cursor.fail('a column');
    parts.push(cursor.anyName());
  }
  const span = cursor.spanFrom(start);
  const [first = '', second, third] = parts;
  if (second === undefined) return { kind: 'column', name: first, span };
  if (third === undefined) return { kind: 'column', table: first, name: second, span };
  return { kind: 'column', database: first, table: second, name: third, span };
}

function insertSource(cursor: TokenCursor, hasColumns: boolean): InsertStatement['source'] {
  const { start } = cursor;
  if (!hasColumns && cursor.accept('SET')) {
    const assignments = parseAssignments(cursor);
    return { kind: 'set', assignments, span: cursor.spanFrom(start) };
  }
  const rowFollows = cursor.wordAt(1) === '(';
  if (cursor.isOneOf(VALUE_WORDS) && rowFollows) {
    cursor.advance();
    const rows = cursor.list(() => insertRow(cursor));
    return { kind: 'values', rows, span: cursor.spanFrom(start) };
  }
  if (!startsQuery(cursor) && !cursor.is('(')) cursor.fail('VALUES, SET or a query');
  const query = cursor.query();
  return { kind: 'query', query, span: cursor.spanFrom(start) };
}

function insertRow(cursor: TokenCursor): InsertRow {
  const { start } = cursor;
  cursor.expect('(');
  const values = cursor.is(')') ? [] : cursor.list(() => givenValue(cursor));
  cursor.expect(')');
  return { values, span: cursor.spanFrom(start) };
}

/** MariaDB takes the word IGNORE for "leave the column as it is". */
function givenValue(cursor: TokenCursor): Expression {
  if (!cursor.mariadb || !cursor.is('IGNORE')) return cursor.expression();
  const span = { start: cursor.start, end: cursor.end };
  cursor.advance();
  return { kind: 'opaque', span };
}

/** AS new (a, b) behind VALUES. */
function parseRowAlias(cursor: TokenCursor): NonNullable<InsertStatement['rowAlias']> {
  if (cursor.mariadb) cursor.fail("'ON' or the end");
  const name = cursor.identifier('an alias');
  const columns: string[] = [];
  if (cursor.accept('(')) {
    columns.push(...cursor.list(() => cursor.identifier('a column')));
    cursor.expect(')');
  }
  return { name, columns };
}

function duplicateClause(cursor: TokenCursor, replace: boolean): Assignment[] {
  if (replace) cursor.fail('the end');
  cursor.expect('ON');
  cursor.expect('DUPLICATE');
  cursor.expect('KEY');
  cursor.expect('UPDATE');
  return parseAssignments(cursor);
}

function parseAssignments(cursor: TokenCursor): Assignment[] {
  return cursor.list(() => {
    const column = columnName(cursor);
    if (!cursor.accept(':=')) cursor.expect('=');
    const value = givenValue(cursor);
    return { column, value, span: cursor.spanFrom(column.span.start) };
  });
}

/** RETURNING of MariaDB. */
function returningClause(cursor: TokenCursor): SelectItem[] | undefined {
  if (!cursor.mariadb || !cursor.accept('RETURNING')) return undefined;
  return cursor.list(() => parseSelectItem(cursor));
}

export function parseUpdate(
  cursor: TokenCursor,
  withClause?: With,
  from?: number,
): UpdateStatement {
  const start = from ?? cursor.start;
  cursor.expect('UPDATE');
  const options = priorities(cursor);
  const ignore = cursor.accept('IGNORE');
  const tables = parseTableReferences(cursor);
  if (cursor.mariadb && cursor.isSequence('FOR', 'PORTION')) cursor.fail("'SET'");
  cursor.expect('SET');
  const assignments = parseAssignments(cursor);
  const tail = writeTail(cursor);
  return {
    kind: 'update',
    ignore,
    options,
    ...(withClause === undefined ? {} : { with: withClause }),
    tables,
    assignments,
    ...tail,
    span: cursor.spanFrom(start),
  };
}

interface WriteTail {
  readonly where?: Expression;
  readonly orderBy?: readonly OrderItem[];
  readonly limit?: LimitClause;
}

function writeTail(cursor: TokenCursor): WriteTail {
  const where = cursor.accept('WHERE') ? cursor.expression() : undefined;
  const orderBy = cursor.is('ORDER') ? parseOrderBy(cursor).items : undefined;
  const limit = cursor.is('LIMIT') ? parseLimit(cursor) : undefined;
  return {
    ...(where === undefined ? {} : { where }),
    ...(orderBy === undefined ? {} : { orderBy }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** DELETE FROM t, DELETE a, b FROM …, DELETE FROM a, b USING …. */
export function parseDelete(
  cursor: TokenCursor,
  withClause?: With,
  from?: number,
): DeleteStatement {
  const start = from ?? cursor.start;
  cursor.expect('DELETE');
  const options = priorities(cursor);
  const ignore = cursor.accept('IGNORE');
  const { targets, tables } = deleteTables(cursor);
  const tail = writeTail(cursor);
  const returning = returningClause(cursor);
  return {
    kind: 'delete',
    ignore,
    options,
    ...(withClause === undefined ? {} : { with: withClause }),
    targets,
    tables,
    ...tail,
    ...(returning === undefined ? {} : { returning }),
    span: cursor.spanFrom(start),
  };
}

function deleteTables(cursor: TokenCursor): Pick<DeleteStatement, 'targets' | 'tables'> {
  if (!cursor.accept('FROM')) {
    const targets = cursor.list(() => deleteTarget(cursor));
    cursor.expect('FROM');
    return { targets, tables: parseTableReferences(cursor) };
  }
  if (isTargetList(cursor)) {
    const targets = cursor.list(() => deleteTarget(cursor));
    cursor.expect('USING');
    return { targets, tables: parseTableReferences(cursor) };
  }
  return { targets: [], tables: [parseTableFactor(cursor)] };
}

/** `FROM a, b.* USING …` as opposed to `FROM t AS x WHERE …`. */
function isTargetList(cursor: TokenCursor): boolean {
  let ahead = 1;
  while (cursor.wordAt(ahead) === '.') ahead += 2;
  const word = cursor.wordAt(ahead);
  return word === ',' || word === 'USING';
}

/** `t`, `db.t`, and both with `.*` behind, which older clients write. */
function deleteTarget(cursor: TokenCursor): TableName {
  const { start } = cursor;
  const parts = [cursor.identifier('a table')];
  while (cursor.accept('.')) {
    if (cursor.accept('*')) break;
    if (parts.length === 2) cursor.fail("'*'");
    parts.push(cursor.anyName());
  }
  const span = cursor.spanFrom(start);
  const [first = '', second] = parts;
  const names = second === undefined ? { name: first } : { database: first, name: second };
  return { kind: 'table', ...names, nameSpan: span, partitioned: false, span };
}
