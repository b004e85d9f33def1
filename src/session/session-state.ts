import type { ReplyEnd, SessionState } from '../backend/lease.ts';
import { internState } from '../backend/session-states.ts';
import type { KeyText } from '../plan/route.ts';
import { lexicalKey } from '../sql/fingerprint.ts';
import type { LexicalContext } from '../sql/statement.ts';
import type { IsolationLevel } from '../txn/transaction.ts';
import { COLLATION_UTF8MB4_GENERAL_CI } from '../wire/column-types.ts';
import {
  SERVER_STATUS_AUTOCOMMIT,
  SERVER_STATUS_IN_TRANS,
  SERVER_STATUS_NO_BACKSLASH_ESCAPES,
} from '../wire/flags.ts';
import { type ClientCharset, keyTextOf, readsAsUtf8, utf8CollationId } from './charsets.ts';

export interface Warning {
  readonly level: string;
  readonly code: number;
  readonly message: string;
}

/** SET TRANSACTION without SESSION: for the next transaction only. */
export interface TransactionCharacteristics {
  readonly isolation?: IsolationLevel;
  readonly readOnly?: boolean;
}

export interface FreshSession {
  readonly database: string | undefined;
  readonly charset: ClientCharset;
  readonly foundRows: boolean;
  readonly multiStatements?: boolean;
  readonly lexical: LexicalContext;
}

/**
 * What a session is, as data. `state` is what its leases must look like; the rest are facts that
 * no shard knows. A value in `variables` is SQL text that any server reads the same way.
 */
export class SessionData {
  readonly #fresh: FreshSession;
  #state: SessionState;
  #lexical: LexicalContext;
  #lexicalKey: number;
  #autocommit = true;
  #inTransaction = false;
  #readsAsUtf8 = true;
  #keyText: KeyText | undefined;
  nextTransaction: TransactionCharacteristics | undefined;
  /** shardgate_read = 'consistent': a read over several shards sees one moment of all of them. */
  readsConsistently = false;
  lastInsertId: number | bigint = 0;
  /** -1 after a result set and after an error, as ROW_COUNT() has it. */
  rowCount: number | bigint = 0;
  /** Undefined when no shard could tell. */
  foundRows: number | bigint | undefined = 0;
  warnings: readonly Warning[] = [];
  /** One COM_QUERY may hold several statements. */
  multiStatements: boolean;

  constructor(fresh: FreshSession) {
    this.#fresh = fresh;
    this.multiStatements = fresh.multiStatements === true;
    this.#lexical = fresh.lexical;
    this.#lexicalKey = lexicalKey(fresh.lexical);
    this.#state = initialState(fresh, fresh.database);
    this.#readCharsets();
  }

  get state(): SessionState {
    return this.#state;
  }

  get database(): string | undefined {
    return this.#state.database;
  }

  get lexical(): LexicalContext {
    return this.#lexical;
  }

  get lexicalKey(): number {
    return this.#lexicalKey;
  }

  get autocommit(): boolean {
    return this.#autocommit;
  }

  /** False while the client's text is in a character set in which a key's bytes are not UTF-8. */
  get readsAsUtf8(): boolean {
    return this.#readsAsUtf8;
  }

  /** Of text in results: that of the connection, as SET NAMES makes both alike. */
  get collationId(): number {
    const name = unquoted(this.#state.variables.get('collation_connection') ?? '');
    return utf8CollationId(name) ?? COLLATION_UTF8MB4_GENERAL_CI;
  }

  /** Undefined while every string is stored and compared as it is written. */
  get keyText(): KeyText | undefined {
    return this.#keyText;
  }

  get clientCharset(): string {
    return unquoted(this.#state.variables.get('character_set_client') ?? "'utf8mb4'");
  }

  setInTransaction(inTransaction: boolean): void {
    this.#inTransaction = inTransaction;
  }

  /** SERVER_STATUS_… for packets that the proxy makes itself. */
  get statusFlags(): number {
    return (
      (this.#inTransaction ? SERVER_STATUS_IN_TRANS : 0) |
      (this.#autocommit ? SERVER_STATUS_AUTOCOMMIT : 0) |
      (this.#lexical.noBackslashEscapes ? SERVER_STATUS_NO_BACKSLASH_ESCAPES : 0)
    );
  }

  /** COM_RESET_CONNECTION: as after the login, in the database of now. */
  reset(): void {
    const { database } = this.#state;
    this.#state = initialState(this.#fresh, database);
    this.#lexical = this.#fresh.lexical;
    this.#lexicalKey = lexicalKey(this.#lexical);
    this.#readCharsets();
    this.#autocommit = true;
    this.nextTransaction = undefined;
    this.readsConsistently = false;
    this.lastInsertId = 0;
    this.rowCount = 0;
    this.foundRows = 0;
    this.warnings = [];
  }

  setDatabase(database: string | undefined): void {
    this.#state = internState({ ...this.#state, database });
  }

  /** Values as SQL text; undefined takes the variable back to the server's default. */
  setVariables(changes: ReadonlyMap<string, string | undefined>): void {
    this.#state = stateWith(this.#state, changes);
    this.#readCharsets();
    this.#autocommit = this.#state.variables.get('autocommit') !== '0';
    if (changes.has('sql_mode')) {
      const mode = this.#state.variables.get('sql_mode');
      this.#lexical =
        mode === undefined
          ? this.#fresh.lexical
          : lexicalUnder(unquoted(mode), this.#fresh.lexical);
      this.#lexicalKey = lexicalKey(this.#lexical);
    }
  }

  #readCharsets(): void {
    const connection = this.#state.variables.get('character_set_connection') ?? "'utf8mb4'";
    this.#readsAsUtf8 = readsAsUtf8(this.clientCharset);
    this.#keyText = keyTextOf(this.clientCharset, unquoted(connection));
  }

  /** What a lease would have to look like with these changes, to try them out. */
  stateWith(changes: ReadonlyMap<string, string | undefined>): SessionState {
    return stateWith(this.#state, changes);
  }

  /** For CREATE and DROP DATABASE. */
  stateWithoutDatabase(): SessionState {
    return internState({ ...this.#state, database: undefined });
  }

  /** A statement ended; `rows` is how many a result set had, when that is known. */
  ended(
    outcome: Pick<ReplyEnd, 'kind' | 'affectedRows' | 'lastInsertId'>,
    rows: number | undefined,
  ): void {
    this.rowCount = outcome.kind === 'ok' ? outcome.affectedRows : -1;
    if (outcome.kind === 'ok' && outcome.lastInsertId !== 0) {
      this.lastInsertId = outcome.lastInsertId;
    }
    if (outcome.kind === 'rows' && rows !== undefined) this.foundRows = rows;
  }
}

function initialState(fresh: FreshSession, database: string | undefined): SessionState {
  const state = internState({ database, variables: new Map(), foundRows: fresh.foundRows });
  return stateWith(state, charsetVariables(fresh.charset));
}

/** What a login or SET NAMES says, as variables. */
export function charsetVariables({ charset, collation }: ClientCharset): Map<string, string> {
  return new Map([
    ['character_set_client', `'${charset}'`],
    ['character_set_connection', `'${charset}'`],
    ['character_set_results', `'${charset}'`],
    ['collation_connection', `'${collation}'`],
  ]);
}

function stateWith(
  state: SessionState,
  changes: ReadonlyMap<string, string | undefined>,
): SessionState {
  const variables = new Map(state.variables);
  for (const [name, value] of changes) {
    if (value === undefined) variables.delete(name);
    else variables.set(name, value);
  }
  // What connections have anyway is left out, so that most sessions are in one and the same state.
  for (const [name, value] of BASE_VARIABLES) {
    if (variables.get(name) === value) variables.delete(name);
  }
  return internState({ database: state.database, variables, foundRows: state.foundRows });
}

/** How the pools bring up a connection. */
const BASE_VARIABLES: ReadonlyMap<string, string> = new Map([
  ['autocommit', '1'],
  ['character_set_client', "'utf8mb4'"],
  ['character_set_connection', "'utf8mb4'"],
  ['character_set_results', "'utf8mb4'"],
  ['collation_connection', "'utf8mb4_general_ci'"],
]);

/** The bits of @@sql_mode that change how text is read or planned. */
export function lexicalUnder(sqlMode: string, base: LexicalContext): LexicalContext {
  const modes = new Set(sqlMode.toUpperCase().split(','));
  return {
    ...base,
    ansiQuotes: modes.has('ANSI_QUOTES'),
    noBackslashEscapes: modes.has('NO_BACKSLASH_ESCAPES'),
    pipesAsConcat: modes.has('PIPES_AS_CONCAT'),
    ignoreSpace: modes.has('IGNORE_SPACE'),
    highNotPrecedence: modes.has('HIGH_NOT_PRECEDENCE'),
    zeroIsValue: modes.has('NO_AUTO_VALUE_ON_ZERO'),
  };
}

function unquoted(value: string): string {
  return value.startsWith("'") ? value.slice(1, -1) : value;
}
