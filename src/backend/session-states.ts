import type { SessionState } from './lease.ts';

/** What makes a state; two with the same parts are the same object. */
export interface SessionStateParts {
  readonly database: string | undefined;
  readonly variables: ReadonlyMap<string, string>;
  readonly foundRows: boolean;
}

// Sessions and connections hold the states they use. What nobody holds any more goes away.
const statesByKey = new Map<string, WeakRef<SessionState>>();
const forgottenKeys = new FinalizationRegistry<string>((key) => {
  if (statesByKey.get(key)?.deref() === undefined) statesByKey.delete(key);
});
let lastId = 0;

/** The one object for these parts. Names of variables are lower case; `@x` is a user variable. */
export function internState(parts: SessionStateParts): SessionState {
  const variables = [...parts.variables].sort(([a], [b]) => (a < b ? -1 : 1));
  const key = JSON.stringify([parts.database ?? null, parts.foundRows, variables]);
  const known = statesByKey.get(key)?.deref();
  if (known !== undefined) return known;
  lastId += 1;
  const state: SessionState = Object.freeze({
    id: lastId,
    database: parts.database,
    variables: new Map(variables),
    foundRows: parts.foundRows,
  });
  statesByKey.set(key, new WeakRef(state));
  forgottenKeys.register(state, key);
  return state;
}

export function withDatabase(state: SessionState, database: string | undefined): SessionState {
  if (state.database === database) return state;
  return internState({ ...state, database });
}

/** `value` is SQL text; undefined takes the variable away, so that the shard's default holds. */
export function withVariable(
  state: SessionState,
  name: string,
  value: string | undefined,
): SessionState {
  if (state.variables.get(name) === value) return state;
  const variables = new Map(state.variables);
  if (value === undefined) variables.delete(name);
  else variables.set(name, value);
  return internState({ ...state, variables });
}

/** The state of COM_RESET_CONNECTION: database and FOUND_ROWS stay, variables go. */
export function withoutVariables(state: SessionState): SessionState {
  if (state.variables.size === 0) return state;
  return internState({ ...state, variables: new Map() });
}

/** How many different states are in use, for metrics. */
export function internedStates(): number {
  return statesByKey.size;
}
