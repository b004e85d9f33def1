import type { KeyType } from './strategy.ts';

/** What the shards say about one table (information_schema), the same on every shard. */
export interface TableSchema {
  readonly columns: readonly ColumnSchema[];
  /** Column names of the primary key in order; empty when there is none. */
  readonly primaryKey: readonly string[];
  readonly uniqueKeys: readonly { readonly name: string; readonly columns: readonly string[] }[];
  readonly autoIncrementColumn: string | undefined;
  readonly isView: boolean;
}

export interface ColumnSchema {
  readonly name: string;
  /** information_schema.DATA_TYPE, lower case: 'int', 'varchar', 'enum'. */
  readonly dataType: string;
  readonly columnType: string;
  readonly nullable: boolean;
  readonly hasDefault: boolean;
  readonly generatedAlways: boolean;
  /** `SELECT *` leaves it out. */
  readonly invisible?: true;
  /** LONGTEXT that MariaDB takes for JSON, by its check. */
  readonly isCheckedJson?: true;
  readonly charset: string | undefined;
  readonly collation: string | undefined;
  /** How a value of this column can be a shard key; undefined when the type cannot. */
  readonly keyType: KeyType | undefined;
}

/** Column names compare without case, as in MySQL. */
export function columnNamed(schema: TableSchema, name: string): ColumnSchema | undefined {
  const wanted = name.toLowerCase();
  return schema.columns.find((column) => column.name.toLowerCase() === wanted);
}

/** The columns that an INSERT without a list, and `SELECT *`, mean. */
export function listedColumns(schema: TableSchema): readonly string[] {
  return schema.columns.filter((column) => column.invisible !== true).map(({ name }) => name);
}
