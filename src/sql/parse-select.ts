import { unquoteString } from './literal-value.ts';
import { parseOrderItem } from './parse-order-by.ts';
import { parseTableReferences } from './parse-table-reference.ts';
import { parseWindow } from './parse-window.ts';
import { words } from './reserved-words.ts';
import type {
  Expression,
  SelectBlock,
  SelectItem,
  Span,
  TableReference,
  WindowReference,
} from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';
import { TokenKind } from './tokenizer.ts';

const OPTIONS = words(`
  ALL DISTINCT DISTINCTROW HIGH_PRIORITY STRAIGHT_JOIN SQL_SMALL_RESULT SQL_BIG_RESULT
  SQL_BUFFER_RESULT SQL_CACHE SQL_NO_CACHE SQL_CALC_FOUND_ROWS
`);

/** Only MySQL 5.7 and MariaDB know SQL_CACHE; in newer MySQL it is a name. */
const CACHE_GONE_VERSION = 80000;

const FILE_OPTIONS_END = words('FROM FOR LOCK UNION ORDER LIMIT ) ;');

export interface IntoClause {
  readonly kind: 'outfile' | 'dumpfile' | 'variables';
  readonly span: Span;
}

export interface ParsedBlock {
  readonly block: SelectBlock;
  /** INTO between the select list and FROM belongs to the whole query. */
  readonly into?: IntoClause;
}

/** SELECT up to HAVING and WINDOW; the current token is SELECT. */
export function parseSelectBlock(cursor: TokenCursor): ParsedBlock {
  const { start } = cursor;
  cursor.expect('SELECT');
  const options = selectOptions(cursor);
  const itemsStart = cursor.start;
  const items = cursor.list(() => parseSelectItem(cursor));
  const itemsSpan = cursor.spanFrom(itemsStart);
  const into = cursor.is('INTO') ? parseInto(cursor) : undefined;
  const from = cursor.accept('FROM') ? fromClause(cursor) : [];
  const where = cursor.accept('WHERE') ? cursor.expression() : undefined;
  const groupBy = cursor.is('GROUP') ? groupByClause(cursor) : undefined;
  const having = cursor.accept('HAVING') ? cursor.expression() : undefined;
  const windows = cursor.isSequence('WINDOW') ? windowClause(cursor) : [];
  const block: SelectBlock = {
    kind: 'select',
    distinct: options.includes('DISTINCT') || options.includes('DISTINCTROW'),
    options: options.filter((option) => !option.startsWith('DISTINCT') && option !== 'ALL'),
    items,
    itemsSpan,
    from,
    ...(where === undefined ? {} : { where }),
    ...(groupBy === undefined ? {} : { groupBy }),
    ...(having === undefined ? {} : { having }),
    windows,
    span: cursor.spanFrom(start),
  };
  return into === undefined ? { block } : { block, into };
}

function selectOptions(cursor: TokenCursor): string[] {
  const options: string[] = [];
  while (cursor.isOneOf(OPTIONS)) {
    if (cursor.is('SQL_CACHE') && !knowsQueryCache(cursor)) break;
    options.push(cursor.word);
    cursor.advance();
  }
  if (options.includes('ALL') && options.some((option) => option.startsWith('DISTINCT'))) {
    cursor.fail('ALL or DISTINCT, not both');
  }
  return options;
}

function knowsQueryCache(cursor: TokenCursor): boolean {
  return cursor.mariadb || cursor.context.serverVersion < CACHE_GONE_VERSION;
}

export function parseSelectItem(cursor: TokenCursor): SelectItem {
  const { start } = cursor;
  if (cursor.accept('*')) {
    const span = cursor.spanFrom(start);
    return { expression: { kind: 'star', span }, span };
  }
  const expression = cursor.expression();
  if (expression.kind === 'star') return { expression, span: expression.span };
  const alias = selectAlias(cursor);
  const span = cursor.spanFrom(start);
  return alias === undefined ? { expression, span } : { expression, alias, span };
}

/** A name or a string, with AS or without. */
function selectAlias(cursor: TokenCursor): string | undefined {
  const explicit = cursor.accept('AS');
  if (cursor.isString()) {
    cursor.shapingSlots.push(cursor.ordinal);
    const { text, start, end, context } = cursor;
    const { noBackslashEscapes } = context;
    const alias = unquoteString(text, { start, end }, { noBackslashEscapes }).toString('utf8');
    cursor.advance();
    return alias;
  }
  if (explicit) return cursor.identifier('an alias');
  if (!cursor.isIdentifier() || isClauseStart(cursor)) return undefined;
  return cursor.anyName();
}

/** Words that are names elsewhere, but begin what follows a select list. */
function isClauseStart(cursor: TokenCursor): boolean {
  return cursor.is('WINDOW') && cursor.kindAt(1) !== TokenKind.end && cursor.wordAt(2) === 'AS';
}

function fromClause(cursor: TokenCursor): readonly TableReference[] {
  const tables = parseTableReferences(cursor);
  const [only] = tables;
  const dual = tables.length === 1 && only?.kind === 'table' && isDual(cursor, only.nameSpan);
  return dual ? [] : tables;
}

function isDual(cursor: TokenCursor, span: Span): boolean {
  return cursor.text.toString('latin1', span.start, span.end).toUpperCase() === 'DUAL';
}

function groupByClause(cursor: TokenCursor): NonNullable<SelectBlock['groupBy']> {
  const { start } = cursor;
  cursor.expect('GROUP');
  cursor.expect('BY');
  const items = cursor.list(() => parseOrderItem(cursor));
  const rollup = cursor.acceptSequence('WITH', 'ROLLUP');
  return { items, rollup, span: cursor.spanFrom(start) };
}

function windowClause(cursor: TokenCursor): { name: string; window: WindowReference }[] {
  cursor.expect('WINDOW');
  return cursor.list(() => {
    const name = cursor.identifier('a window');
    cursor.expect('AS');
    return { name, window: parseWindow(cursor) };
  });
}

/** INTO OUTFILE 'f' …, INTO DUMPFILE 'f', INTO @a, @b; the current token is INTO. */
export function parseInto(cursor: TokenCursor): IntoClause {
  const { start } = cursor;
  cursor.expect('INTO');
  if (cursor.is('OUTFILE') || cursor.is('DUMPFILE')) {
    const kind = cursor.is('OUTFILE') ? 'outfile' : 'dumpfile';
    cursor.advance();
    if (!cursor.isString()) cursor.fail('a file name');
    cursor.advance();
    while (!FILE_OPTIONS_END.has(cursor.word) && !cursor.atEnd()) fileOption(cursor);
    return { kind, span: cursor.spanFrom(start) };
  }
  cursor.list(() => variableTarget(cursor));
  return { kind: 'variables', span: cursor.spanFrom(start) };
}

function fileOption(cursor: TokenCursor): void {
  if (cursor.kind === TokenKind.error) cursor.fail('an option of OUTFILE');
  cursor.advance();
}

/** A user variable, or the name of a stored program's variable. */
function variableTarget(cursor: TokenCursor): Expression | undefined {
  if (cursor.kind === TokenKind.userVariable) cursor.advance();
  else cursor.identifier('a variable');
  return undefined;
}
