import type { ColumnReference, Expression, TableReference } from '../sql/statement.ts';
import type { KeyType, ShardId, Strategy } from '../topology/strategy.ts';
import { columnNamed } from '../topology/table-schema.ts';
import type { Table } from '../topology/topology.ts';

/** One name in a FROM clause: a stored table, or something that makes rows by itself. */
export interface TableInstance {
  /** Undefined for derived tables, common table expressions and table functions. */
  readonly table: Table | undefined;
  readonly alias: string;
  readonly placement: InstancePlacement;
  /** Lower-case names of its columns; undefined when they are not known. */
  readonly columns: ReadonlySet<string> | undefined;
}

/** Where the rows are, as far as joins care: a strategy of one shard is an unsharded table. */
export type InstancePlacement =
  | {
      readonly kind: 'sharded';
      readonly strategy: Strategy;
      readonly keyColumn: string;
      readonly keyType: KeyType | undefined;
    }
  | { readonly kind: 'reference'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'unsharded'; readonly shard: ShardId }
  /** Its rows come from other blocks of the statement, which are judged by themselves. */
  | { readonly kind: 'computed' };

/** The tables of one query block; names that are not found here are looked for in `parent`. */
export interface Scope {
  readonly instances: readonly TableInstance[];
  /** Columns that USING or NATURAL made one of two tables. */
  readonly merged: ReadonlySet<string>;
  readonly parent: Scope | undefined;
}

export interface ResolvedColumn {
  readonly instance: TableInstance;
  readonly scope: Scope;
  /** Lower case. */
  readonly name: string;
}

export function placementOf(table: Table): InstancePlacement {
  const { placement } = table;
  if (placement.kind !== 'sharded') return placement;
  const [only] = placement.strategy.shards;
  if (placement.strategy.shards.length === 1 && only !== undefined) {
    return { kind: 'unsharded', shard: only };
  }
  return {
    kind: 'sharded',
    strategy: placement.strategy,
    keyColumn: (placement.keyColumns[0] as string).toLowerCase(),
    keyType: placement.keyTypes[0],
  };
}

export function columnNames(table: Table): ReadonlySet<string> | undefined {
  if (table.schema === undefined) return undefined;
  return new Set(table.schema.columns.map((column) => column.name.toLowerCase()));
}

/** The table a column belongs to. Undefined when that is not certain. */
export function resolveColumn(column: ColumnReference, scope: Scope): ResolvedColumn | undefined {
  const name = column.name.toLowerCase();
  const { table } = column;
  if (table !== undefined) {
    const instance = scope.instances.find(
      (candidate) =>
        candidate.alias === table &&
        (column.database === undefined || candidate.table?.database === column.database),
    );
    if (instance !== undefined) return { instance, scope, name };
    return scope.parent === undefined ? undefined : resolveColumn(column, scope.parent);
  }
  return resolveUnqualified(column, name, scope);
}

function resolveUnqualified(
  column: ColumnReference,
  name: string,
  scope: Scope,
): ResolvedColumn | undefined {
  const owners = scope.instances.filter((instance) => hasColumn(instance, name) === true);
  const [first] = owners;
  if (first !== undefined) {
    const certain = owners.length === 1 || scope.merged.has(name);
    return certain ? { instance: first, scope, name } : undefined;
  }
  const possible = scope.instances.filter((instance) => hasColumn(instance, name) === undefined);
  if (possible.length === 0) {
    return scope.parent === undefined ? undefined : resolveColumn(column, scope.parent);
  }
  const [only] = possible;
  if (possible.length > 1 || only === undefined || scope.parent !== undefined) return undefined;
  return { instance: only, scope, name };
}

/** True when all columns in reach are known and this is none of them. */
export function isNoColumn(column: ColumnReference, scope: Scope): boolean {
  const name = column.name.toLowerCase();
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    if (at.instances.some((instance) => hasColumn(instance, name) !== false)) return false;
  }
  return true;
}

function hasColumn(instance: TableInstance, name: string): boolean | undefined {
  if (instance.columns !== undefined) return instance.columns.has(name);
  // A table that no shard has yet still has the key column that the config names.
  if (instance.placement.kind === 'sharded' && instance.placement.keyColumn === name) return true;
  return undefined;
}

/** The sharded table whose shard key the expression is, if it is a plain column and certain. */
export function keyOf(expression: Expression, scope: Scope): ResolvedColumn | undefined {
  if (expression.kind !== 'column') return undefined;
  const resolved = resolveColumn(expression, scope);
  if (resolved === undefined) return undefined;
  const { placement } = resolved.instance;
  return placement.kind === 'sharded' && placement.keyColumn === resolved.name
    ? resolved
    : undefined;
}

/** The schema of a plain column of a stored table. */
export function columnSchemaOf(expression: Expression, scope: Scope) {
  if (expression.kind !== 'column') return undefined;
  const resolved = resolveColumn(expression, scope);
  const schema = resolved?.instance.table?.schema;
  return schema === undefined ? undefined : columnNamed(schema, expression.name);
}

/** Names that USING and NATURAL merge in this FROM clause, lower case. */
export function mergedColumns(
  references: readonly TableReference[],
  columnsOf: (reference: TableReference) => ReadonlySet<string> | undefined,
): ReadonlySet<string> {
  const merged = new Set<string>();
  const visit = (reference: TableReference): void => {
    if (reference.kind !== 'join') return;
    visit(reference.left);
    visit(reference.right);
    for (const name of joinColumns(reference, columnsOf)) merged.add(name);
  };
  for (const reference of references) visit(reference);
  return merged;
}

/** The columns of USING, or those that NATURAL means; none when that is not known. */
export function joinColumns(
  join: Extract<TableReference, { kind: 'join' }>,
  columnsOf: (reference: TableReference) => ReadonlySet<string> | undefined,
): readonly string[] {
  if (join.using !== undefined) return join.using.map((name) => name.toLowerCase());
  if (!join.natural) return [];
  const left = columnsOf(join.left);
  const right = columnsOf(join.right);
  if (left === undefined || right === undefined) return [];
  return [...left].filter((name) => right.has(name));
}
