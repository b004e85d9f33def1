import { bracketsLeadToQuery, startsQuery } from './parse-parentheses.ts';
import { parseTableName } from './parse-table-reference.ts';
import { words } from './reserved-words.ts';
import type { DdlStatement, QueryExpression, TableName } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

type Verb = DdlStatement['verb'];
type DdlObject = DdlStatement['object'];

const VERBS: Readonly<Record<string, Verb>> = {
  CREATE: 'create',
  ALTER: 'alter',
  DROP: 'drop',
  RENAME: 'rename',
  TRUNCATE: 'truncate',
  ANALYZE: 'analyze',
  OPTIMIZE: 'optimize',
  CHECK: 'check',
  REPAIR: 'repair',
};

const OBJECTS: Readonly<Record<string, DdlObject>> = {
  TABLE: 'table',
  TABLES: 'table',
  DATABASE: 'database',
  SCHEMA: 'database',
  INDEX: 'index',
  KEY: 'index',
  VIEW: 'view',
  PROCEDURE: 'routine',
  FUNCTION: 'routine',
  PACKAGE: 'routine',
  TRIGGER: 'trigger',
  EVENT: 'event',
  USER: 'user',
  USERS: 'user',
  ROLE: 'user',
  SERVER: 'other',
  SEQUENCE: 'other',
  TABLESPACE: 'other',
  LOGFILE: 'other',
  UNDO: 'other',
  INSTANCE: 'other',
  RESOURCE: 'other',
  SPATIAL_REFERENCE: 'other',
};

/** Words between the verb and the kind of object: options, algorithms, definers. */
const HEAD_END = words('( SELECT SET ;');
const ANALYZE_LOCAL = words('LOCAL NO_WRITE_TO_BINLOG');

interface Head {
  readonly verb: Verb;
  readonly object: DdlObject;
}

interface Names {
  readonly tables: readonly TableName[];
  readonly database?: string;
  readonly ifExists?: boolean;
  readonly ifNotExists?: boolean;
  readonly like?: TableName;
  readonly query?: QueryExpression;
}

export function isDdlVerb(word: string): boolean {
  return VERBS[word] !== undefined;
}

/** Verb, kind of object and names are understood; the rest of the statement stays text. */
export function parseDdl(cursor: TokenCursor): DdlStatement {
  const { start } = cursor;
  const verb = VERBS[cursor.word] ?? cursor.fail('a schema statement');
  cursor.advance();
  const head: Head = { verb, object: objectKind(cursor, verb) };
  const names = objectNames(cursor, head);
  return {
    kind: 'ddl',
    ...head,
    tables: names.tables,
    ...(names.database === undefined ? {} : { database: names.database }),
    ifExists: names.ifExists ?? false,
    ifNotExists: names.ifNotExists ?? false,
    ...(names.like === undefined ? {} : { like: names.like }),
    ...(names.query === undefined ? {} : { query: names.query }),
    span: cursor.spanFrom(start),
  };
}

/** Moves to behind the word that names the kind of object. */
function objectKind(cursor: TokenCursor, verb: Verb): DdlObject {
  if (verb === 'truncate') {
    cursor.accept('TABLE');
    return 'table';
  }
  while (cursor.isOneOf(ANALYZE_LOCAL)) cursor.advance();
  let temporary = false;
  for (;;) {
    const object = OBJECTS[cursor.word];
    if (object !== undefined && !isSkippedWord(cursor)) {
      cursor.advance();
      return object === 'table' && temporary ? 'temporary table' : object;
    }
    if (cursor.is('TEMPORARY')) temporary = true;
    if (cursor.atEnd() || cursor.kind === TokenKind.error || HEAD_END.has(cursor.word)) {
      cursor.fail('what to create, alter or drop');
    }
    cursor.advance();
  }
}

/** `DEFINER = user` may be called like an object; UNDO, LOGFILE and others have more words. */
function isSkippedWord(cursor: TokenCursor): boolean {
  return cursor.index > 0 && cursor.wordAt(-1) === '=';
}

function objectNames(cursor: TokenCursor, head: Head): Names {
  switch (head.object) {
    case 'table':
    case 'temporary table':
      return tableNames(cursor, head.verb);
    case 'database':
      return databaseName(cursor, head.verb);
    case 'index':
      return indexTable(cursor);
    case 'view':
      return viewNames(cursor, head.verb);
    case 'trigger':
      return head.verb === 'create' ? triggerTable(cursor) : rest(cursor, existence(cursor));
    case 'routine':
    case 'event':
      return head.verb === 'drop'
        ? rest(cursor, existence(cursor))
        : restOfProgram(cursor, existence(cursor));
    default:
      return rest(cursor, existence(cursor));
  }
}

type Existence = Pick<Names, 'ifExists' | 'ifNotExists'>;

function existence(cursor: TokenCursor): Existence {
  if (cursor.acceptSequence('IF', 'NOT', 'EXISTS')) return { ifNotExists: true };
  return cursor.acceptSequence('IF', 'EXISTS') ? { ifExists: true } : {};
}

/** What follows up to the end of the statement stays text. */
function rest(cursor: TokenCursor, found: Partial<Names> = {}): Names {
  return skipRest(cursor, found, (word) => word !== ';');
}

/** Semicolons too: the bodies of stored programs hold them. */
function restOfProgram(cursor: TokenCursor, found: Partial<Names> = {}): Names {
  return skipRest(cursor, found, () => true);
}

function skipRest(
  cursor: TokenCursor,
  found: Partial<Names>,
  belongs: (word: string) => boolean,
): Names {
  while (!cursor.atEnd() && belongs(cursor.word)) {
    if (cursor.kind === TokenKind.error) cursor.fail('the end');
    cursor.advance();
  }
  return { tables: [], ...found };
}

function tableNames(cursor: TokenCursor, verb: Verb): Names {
  const exists = existence(cursor);
  const tables = [parseTableName(cursor)];
  if (verb === 'rename') return renamedTables(cursor, tables, exists);
  if (verb === 'create') return createdTable(cursor, tables, exists);
  if (verb !== 'alter') {
    while (cursor.accept(',')) tables.push(parseTableName(cursor));
  }
  return rest(cursor, { tables, ...exists });
}

/** RENAME TABLE a TO b, c TO d: all four names. */
function renamedTables(cursor: TokenCursor, tables: TableName[], exists: Existence): Names {
  for (;;) {
    if (cursor.is('WAIT') || cursor.is('NOWAIT')) {
      cursor.skipUntil(words('TO'));
    }
    cursor.expect('TO');
    tables.push(parseTableName(cursor));
    if (!cursor.accept(',')) return { tables, ...exists };
    tables.push(parseTableName(cursor));
  }
}

function createdTable(cursor: TokenCursor, tables: TableName[], exists: Existence): Names {
  if (cursor.accept('LIKE')) return { tables, ...exists, like: parseTableName(cursor) };
  if (cursor.isSequence('(', 'LIKE')) {
    cursor.advance();
    cursor.advance();
    const like = parseTableName(cursor);
    cursor.expect(')');
    return { tables, ...exists, like };
  }
  // The query of CREATE TABLE … AS SELECT comes last, behind columns and options.
  while (!cursor.atEnd()) {
    const bracketedQuery = cursor.is('(') && bracketsLeadToQuery(cursor);
    if (startsCreateQuery(cursor) || bracketedQuery) {
      return { tables, ...exists, query: cursor.query() };
    }
    if (cursor.is('(')) cursor.skipParentheses();
    else if (cursor.kind === TokenKind.error || cursor.is(';')) break;
    else cursor.advance();
  }
  return rest(cursor, { tables, ...exists });
}

/** WITH SYSTEM VERSIONING is an option, VALUES belongs to partitions. */
function startsCreateQuery(cursor: TokenCursor): boolean {
  if (cursor.is('WITH')) return cursor.wordAt(1) !== 'SYSTEM' && cursor.wordAt(1) !== 'PARSER';
  return startsQuery(cursor) && !cursor.is('VALUES');
}

function databaseName(cursor: TokenCursor, verb: Verb): Names {
  const exists = existence(cursor);
  // ALTER DATABASE without a name means the current one.
  const named = verb !== 'alter' || cursor.isIdentifier();
  const database = named ? { database: cursor.identifier('a database') } : {};
  return rest(cursor, { ...database, ...exists });
}

/** CREATE INDEX i ON t (…), DROP INDEX i ON t. */
function indexTable(cursor: TokenCursor): Names {
  const exists = existence(cursor);
  if (cursor.is('PRIMARY')) cursor.advance();
  else cursor.identifier('an index');
  if (cursor.accept('USING')) cursor.advance();
  cursor.expect('ON');
  return rest(cursor, { tables: [parseTableName(cursor)], ...exists });
}

function viewNames(cursor: TokenCursor, verb: Verb): Names {
  const exists = existence(cursor);
  const tables = [parseTableName(cursor)];
  if (verb === 'drop' || verb === 'check') {
    while (cursor.accept(',')) tables.push(parseTableName(cursor));
  }
  return rest(cursor, { tables, ...exists });
}

/** CREATE TRIGGER r BEFORE INSERT ON t. */
function triggerTable(cursor: TokenCursor): Names {
  const exists = existence(cursor);
  parseTableName(cursor);
  cursor.skipUntil(words('ON'));
  cursor.expect('ON');
  return restOfProgram(cursor, { tables: [parseTableName(cursor)], ...exists });
}
