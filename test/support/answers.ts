import type { Connection, FieldPacket, ResultSetHeader } from 'mysql2/promise';

/** Everything of a statement's answer that must be the same on one server and through the proxy. */
export type Answer =
  | {
      readonly kind: 'rows';
      readonly columns: readonly string[];
      /** As text; of a prepared statement as the driver made them of binary values. */
      readonly rows: readonly (readonly unknown[])[];
    }
  | {
      readonly kind: 'ok';
      readonly affectedRows: number;
      readonly info: string;
      readonly warnings: number;
      readonly insertId: number;
    }
  | { readonly kind: 'error'; readonly errno: number; readonly message: string };

/** COM_QUERY, or COM_STMT_PREPARE and COM_STMT_EXECUTE. */
export type Protocol = 'text' | 'prepared';

/** Runs one statement and writes its answer down as plain data. */
export async function answerOf(
  connection: Connection,
  sql: string,
  options: { readonly protocol?: Protocol; readonly values?: readonly unknown[] } = {},
): Promise<Answer> {
  try {
    const { protocol = 'text', values = [] } = options;
    const [result, fields] =
      protocol === 'prepared'
        ? await connection.execute({ sql, rowsAsArray: true }, values as (string | number | null)[])
        : await connection.query({
            sql,
            rowsAsArray: true,
            typeCast: (field: { string(): string | null }) => field.string(),
          });
    if (Array.isArray(result)) {
      return {
        kind: 'rows',
        columns: (fields ?? []).map(describeColumn),
        rows: result as unknown as unknown[][],
      };
    }
    const header = result as ResultSetHeader;
    return {
      kind: 'ok',
      affectedRows: header.affectedRows,
      info: header.info,
      warnings: header.warningStatus,
      insertId: header.insertId,
    };
  } catch (error) {
    return errorAnswer(error);
  }
}

function describeColumn(field: FieldPacket): string {
  const { name, type, decimals, characterSet } = field as FieldPacket & {
    readonly type?: number;
    readonly decimals?: number;
    readonly characterSet?: number;
  };
  return `${name} type=${type} collation=${characterSet} decimals=${decimals}`;
}

function errorAnswer(error: unknown): Answer {
  const { errno, message, sqlMessage } = error as {
    readonly errno?: number;
    readonly message: string;
    readonly sqlMessage?: string;
  };
  if (errno === undefined) throw error;
  return { kind: 'error', errno, message: sqlMessage ?? message };
}

/** Rows without an ORDER BY may come in any order: both sides are sorted before they are compared. */
export function inAnyOrder(answer: Answer): Answer {
  if (answer.kind !== 'rows') return answer;
  const key = (row: readonly unknown[]): string => JSON.stringify(row);
  return { ...answer, rows: [...answer.rows].sort((a, b) => (key(a) < key(b) ? -1 : 1)) };
}
