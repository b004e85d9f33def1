import { assert } from '../runtime/assert.ts';
import { COM_INIT_DB, COM_RESET_CONNECTION, SERVER_STATUS_IN_TRANS } from '../wire/flags.ts';
import type { SessionState } from './lease.ts';
import { runCommand } from './run-command.ts';
import { queryCommand, type ShardConnection } from './shard-connection.ts';
import { ShardStatements } from './shard-statements.ts';

/** Values that hold where a state does not name the variable; all others go to the server's DEFAULT. */
const BASE_VALUES: ReadonlyMap<string, string> = new Map([
  ['autocommit', '1'],
  ['character_set_client', "'utf8mb4'"],
  ['character_set_connection', "'utf8mb4'"],
  ['character_set_results', "'utf8mb4'"],
  ['collation_connection', "'utf8mb4_general_ci'"],
]);
const CHARSET_VARIABLES: readonly string[] = [
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'collation_connection',
];

/** No name, so that every wanted database differs from it. */
const UNKNOWN_DATABASE = '';

/** A connection with what the pool knows about the session state it is in. */
export class PooledConnection {
  readonly connection: ShardConnection;
  readonly openedMs: number;
  readonly statements = new ShardStatements();
  /** When it was last given back. */
  idleSinceMs: number;
  /** Undefined while it is in none that was asked for, or in one that is not known. */
  #state: SessionState | undefined;
  #database: string | undefined;
  #variables: ReadonlyMap<string, string> = new Map();
  /** A statement may have changed what the pool does not know of: to be reset before the next use. */
  #isDirty = false;

  constructor(connection: ShardConnection, nowMs: number) {
    this.connection = connection;
    this.openedMs = nowMs;
    this.idleSinceMs = nowMs;
  }

  get state(): SessionState | undefined {
    return this.#state;
  }

  get isDirty(): boolean {
    return this.#isDirty || (this.connection.statusFlags & SERVER_STATUS_IN_TRANS) !== 0;
  }

  /** No command takes a database or CLIENT_FOUND_ROWS back from a connection. */
  canReach(state: SessionState): boolean {
    return (
      this.connection.foundRows === state.foundRows &&
      (this.#database === undefined || state.database !== undefined)
    );
  }

  markDirty(): void {
    this.#isDirty = true;
    this.#state = undefined;
    // USE may be what was sent, and no reset takes a connection out of its database.
    this.#database = UNKNOWN_DATABASE;
  }

  /** The state after the login, whatever the server's own defaults are. */
  async setBase(): Promise<void> {
    await runCommand(this.connection, queryCommand(assignments(BASE_VALUES)));
  }

  /** Undoes what a session left behind: transactions, locks, temporary tables, variables. */
  async reset(): Promise<void> {
    this.#state = undefined;
    this.statements.clear();
    const asked = [
      runCommand(this.connection, Buffer.from([COM_RESET_CONNECTION])),
      runCommand(this.connection, queryCommand(assignments(BASE_VALUES))),
    ];
    await allSettledOrThrow(asked);
    this.#variables = new Map();
    this.#isDirty = false;
  }

  /**
   * One write for database and variables together, awaited: no statement runs in a wrong state.
   * Throws the shard's error (1049 for an unknown database); the connection can be used on.
   */
  async bringTo(state: SessionState): Promise<void> {
    if (this.#state === state) return;
    assert(this.canReach(state), 'the connection was chosen for this state');
    this.#state = undefined;
    const asked: Promise<void>[] = [];
    const { database } = state;
    if (database !== undefined && database !== this.#database) {
      asked.push(this.#use(database));
    }
    const changes = changesBetween(this.#variables, state.variables);
    if (changes.size > 0) asked.push(this.#set(changes, state.variables));
    await allSettledOrThrow(asked);
    this.#state = state;
  }

  async #use(database: string): Promise<void> {
    const command = Buffer.concat([Buffer.from([COM_INIT_DB]), Buffer.from(database)]);
    await runCommand(this.connection, command);
    this.#database = database;
  }

  async #set(
    changes: ReadonlyMap<string, string>,
    variables: ReadonlyMap<string, string>,
  ): Promise<void> {
    try {
      await runCommand(this.connection, queryCommand(assignments(changes)));
      this.#variables = variables;
    } catch (error) {
      // Some of the assignments may have come to pass.
      this.markDirty();
      throw error;
    }
  }
}

// Pipelined replies all have to come before the connection is used on, also when one is an error.
async function allSettledOrThrow(asked: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(asked)).find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function changesBetween(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const changes = new Map<string, string>();
  for (const name of before.keys()) if (!after.has(name)) changes.set(name, baseValueOf(name));
  for (const [name, value] of after) if (before.get(name) !== value) changes.set(name, value);
  if (!CHARSET_VARIABLES.some((name) => changes.has(name))) return changes;
  // Setting a character set changes the collation beside it, so they are always set together.
  for (const name of CHARSET_VARIABLES) {
    changes.delete(name);
    changes.set(name, after.get(name) ?? baseValueOf(name));
  }
  return changes;
}

function baseValueOf(name: string): string {
  return BASE_VALUES.get(name) ?? (name.startsWith('@') ? 'NULL' : 'DEFAULT');
}

function assignments(values: ReadonlyMap<string, string>): string {
  const names = namesAssignment(values);
  const rest = [...values].filter(([name]) => !names.covers.has(name));
  const parts = rest.map(([name, value]) =>
    name.startsWith('@') ? `${name}=${value}` : `@@session.${name}=${value}`,
  );
  return `SET ${[...names.parts, ...parts].join(', ')}`;
}

/**
 * SET NAMES … COLLATE gives results that collation too, as a login does; character_set_results by
 * itself would give them the default one of the character set.
 */
function namesAssignment(values: ReadonlyMap<string, string>): {
  readonly parts: readonly string[];
  readonly covers: ReadonlySet<string>;
} {
  const client = values.get('character_set_client');
  const collation = values.get('collation_connection');
  const isNamed = client?.startsWith("'") === true && collation?.startsWith("'") === true;
  if (!isNamed || client !== values.get('character_set_connection')) {
    return { parts: [], covers: new Set() };
  }
  const covers = new Set(CHARSET_VARIABLES);
  if (values.get('character_set_results') !== client) covers.delete('character_set_results');
  return { parts: [`NAMES ${client} COLLATE ${collation}`], covers };
}
