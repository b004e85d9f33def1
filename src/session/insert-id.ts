import type { Plan } from '../plan/plan.ts';
import type { InsertStatement, Statement } from '../sql/statement.ts';
import { type Topology, tableOf } from '../topology/topology.ts';

/**
 * INSERTs that bring their own ids for an AUTO_INCREMENT column: the server's OK then names the last of
 * them, but LAST_INSERT_ID() stays what it was. Told when the statement is planned, since the plan
 * itself does not say, and remembered as long as the plan lives.
 */
export class ExplicitInsertIds {
  readonly #plans = new WeakSet<Plan>();

  note(
    plan: Plan,
    statement: Statement,
    names: { readonly topology: Topology; readonly database: string | undefined },
  ): void {
    if (statement.kind === 'insert' && bringsIds(statement, names)) this.#plans.add(plan);
  }

  has(plan: Plan): boolean {
    return this.#plans.has(plan);
  }
}

function bringsIds(
  { table, columns, source }: InsertStatement,
  names: { readonly topology: Topology; readonly database: string | undefined },
): boolean {
  const database = names.topology.databases.get(table.database ?? names.database ?? '');
  if (database === undefined) return false;
  const { schema } = tableOf(database, table.name);
  const column = schema?.autoIncrementColumn?.toLowerCase();
  if (schema === undefined || column === undefined) return false;
  if (source.kind === 'set') {
    return source.assignments.some(
      (one) => one.column.name.toLowerCase() === column && isValue(one.value),
    );
  }
  const listed = columns ?? schema.columns;
  const index = listed.findIndex((one) => one.name.toLowerCase() === column);
  if (index === -1) return false;
  if (source.kind === 'query') return true;
  return source.rows.every((row) => isValue(row.values[index]));
}

/** NULL and DEFAULT have an id generated. */
function isValue(value: { readonly kind: string; readonly type?: string } | undefined): boolean {
  return value !== undefined && value.kind !== 'default' && value.type !== 'null';
}
