import type { Lease } from '../backend/lease.ts';
import { runCommand } from '../backend/run-command.ts';
import { queryCommand } from '../backend/shard-connection.ts';
import { notSupported, type ProxyError } from '../errors/proxy-error.ts';
import { unquoteString } from '../sql/literal-value.ts';
import { quoteString } from '../sql/splice.ts';
import type { Expression } from '../sql/statement.ts';
import { COLLATION_BINARY } from '../wire/column-types.ts';
import type { Accepted, Settings } from './accepted-settings.ts';
import { leaseAnyShard } from './any-shard.ts';
import { isSafeCharset } from './charsets.ts';
import type { SessionContext } from './session-context.ts';
import type { Warning } from './session-state.ts';
import { literalOf } from './set-expression.ts';
import { askShard, isDoubleColumn, isNumberColumn } from './shard-question.ts';
import { readWarnings } from './warnings.ts';

/** They are set together: each of them may change others. */
export const CHARSET_VARIABLES: readonly string[] = [
  'character_set_client',
  'character_set_connection',
  'character_set_results',
  'collation_connection',
];

/** Values under which statements over several shards would be answered differently than by one server. */
const ONLY_DEFAULT: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['sql_select_limit', new Set(['18446744073709551615'])],
  ['sql_auto_is_null', new Set(['0'])],
  ['completion_type', new Set(["'NO_CHAIN'", '0'])],
]);

const REFUSED_MODES = ['ORACLE', 'EMPTY_STRING_IS_NULL', 'PAD_CHAR_TO_FULL_LENGTH'];

/** SQL text of a literal or word; 'computed' when a shard has to work it out first. */
export function plainValue(
  value: Expression,
  text: Buffer,
  context: SessionContext,
): string | 'computed' | undefined {
  if (value.kind === 'default') return undefined;
  if (value.kind === 'column' && value.table === undefined) return quoted(value.name);
  if (value.kind !== 'literal') return 'computed';
  switch (value.type) {
    case 'integer':
    case 'decimal':
    case 'float':
    case 'null':
    case 'true':
    case 'false':
      return text.toString('latin1', value.span.start, value.span.end).toUpperCase();
    case 'string': {
      if (value.slotCount !== 1 || value.charset !== undefined) return 'computed';
      const bytes = unquoteString(text, value.span, context.data.lexical);
      const isAscii = bytes.every((byte) => byte < 0x80);
      if (!isAscii) return 'computed';
      return literalOf(bytes, { isNumber: false, isBinary: false, charset: 'utf8mb4' });
    }
    default:
      return 'computed';
  }
}

/** A shard works out expressions without tables, in the session's own state. */
export async function evaluate(
  expressions: readonly Buffer[],
  context: SessionContext,
): Promise<{ readonly values: readonly string[]; readonly warnings: readonly Warning[] }> {
  const { poolLeases, services, data, logger } = context;
  const lease = await leaseAnyShard(poolLeases, services.current().topology, data.database);
  try {
    const parts = expressions.flatMap((sql) => [Buffer.from(', '), sql]);
    const sql = Buffer.concat([Buffer.from('SELECT '), ...parts.slice(1)]);
    const { columns, rows } = await askShard(lease, sql, { rowsMax: 1 });
    const values = columns.map((column, index) =>
      literalOf(rows[0]?.[index], {
        isNumber: isNumberColumn(column),
        isDouble: isDoubleColumn(column),
        isBinary: column.collationId === COLLATION_BINARY,
        charset: resultsCharset(context),
      }),
    );
    return { values, warnings: await readWarnings(lease, logger) };
  } finally {
    lease.release();
  }
}

/** A shard carries out the SET in the session's state, or says why not; what it made of it is read back. */
export async function judge(wanted: Settings, context: SessionContext): Promise<Accepted> {
  const { poolLeases, services, data, logger } = context;
  const lease = await leaseAnyShard(poolLeases, services.current().topology, data.database);
  try {
    // The connection is reset before anybody else gets it.
    const parts = [...wanted].map(([name, value]) => `@@session.${name} = ${value ?? 'DEFAULT'}`);
    const end = await runCommand(lease, queryCommand(`SET ${parts.join(', ')}`));
    const warnings = end.warningCount > 0 ? await readWarnings(lease, logger) : [];
    // Setting one of these changes others.
    const isOfCharsets = CHARSET_VARIABLES.some((name) => wanted.has(name));
    const given = [...wanted].flatMap(([name, value]) => (value === undefined ? [] : [name]));
    const names = new Set([...given, ...(isOfCharsets ? CHARSET_VARIABLES : [])]);
    const settings = await readSettings([...names], lease);
    const defaults = [...wanted].filter(([name]) => !names.has(name));
    return { settings: new Map([...settings, ...defaults]), warnings };
  } finally {
    lease.release();
  }
}

export async function readSettings(names: readonly string[], lease: Lease): Promise<Settings> {
  if (names.length === 0) return new Map();
  const list = names.map((name) => `@@session.${name}`).join(', ');
  const { columns, rows } = await askShard(lease, `SELECT ${list}`, { rowsMax: 1 });
  return new Map(
    names.map((name, index) => [
      name,
      literalOf(rows[0]?.[index], {
        isNumber: isNumberColumn(columns[index]),
        isBinary: false,
        charset: 'utf8mb4',
      }),
    ]),
  );
}

export function checkAccepted(settings: Settings): void {
  for (const [name, value] of settings) {
    if (value === undefined) continue;
    const allowed = ONLY_DEFAULT.get(name);
    if (allowed !== undefined && !allowed.has(value)) {
      throw notSupported(`SET ${name} = ${value}: leave it at its default`);
    }
    if (name === 'character_set_client' && !isSafeCharset(value.replaceAll("'", ''))) {
      throw unsafeCharset(value);
    }
    const mode = name === 'sql_mode' ? REFUSED_MODES.find((one) => value.includes(one)) : undefined;
    if (mode !== undefined) throw notSupported(`sql_mode ${mode}`);
  }
}

/** Of text in results; those that are not character sets (NULL: no conversion) are UTF-8 for us. */
function resultsCharset({ data }: SessionContext): string {
  const value = data.state.variables.get('character_set_results');
  return value === undefined || value === 'NULL' ? 'utf8mb4' : value.replaceAll("'", '');
}

export function quoted(word: string): string {
  return quoteString(word, { noBackslashEscapes: !word.includes('\\') });
}

export function unsafeCharset(charset: string): ProxyError {
  return notSupported(`the client character set ${charset}: use utf8mb4`);
}
