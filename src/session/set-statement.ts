import { runCommand } from '../backend/run-command.ts';
import { queryCommand } from '../backend/shard-connection.ts';
import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import type { Expression, SetStatement, SetVariable } from '../sql/statement.ts';
import type { Accepted, Settings } from './accepted-settings.ts';
import { leaseAnyShard } from './any-shard.ts';
import { isSafeCharset } from './charsets.ts';
import { changeOpenBranches } from './open-branches.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionData, Warning } from './session-state.ts';
import { constantExpression, userVariableKey } from './set-expression.ts';
import {
  CHARSET_VARIABLES,
  checkAccepted,
  evaluate,
  judge,
  plainValue,
  quoted,
  readSettings,
  unsafeCharset,
} from './set-values.ts';
import { readWarnings } from './warnings.ts';

/** Variables that speak of one connection or one server: replaying them elsewhere would be wrong. */
const REFUSED: ReadonlySet<string> = new Set([
  'insert_id',
  'last_insert_id',
  'identity',
  'pseudo_thread_id',
  'pseudo_slave_mode',
  'pseudo_replica_mode',
  'sql_log_bin',
  'sql_log_off',
  'gtid_next',
  'gtid_domain_id',
  'gtid_seq_no',
  'rand_seed1',
  'rand_seed2',
  'skip_replication',
  'server_id',
]);

const READ_VARIABLE = 'shardgate_read';

const ISOLATION_LEVELS = [
  'READ UNCOMMITTED',
  'READ COMMITTED',
  'REPEATABLE READ',
  'SERIALIZABLE',
] as const;

/**
 * SET: a shard judges the values, the session remembers them, and every lease is brought to them.
 * Resolves to the warnings.
 */
export async function runSet(
  statement: SetStatement,
  text: Buffer,
  context: SessionContext,
): Promise<readonly Warning[]> {
  switch (statement.kind) {
    case 'set-transaction':
      return setTransaction(statement, context);
    case 'set-names':
      return setNames(statement, context);
    case 'set':
      return setVariables(statement.assignments, text, context);
  }
}

async function setTransaction(
  statement: SetStatement & { readonly kind: 'set-transaction' },
  context: SessionContext,
): Promise<readonly Warning[]> {
  const { isolation, readOnly } = statement;
  if (statement.scope === 'global') throw globalRefusal();
  if (statement.scope === 'next') {
    if (context.transactions.isOpen) {
      throw new ProxyError(
        'ER_CANT_CHANGE_TX_CHARACTERISTICS',
        "Transaction characteristics can't be changed while a transaction is in progress",
      );
    }
    context.data.nextTransaction = {
      ...context.data.nextTransaction,
      ...(isolation === undefined ? {} : { isolation }),
      ...(readOnly === undefined ? {} : { readOnly }),
    };
    return [];
  }
  const { flavour, serverVersion } = context.services.serverFacts().lexical;
  // MariaDB has the names of MySQL 8 since 11.1 only.
  const prefix = flavour === 'mariadb' && serverVersion < 110_100 ? 'tx' : 'transaction';
  const settings = new Map<string, string>();
  if (isolation !== undefined) {
    settings.set(`${prefix}_isolation`, `'${isolation.replace(' ', '-')}'`);
  }
  if (readOnly !== undefined) settings.set(`${prefix}_read_only`, readOnly ? '1' : '0');
  return apply(settings, context);
}

async function setNames(
  statement: SetStatement & { readonly kind: 'set-names' },
  context: SessionContext,
): Promise<readonly Warning[]> {
  const { charset, collation, form } = statement;
  if (charset !== undefined && !isSafeCharset(charset)) throw unsafeCharset(charset);
  const wanted = new Map<string, string>([
    ['names', `${form}:${charset ?? ''}:${collation ?? ''}`],
    ['database', form === 'charset' ? (context.data.database ?? '') : ''],
  ]);
  const known = context.services.acceptedSettings.get(wanted);
  if (known !== undefined) {
    await change(known.settings, context);
    return known.warnings;
  }
  const { topology } = context.services.current();
  const lease = await leaseAnyShard(context.poolLeases, topology, context.data.database);
  let accepted: Accepted;
  try {
    // SET NAMES has more to say than its variables do: which collation is a set's default depends
    // on the server. The connection is reset before anybody else gets it.
    const name = charset === undefined ? 'DEFAULT' : quoted(charset);
    const collate = collation === undefined ? '' : ` COLLATE ${quoted(collation)}`;
    const verb = form === 'names' ? 'NAMES' : 'CHARACTER SET';
    const end = await runCommand(lease, queryCommand(`SET ${verb} ${name}${collate}`));
    const warnings = end.warningCount > 0 ? await readWarnings(lease, context.logger) : [];
    accepted = { settings: await readSettings(CHARSET_VARIABLES, lease), warnings };
  } finally {
    lease.release();
  }
  context.services.acceptedSettings.add(wanted, accepted);
  await change(accepted.settings, context);
  return accepted.warnings;
}

async function setVariables(
  assignments: readonly SetVariable[],
  text: Buffer,
  context: SessionContext,
): Promise<readonly Warning[]> {
  if (assignments.some(({ name }) => name.toLowerCase() === READ_VARIABLE)) {
    setReads(assignments, text, context);
    return [];
  }
  const wanted = new Map<string, string | undefined>();
  const computed: { readonly name: string; readonly sql: Buffer }[] = [];
  for (const assignment of assignments) {
    const name = checkedName(assignment);
    const { value } = assignment;
    if (assignment.scope === 'user' && value.kind === 'column')
      await noSuchColumn(value, text, context);
    const sql = plainValue(value, text, context);
    if (sql === 'computed') {
      computed.push({ name, sql: constantExpression(value, text, context) });
      wanted.set(name, '');
    } else {
      wanted.set(name, sql);
    }
  }
  const warnings: Warning[] = [];
  if (computed.length > 0) {
    const evaluated = await evaluate(
      computed.map(({ sql }) => sql),
      context,
    );
    for (const [index, { name }] of computed.entries()) wanted.set(name, evaluated.values[index]);
    warnings.push(...evaluated.warnings);
  }
  if (oneShot(assignments, text)) nextTransaction(wanted, context);
  else warnings.push(...(await apply(wanted, context)));
  return warnings;
}

/** A word is a value for a setting only: for a user variable a shard says that there is no such column. */
async function noSuchColumn(
  { span }: Expression,
  text: Buffer,
  { poolLeases, services, data }: SessionContext,
): Promise<never> {
  const lease = await leaseAnyShard(poolLeases, services.current().topology, data.database);
  try {
    const sql = Buffer.concat([Buffer.from('SET @a = '), text.subarray(span.start, span.end)]);
    await runCommand(lease, queryCommand(sql));
  } finally {
    lease.release();
  }
  throw notSupported('a column as the value of a user variable: put strings in single quotes');
}

/** SET SESSION shardgate_read: ours alone, no shard knows it. */
function setReads(
  assignments: readonly SetVariable[],
  text: Buffer,
  context: SessionContext,
): void {
  const [only, ...others] = assignments;
  if (only === undefined || others.length > 0) {
    throw notSupported(`SET ${READ_VARIABLE} together with other variables`);
  }
  checkedName(only);
  const value = plainValue(only.value, text, context) ?? "'plain'";
  const word = value.replaceAll("'", '').toLowerCase();
  if (word !== 'consistent' && word !== 'plain') {
    throw new ProxyError(
      'ER_WRONG_VALUE_FOR_VAR',
      `Variable '${READ_VARIABLE}' can be 'plain' or 'consistent', not ${value}`,
    );
  }
  context.data.readsConsistently = word === 'consistent';
}

/** The name under which the session remembers it; refuses what cannot follow the session. */
function checkedName({ scope, name }: SetVariable): string {
  const lower = name.toLowerCase();
  switch (scope) {
    case 'user':
      return userVariableKey(name);
    case 'global':
    case 'persist':
    case 'persist_only':
      throw globalRefusal();
    default:
  }
  if (REFUSED.has(lower)) throw notSupported(`SET ${name}: it belongs to one connection`);
  if (!/^\w+$/.test(lower)) throw notSupported(`SET ${name}`);
  return lower;
}

/** Lets a shard judge the values, remembers what it made of them. */
async function apply(wanted: Settings, context: SessionContext): Promise<readonly Warning[]> {
  const { services, data } = context;
  const judged = new Map([...wanted].filter(([name]) => !name.startsWith('@')));
  const accepted = new Map(wanted);
  let warnings: readonly Warning[] = [];
  if (judged.size > 0) {
    const key = acceptedKey(judged, data);
    const known = services.acceptedSettings.get(key);
    const made = known ?? (await judge(judged, context));
    if (known === undefined) services.acceptedSettings.add(key, made);
    for (const [name, value] of made.settings) accepted.set(name, value);
    warnings = made.warnings;
  }
  checkAccepted(accepted);
  // SET autocommit = 1 commits what was open while it was off.
  if (accepted.has('autocommit') && accepted.get('autocommit') !== '0' && !data.autocommit) {
    await context.transactions.commit();
  }
  await change(accepted, context);
  return warnings;
}

/** What becomes of a character set depends on those of before. */
function acceptedKey(judged: Settings, { state }: SessionData): Settings {
  if (!CHARSET_VARIABLES.some((name) => judged.has(name))) return judged;
  const before = CHARSET_VARIABLES.map(
    (name) => [`before ${name}`, state.variables.get(name)] as const,
  );
  return new Map<string, string | undefined>([...judged, ...before]);
}

async function change(settings: Settings, context: SessionContext): Promise<void> {
  await changeOpenBranches(settings, context);
  context.data.setVariables(settings);
}

/** SET @@transaction_isolation without a scope speaks of the next transaction only. */
function oneShot(assignments: readonly SetVariable[], text: Buffer): boolean {
  const [first] = assignments;
  if (first === undefined || first.scope !== 'unscoped') return false;
  if (text[first.span.start] !== 0x40) return false;
  const isOfTransactions = /^(transaction|tx)_(isolation|read_only)$/i.test(first.name);
  if (isOfTransactions && assignments.length > 1) {
    throw notSupported('SET @@transaction_isolation together with other variables');
  }
  return isOfTransactions;
}

function nextTransaction(wanted: Settings, { data, transactions }: SessionContext): void {
  const [[name, value] = ['', undefined]] = wanted;
  const level = value?.replaceAll("'", '').replaceAll('-', ' ').toUpperCase();
  const isolation = ISOLATION_LEVELS.find((one) => one === level);
  if (transactions.isOpen || isolation === undefined) {
    throw notSupported(`SET @@${name} here: use SET TRANSACTION or SET SESSION`);
  }
  data.nextTransaction = { ...data.nextTransaction, isolation };
}

function globalRefusal(): ProxyError {
  return notSupported('SET GLOBAL and SET PERSIST: change such settings on the shards themselves');
}
