import { bracketsLeadToQuery, startsQuery } from './parse-parentheses.ts';
import { words } from './reserved-words.ts';
import type {
  DerivedTable,
  Expression,
  JoinedTable,
  NestedBody,
  QueryExpression,
  TableName,
  TableReference,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const JOIN_STARTS = words('JOIN INNER CROSS STRAIGHT_JOIN LEFT RIGHT NATURAL');
const HINT_VERBS = words('USE FORCE IGNORE');
const CLOSING = words(')');
const QUERY_TAILS = words(') UNION EXCEPT INTERSECT ORDER LIMIT OFFSET FETCH FOR LOCK');
const TABLE_FUNCTIONS = words('JSON_TABLE');

/** Table references separated by commas, at least one. */
export function parseTableReferences(cursor: TokenCursor): TableReference[] {
  return cursor.list(() => parseTableReference(cursor));
}

export function parseTableReference(cursor: TokenCursor): TableReference {
  return cursor.nested(() => parseJoins(cursor, parseFactor(cursor)));
}

interface JoinWords {
  readonly type: JoinedTable['type'];
  readonly natural: boolean;
}

/**
 * The joins behind `left`. A condition belongs to the nearest join that has none yet: in
 * `a JOIN b JOIN c ON x ON y` x joins b and c. A join without condition takes all that follows.
 */
function parseJoins(cursor: TokenCursor, left: TableReference): TableReference {
  let joined = left;
  while (cursor.isOneOf(JOIN_STARTS)) {
    const join = joinWords(cursor);
    let right = parseFactor(cursor);
    const conditionNext = cursor.is('ON') || cursor.is('USING');
    if (!join.natural && !conditionNext && cursor.isOneOf(JOIN_STARTS)) {
      const first = right;
      right = cursor.nested(() => parseJoins(cursor, first));
    }
    joined = finishJoin(cursor, join, joined, right);
  }
  return joined;
}

function finishJoin(
  cursor: TokenCursor,
  join: JoinWords,
  left: TableReference,
  right: TableReference,
): JoinedTable {
  let on: Expression | undefined;
  let using: string[] | undefined;
  if (!join.natural && cursor.accept('ON')) {
    on = cursor.expression();
  } else if (!join.natural && cursor.accept('USING')) {
    cursor.expect('(');
    using = cursor.list(() => cursor.identifier('a column'));
    cursor.expect(')');
  } else if (!join.natural && (join.type === 'left' || join.type === 'right')) {
    cursor.fail("'ON' or 'USING'");
  }
  return {
    kind: 'join',
    ...join,
    left,
    right,
    ...(on === undefined ? {} : { on }),
    ...(using === undefined ? {} : { using }),
    span: cursor.spanFrom(left.span.start),
  };
}

function joinWords(cursor: TokenCursor): JoinWords {
  if (cursor.accept('STRAIGHT_JOIN')) return { type: 'straight', natural: false };
  const natural = cursor.accept('NATURAL');
  if (natural && cursor.accept('STRAIGHT_JOIN')) return { type: 'straight', natural };
  let type: JoinedTable['type'] = 'inner';
  if (cursor.is('LEFT') || cursor.is('RIGHT')) {
    type = cursor.accept('LEFT') ? 'left' : 'right';
    if (type === 'right') cursor.accept('RIGHT');
    cursor.accept('OUTER');
  } else if (!natural && cursor.accept('CROSS')) {
    type = 'cross';
  } else {
    cursor.accept('INNER');
  }
  cursor.expect('JOIN');
  return { type, natural };
}

function parseFactor(cursor: TokenCursor): TableReference {
  if (cursor.is('(')) return cursor.nested(() => bracketed(cursor));
  if (cursor.is('{')) return odbcJoin(cursor);
  if (cursor.is('LATERAL') && cursor.wordAt(1) === '(') {
    cursor.advance();
    const { start } = cursor;
    const query = bracketedQuery(cursor);
    return derived(cursor, { query, start, lateral: true });
  }
  if (TABLE_FUNCTIONS.has(cursor.word) && cursor.wordAt(1) === '(') return tableFunction(cursor);
  return parseTableFactor(cursor);
}

/** Brackets hold a query, or table references; see parse-parentheses.ts for the ambiguity. */
function bracketed(cursor: TokenCursor): TableReference {
  const { start } = cursor;
  const inner = parseBrackets(cursor);
  if (inner.kind === 'query') return derived(cursor, { query: inner.query, start, lateral: false });
  return inner.tables;
}

type Brackets =
  | { readonly kind: 'query'; readonly query: QueryExpression }
  | { readonly kind: 'tables'; readonly tables: TableReference };

function parseBrackets(cursor: TokenCursor): Brackets {
  const { start } = cursor;
  cursor.expect('(');
  if (startsQuery(cursor)) return closedQuery(cursor, cursor.query());
  if (!cursor.is('(') || !bracketsLeadToQuery(cursor)) return closedTables(cursor, start);
  const innerStart = cursor.start;
  const inner = cursor.nested(() => parseBrackets(cursor));
  if (inner.kind === 'tables') return closedTables(cursor, start, inner.tables);
  if (!QUERY_TAILS.has(cursor.word)) {
    const factor = derived(cursor, { query: inner.query, start: innerStart, lateral: false });
    return closedTables(cursor, start, factor);
  }
  const span = cursor.spanFrom(innerStart);
  const body: NestedBody = { kind: 'nested', query: inner.query, span };
  return closedQuery(cursor, cursor.queryAfter(body));
}

function closedQuery(cursor: TokenCursor, query: QueryExpression): Brackets {
  cursor.expect(')');
  return { kind: 'query', query };
}

/** The references up to the closing bracket, `first` being read already. Commas join. */
function closedTables(cursor: TokenCursor, start: number, first?: TableReference): Brackets {
  let tables = first === undefined ? parseTableReference(cursor) : parseJoins(cursor, first);
  while (cursor.accept(',')) {
    const right = parseTableReference(cursor);
    const span = { start: tables.span.start, end: right.span.end };
    tables = { kind: 'join', type: 'inner', natural: false, left: tables, right, span };
  }
  cursor.expect(')');
  return { kind: 'tables', tables: { ...tables, span: cursor.spanFrom(start) } };
}

function bracketedQuery(cursor: TokenCursor): QueryExpression {
  const brackets = parseBrackets(cursor);
  return brackets.kind === 'query' ? brackets.query : cursor.fail('a subquery');
}

/** ODBC's `{ OJ a LEFT OUTER JOIN b ON … }`. */
function odbcJoin(cursor: TokenCursor): TableReference {
  const { start } = cursor;
  cursor.expect('{');
  cursor.anyName();
  const tables = parseTableReference(cursor);
  cursor.expect('}');
  return { ...tables, span: cursor.spanFrom(start) };
}

function derived(
  cursor: TokenCursor,
  from: { readonly query: QueryExpression; readonly start: number; readonly lateral: boolean },
): DerivedTable {
  cursor.accept('AS');
  const alias = cursor.identifier('an alias for the derived table');
  const columns: string[] = [];
  if (cursor.accept('(')) {
    columns.push(...cursor.list(() => cursor.identifier('a column')));
    cursor.expect(')');
  }
  const { query, lateral } = from;
  return { kind: 'derived', query, alias, columns, lateral, span: cursor.spanFrom(from.start) };
}

/** JSON_TABLE(document, path COLUMNS (…)) AS alias. */
function tableFunction(cursor: TokenCursor): TableReference {
  const { start } = cursor;
  const name = cursor.word;
  cursor.advance();
  cursor.expect('(');
  const document = cursor.expression();
  cursor.expect(',');
  cursor.skipUntil(CLOSING);
  cursor.expect(')');
  cursor.accept('AS');
  const alias = cursor.identifier('an alias for the table function');
  const span = cursor.spanFrom(start);
  return { kind: 'function', name, arguments: [document], alias, span };
}

/** A stored table with partitions, alias and index hints. */
export function parseTableFactor(cursor: TokenCursor): TableName {
  const named = parseTableName(cursor);
  let partitioned = false;
  if (cursor.is('PARTITION')) {
    parsePartitions(cursor);
    partitioned = true;
  }
  if (cursor.mariadb && cursor.isSequence('FOR', 'SYSTEM_TIME')) {
    systemTime(cursor);
    partitioned = true;
  }
  const alias = tableAlias(cursor);
  while (cursor.isOneOf(HINT_VERBS) && /^(INDEX|KEY)$/.test(cursor.wordAt(1))) indexHint(cursor);
  return {
    ...named,
    ...(alias === undefined ? {} : { alias }),
    partitioned,
    span: cursor.spanFrom(named.span.start),
  };
}

/** `t` or `db.t`, nothing else. */
export function parseTableName(cursor: TokenCursor): TableName {
  const { start } = cursor;
  cursor.accept('.');
  // DUAL stands where a table stands and is none: it reads as a table of that name.
  const first = cursor.is('DUAL') ? cursor.anyName() : cursor.identifier('a table');
  let second: string | undefined;
  if (cursor.accept('.')) {
    if (cursor.kind !== TokenKind.word && !cursor.isIdentifier()) cursor.fail('a table');
    second = cursor.anyName();
  }
  const span = cursor.spanFrom(start);
  const names = second === undefined ? { name: first } : { database: first, name: second };
  return { kind: 'table', ...names, nameSpan: span, partitioned: false, span };
}

export function parsePartitions(cursor: TokenCursor): void {
  cursor.expect('PARTITION');
  cursor.expect('(');
  cursor.list(() => cursor.identifier('a partition'));
  cursor.expect(')');
}

function tableAlias(cursor: TokenCursor): string | undefined {
  const explicit = cursor.accept('AS');
  // WINDOW is a name in MariaDB, but begins a clause here.
  if (cursor.isIdentifier() && !cursor.is('WINDOW')) return cursor.anyName();
  return explicit ? cursor.fail('an alias') : undefined;
}

/** USE INDEX (a, b), FORCE KEY FOR JOIN (PRIMARY), IGNORE INDEX FOR ORDER BY (a). */
function indexHint(cursor: TokenCursor): void {
  cursor.advance();
  cursor.advance();
  if (cursor.accept('FOR')) {
    if (!cursor.accept('JOIN') && !cursor.acceptSequence('ORDER', 'BY')) {
      cursor.expect('GROUP');
      cursor.expect('BY');
    }
  }
  cursor.expect('(');
  if (!cursor.is(')')) cursor.list(() => indexName(cursor));
  cursor.expect(')');
}

function indexName(cursor: TokenCursor): string {
  return cursor.is('PRIMARY') ? cursor.anyName() : cursor.identifier('an index');
}

/** FOR SYSTEM_TIME AS OF x, BETWEEN x AND y, FROM x TO y, ALL. */
function systemTime(cursor: TokenCursor): void {
  cursor.acceptSequence('FOR', 'SYSTEM_TIME');
  if (cursor.accept('ALL')) return;
  if (cursor.acceptSequence('AS', 'OF')) {
    systemPoint(cursor);
  } else if (cursor.accept('BETWEEN')) {
    systemPoint(cursor);
    cursor.expect('AND');
    systemPoint(cursor);
  } else {
    cursor.expect('FROM');
    systemPoint(cursor);
    cursor.expect('TO');
    systemPoint(cursor);
  }
}

function systemPoint(cursor: TokenCursor): void {
  if (cursor.is('TRANSACTION')) cursor.advance();
  else if (cursor.is('TIMESTAMP') && cursor.kindAt(1) !== TokenKind.string) cursor.advance();
  cursor.operand();
}
