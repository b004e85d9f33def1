import type { Lease, SessionState } from '../backend/lease.ts';
import { prepareOn } from '../backend/prepare-on-shard.ts';
import { encodeExecute, type Parameter, type ParameterType } from '../wire/statement-packets.ts';
import type { ParameterPlace } from './parameter-places.ts';

/** A statement as the client knows it. Shards prepare it when they are first asked to execute it. */
export interface PreparedStatement {
  readonly id: number;
  readonly text: Buffer;
  /** Unqualified names are names of this one, whatever is in use when it is executed. */
  readonly database: string | undefined;
  /** Parameters of the text as the session reads it now. */
  places: readonly ParameterPlace[];
  /** Of the session's state that `places` and `key` were made for. */
  readingKey: string;
  /** How servers read the text; equal keys mean equal statements. */
  key: string;
  /** Raw definitions that PREPARE was answered with. */
  readonly columns: readonly Buffer[];
  /** Clients send the types once. */
  types: readonly ParameterType[] | undefined;
  /** Of COM_STMT_SEND_LONG_DATA since the last execution. */
  readonly longData: Map<number, Buffer[]>;
  /** Told at the next execution, since long data has no answer. */
  longDataError: Error | undefined;
}

/** One COM_STMT_EXECUTE in hand. */
export interface PreparedExecution {
  readonly statement: PreparedStatement;
  readonly parameters: readonly Parameter[];
  /** The statement's text with the values written in, by which it is routed. */
  readonly bound: Buffer;
}

/** Variables that decide what a text means when it is prepared. */
const READING_VARIABLES = [
  'sql_mode',
  'character_set_client',
  'character_set_connection',
  'collation_connection',
];

const readingKeys = new WeakMap<SessionState, string>();

export function readingKeyOf(state: SessionState): string {
  let key = readingKeys.get(state);
  if (key === undefined) {
    const values = READING_VARIABLES.map((name) => state.variables.get(name) ?? null);
    key = JSON.stringify([state.database ?? null, ...values]);
    readingKeys.set(state, key);
  }
  return key;
}

/** The command when the connection has the statement already. */
export function readyCommand(lease: Lease, execution: PreparedExecution): Buffer | undefined {
  const found = lease.statements?.find(execution.statement.key);
  return found === undefined ? undefined : encodeExecute(found.id, execution.parameters);
}

/** Statements whose text differs each time have one place on a connection. */
const CHANGED_TEXT_KEY = '';

/**
 * The command by which a shard executes it, prepared there if need be. `sql` is what the plan made
 * of the bound text: where that was changed, it is prepared as it is, without parameters.
 */
export async function commandOn(
  lease: Lease,
  sql: Buffer,
  execution: PreparedExecution,
): Promise<Buffer> {
  const { statement, parameters, bound } = execution;
  if (sql !== bound && !sql.equals(bound)) {
    const { ok } = await prepareOn(lease, sql, CHANGED_TEXT_KEY);
    return encodeExecute(ok.statementId, []);
  }
  const ready = readyCommand(lease, execution);
  if (ready !== undefined) return ready;
  const { ok } = await prepareOn(lease, statement.text, statement.key);
  return encodeExecute(ok.statementId, parameters);
}
