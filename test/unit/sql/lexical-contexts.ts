import type { LexicalContext } from '../../../src/sql/statement.ts';

export const MARIADB: LexicalContext = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  ignoreSpace: false,
  highNotPrecedence: false,
  flavour: 'mariadb',
  serverVersion: 101119,
};

export const MYSQL: LexicalContext = { ...MARIADB, flavour: 'mysql', serverVersion: 80400 };
