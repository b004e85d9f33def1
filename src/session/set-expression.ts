import { notSupported } from '../errors/proxy-error.ts';
import { queryIn, walk } from '../plan/expression-walk.ts';
import { CLOCK, isRowWise } from '../plan/function-names.ts';
import { applySplices, quoteIdentifier, quoteString, type Splice } from '../sql/splice.ts';
import type { CallExpression, Expression, VariableExpression } from '../sql/statement.ts';
import type { SessionContext } from './session-context.ts';

/** Functions whose answer only the session knows, without arguments. */
type SessionFunction = 'LAST_INSERT_ID' | 'ROW_COUNT' | 'FOUND_ROWS' | 'CONNECTION_ID';

const SESSION_FUNCTIONS: ReadonlySet<string> = new Set([
  'LAST_INSERT_ID',
  'ROW_COUNT',
  'FOUND_ROWS',
  'CONNECTION_ID',
]);

/**
 * The text of an expression without tables, so that any shard gives the same value: user variables
 * and session functions are written in. Refuses what reads rows.
 */
export function constantExpression(
  expression: Expression,
  text: Buffer,
  context: SessionContext,
): Buffer {
  const splices: Splice[] = [];
  walk(expression, (node) => {
    if (queryIn(node) !== undefined) throw notSupported('subqueries in SET');
    switch (node.kind) {
      case 'variable':
        if (node.scope === 'user') splices.push(userVariable(node, context));
        return;
      case 'call':
        checkCall(node);
        if (SESSION_FUNCTIONS.has(node.name) && node.arguments.length === 0) {
          splices.push({ ...node.span, replacement: String(sessionFact(node, context)) });
        }
        return;
      case 'assign':
      case 'opaque':
      case 'column':
        throw notSupported('such an expression in SET: use literals, functions and variables');
      default:
    }
  });
  const { start, end } = expression.span;
  const relative = splices
    .map((splice) => ({ ...splice, start: splice.start - start, end: splice.end - start }))
    .sort((a, b) => a.start - b.start);
  return applySplices(text.subarray(start, end), relative);
}

function userVariable(node: VariableExpression, context: SessionContext): Splice {
  const value = context.data.state.variables.get(userVariableKey(node.name));
  return { ...node.span, replacement: value ?? 'NULL' };
}

function checkCall(call: CallExpression): void {
  const isKnown = isRowWise(call.name) || CLOCK.has(call.name) || SESSION_FUNCTIONS.has(call.name);
  // A name that is not known may be a stored function, which reads tables or writes them.
  if (call.schema !== undefined || !isKnown) throw notSupported(`${call.name}() in SET`);
  if (call.name === 'LAST_INSERT_ID' && call.arguments.length > 0) {
    throw notSupported('LAST_INSERT_ID(expr) in SET');
  }
}

function sessionFact(call: CallExpression, { data, id }: SessionContext): number | bigint {
  switch (
    call.name as SessionFunction // the caller has looked it up in the set
  ) {
    case 'LAST_INSERT_ID':
      return data.lastInsertId;
    case 'ROW_COUNT':
      return data.rowCount;
    case 'FOUND_ROWS':
      if (data.foundRows === undefined) throw notSupported('FOUND_ROWS() after that statement');
      return data.foundRows;
    case 'CONNECTION_ID':
      return id;
  }
}

export interface LiteralColumn {
  readonly isNumber: boolean;
  readonly isDouble?: boolean;
  readonly isBinary: boolean;
  readonly charset: string;
}

/** How a session state names a user variable, which is also how SQL text does. Names have no case. */
export function userVariableKey(name: string): string {
  const lower = name.toLowerCase();
  return /^[\w$.]+$/.test(lower) ? `@${lower}` : `@${quoteIdentifier(lower)}`;
}

/**
 * A value that came from a shard as SQL text that every server reads alike, whatever its sql_mode:
 * a backslash in a plain string would not be.
 */
export function literalOf(value: Buffer | undefined, column: LiteralColumn): string {
  if (value === undefined) return 'NULL';
  if (column.isNumber) {
    const text = value.toString('latin1');
    // Without an exponent it would come back as an exact number.
    return column.isDouble === true && !text.includes('e') ? `${text}e0` : text;
  }
  if (column.isBinary) return `x'${value.toString('hex')}'`;
  const isPlain = value.every((byte) => byte >= 0x20 && byte < 0x7f && byte !== 0x5c);
  return isPlain
    ? quoteString(value.toString('latin1'), { noBackslashEscapes: true })
    : `_${column.charset} x'${value.toString('hex')}'`;
}
