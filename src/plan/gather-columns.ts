import type { Expression } from '../sql/statement.ts';
import type { ColumnSchema } from '../topology/table-schema.ts';
import type { StatementBlocks } from './query-blocks.ts';
import type { TableInstance } from './scope.ts';

export type ColumnsOf = (instance: TableInstance) => readonly ColumnSchema[];

/**
 * The columns of each table that the statement may look at. Names are not resolved: a name counts for
 * every table that it could belong to, in whichever block, so that no scoping rule can be got wrong.
 */
export function usedColumns(found: StatementBlocks): ColumnsOf {
  const names = new Set<string>();
  const qualified = new Map<string, Set<string>>();
  const whole = new Set<string>();
  let everything = false;
  for (const expression of found.expressions) {
    if (expression.kind === 'column') note(expression, names, qualified);
    if (expression.kind === 'opaque') everything = true;
  }
  for (const star of selectStars(found)) {
    if (star.table === undefined) everything = true;
    else whole.add(star.table.toLowerCase());
  }
  for (const { scope, tableBody, hasNaturalJoin } of found.blocks) {
    for (const name of scope.merged) names.add(name);
    if (tableBody !== undefined || hasNaturalJoin) everything = true;
  }
  return (instance) => {
    const columns = instance.table?.schema?.columns ?? [];
    const alias = instance.alias.toLowerCase();
    if (everything || whole.has(alias)) return columns;
    const own = qualified.get(alias);
    const used = columns.filter(({ name }) => {
      const wanted = name.toLowerCase();
      return names.has(wanted) || own?.has(wanted) === true;
    });
    // COUNT(*) needs the rows, whatever is in them.
    return used.length > 0 ? used : shortest(instance, columns);
  };
}

function note(
  column: Extract<Expression, { kind: 'column' }>,
  names: Set<string>,
  qualified: Map<string, Set<string>>,
): void {
  const name = column.name.toLowerCase();
  if (column.table === undefined) {
    names.add(name);
    return;
  }
  const table = column.table.toLowerCase();
  const known = qualified.get(table) ?? new Set();
  qualified.set(table, known.add(name));
}

/** Stars of select lists; that of COUNT(*) means no column. */
function selectStars(found: StatementBlocks): readonly Extract<Expression, { kind: 'star' }>[] {
  return found.blocks.flatMap(({ select }) =>
    (select?.items ?? []).flatMap(({ expression }) =>
      expression.kind === 'star' ? [expression] : [],
    ),
  );
}

function shortest(
  instance: TableInstance,
  columns: readonly ColumnSchema[],
): readonly ColumnSchema[] {
  const key = instance.table?.schema?.primaryKey[0]?.toLowerCase();
  const column = columns.find(({ name }) => name.toLowerCase() === key) ?? columns[0];
  return column === undefined ? [] : [column];
}
