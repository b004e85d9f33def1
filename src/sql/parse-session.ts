import { isCharset } from './charset-names.ts';
import { unquoteString } from './literal-value.ts';
import { parseUserVariableName } from './parse-variable-name.ts';
import { words } from './reserved-words.ts';
import type { Expression, SetStatement, SetVariable, VariableExpression } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const SCOPES: Readonly<Record<string, VariableExpression['scope']>> = {
  GLOBAL: 'global',
  SESSION: 'session',
  LOCAL: 'local',
  PERSIST: 'persist',
  PERSIST_ONLY: 'persist_only',
};

/** Words that stand alone on the right side of a SET, where they would be no expression. */
const BARE_VALUES = words('ON ALL BINARY ROW SYSTEM');
const VALUE_ENDS = words(', ; )');

const LEVELS = {
  'READ UNCOMMITTED': ['READ', 'UNCOMMITTED'],
  'READ COMMITTED': ['READ', 'COMMITTED'],
  'REPEATABLE READ': ['REPEATABLE', 'READ'],
  SERIALIZABLE: ['SERIALIZABLE'],
} as const;

type Level = keyof typeof LEVELS;

/** SET in its forms for variables, character sets and transactions. */
export function parseSet(cursor: TokenCursor): SetStatement {
  const { start } = cursor;
  cursor.expect('SET');
  if (isTransaction(cursor)) return setTransaction(cursor, start);
  if (startsNames(cursor)) {
    const { index } = cursor;
    const names = setNames(cursor, start);
    if (!cursor.is(',')) return names;
    cursor.index = index;
  }
  const assignments = cursor.list(() => setItem(cursor)).flat();
  return { kind: 'set', assignments, span: cursor.spanFrom(start) };
}

/** One item of a SET; NAMES among others stands for the variables that it sets. */
function setItem(cursor: TokenCursor): SetVariable[] {
  if (!startsNames(cursor)) return [setVariable(cursor)];
  const { start } = cursor;
  const names = setNames(cursor, start);
  // SET CHARACTER SET takes the collation from the database: no value of a variable says that.
  if (names.kind !== 'set-names' || names.form === 'charset') return cursor.fail('SET NAMES alone');
  const { span } = names;
  const variable = (name: string, value: string | undefined): SetVariable => ({
    scope: 'session',
    name,
    value: value === undefined ? { kind: 'default', span } : { kind: 'column', name: value, span },
    span,
  });
  const set = ['client', 'results', 'connection'].map((use) =>
    variable(`character_set_${use}`, names.charset),
  );
  const { collation } = names;
  return collation === undefined ? set : [...set, variable('collation_connection', collation)];
}

/** Forms of SET that are no variables: passwords, roles and the like. */
export function isOtherSet(cursor: TokenCursor): boolean {
  const next = cursor.wordAt(1);
  if (next === 'STATEMENT' || next === 'RESOURCE') return cursor.wordAt(2) !== '=';
  if (next === 'PASSWORD' || next === 'ROLE') return true;
  return next === 'DEFAULT' && cursor.wordAt(2) === 'ROLE';
}

function isTransaction(cursor: TokenCursor): boolean {
  if (SCOPES[cursor.word] !== undefined) return cursor.wordAt(1) === 'TRANSACTION';
  return cursor.is('TRANSACTION') && cursor.wordAt(1) !== '=' && cursor.wordAt(1) !== ':=';
}

function startsNames(cursor: TokenCursor): boolean {
  if (cursor.is('NAMES')) return cursor.wordAt(1) !== '=' && cursor.wordAt(1) !== ':=';
  if (cursor.is('CHARSET')) return cursor.wordAt(1) !== '=';
  return cursor.isSequence('CHARACTER', 'SET') || cursor.isSequence('CHAR', 'SET');
}

function setNames(cursor: TokenCursor, start: number): SetStatement {
  const form = cursor.is('NAMES') ? 'names' : 'charset';
  cursor.advance();
  cursor.accept('SET');
  const charset = cursor.accept('DEFAULT') ? undefined : charsetName(cursor);
  let collation: string | undefined;
  if (form === 'names' && cursor.accept('COLLATE')) {
    collation = cursor.accept('DEFAULT') ? undefined : charsetName(cursor);
  }
  return {
    kind: 'set-names',
    ...(charset === undefined ? {} : { charset }),
    ...(collation === undefined ? {} : { collation }),
    form,
    span: cursor.spanFrom(start),
  };
}

/** A bare word or a string. */
function charsetName(cursor: TokenCursor): string {
  if (cursor.isString()) return shapingString(cursor).toLowerCase();
  if (isCharset(cursor.word.toLowerCase())) return cursor.anyName().toLowerCase();
  return cursor.identifier('a character set').toLowerCase();
}

/** The value of a string that decides what the statement is. */
export function shapingString(cursor: TokenCursor): string {
  cursor.shapingSlots.push(cursor.ordinal);
  const span = { start: cursor.start, end: cursor.end };
  const value = unquoteString(cursor.text, span, cursor.context).toString('utf8');
  cursor.advance();
  return value;
}

function setTransaction(cursor: TokenCursor, start: number): SetStatement {
  const given = SCOPES[cursor.word];
  if (given !== undefined) cursor.advance();
  const scope = given === undefined ? 'next' : given === 'global' ? 'global' : 'session';
  cursor.expect('TRANSACTION');
  let isolation: Level | undefined;
  let readOnly: boolean | undefined;
  do {
    if (cursor.acceptSequence('ISOLATION', 'LEVEL')) {
      if (isolation !== undefined) cursor.fail('one isolation level');
      isolation = isolationLevel(cursor);
    } else {
      if (readOnly !== undefined) cursor.fail('one access mode');
      readOnly = accessMode(cursor);
    }
  } while (cursor.accept(','));
  return {
    kind: 'set-transaction',
    scope,
    ...(isolation === undefined ? {} : { isolation }),
    ...(readOnly === undefined ? {} : { readOnly }),
    span: cursor.spanFrom(start),
  };
}

function isolationLevel(cursor: TokenCursor): Level {
  for (const [level, parts] of Object.entries(LEVELS)) {
    // Object.entries widens the keys of a constant.
    if (cursor.acceptSequence(...parts)) return level as Level;
  }
  return cursor.fail('an isolation level');
}

function accessMode(cursor: TokenCursor): boolean {
  cursor.expect('READ');
  if (cursor.accept('ONLY')) return true;
  cursor.expect('WRITE');
  return false;
}

function setVariable(cursor: TokenCursor): SetVariable {
  const { start } = cursor;
  const { scope, name } = variableName(cursor);
  if (!cursor.accept('=')) {
    if (!cursor.accept(':=')) cursor.fail("'='");
  }
  const value = variableValue(cursor, scope);
  return { scope, name, value, span: cursor.spanFrom(start) };
}

function variableName(cursor: TokenCursor): Pick<SetVariable, 'scope' | 'name'> {
  if (cursor.kind === TokenKind.userVariable) {
    return { scope: 'user', name: parseUserVariableName(cursor) };
  }
  if (cursor.kind === TokenKind.systemVariable) {
    cursor.advance();
    const scope = SCOPES[cursor.nameText().toUpperCase()];
    if (scope === undefined) return { scope: 'unscoped', name: dottedName(cursor, true) };
    cursor.advance();
    cursor.expect('.');
    return { scope, name: dottedName(cursor, true) };
  }
  const scope = SCOPES[cursor.word];
  const scoped = scope !== undefined && cursor.wordAt(1) !== '=' && cursor.wordAt(1) !== ':=';
  if (scoped) cursor.advance();
  return { scope: scoped ? scope : 'unscoped', name: dottedName(cursor, false) };
}

function dottedName(cursor: TokenCursor, reserved: boolean): string {
  let name = reserved ? cursor.anyName() : cursor.identifier('a variable');
  while (cursor.accept('.')) name += `.${cursor.anyName()}`;
  return name;
}

/** An expression, DEFAULT, or a bare word like ON, OFF, ALL and BINARY, which read as columns. */
function variableValue(cursor: TokenCursor, scope: SetVariable['scope']): Expression {
  const ends = cursor.kindAt(1) === TokenKind.end || VALUE_ENDS.has(cursor.wordAt(1));
  if (scope !== 'user' && ends && cursor.isOneOf(BARE_VALUES)) {
    const span = { start: cursor.start, end: cursor.end };
    return { kind: 'column', name: cursor.anyName(), span };
  }
  return cursor.expression();
}
