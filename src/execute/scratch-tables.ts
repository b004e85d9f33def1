import type { Lease, ReplyEnd, ReplySink } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import type { ShardError } from '../errors/shard-error.ts';
import { lostConnection } from './relay.ts';
import type { RoutedInput } from './routed-gather.ts';
import { queryCommand } from './shard-command.ts';

/** Commands on their way that hold more than this make the shards' rows wait. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
const ER_DUP_ENTRY = 1062;

/**
 * While rows are copied, every value that a table may hold must be taken as it is, and instants are
 * told in UTC. The bits of sql_mode by which text is read stay the session's: its conditions are read here.
 */
const COPYING =
  'SET @shardgate_sql_mode=@@sql_mode, @shardgate_time_zone=@@time_zone, ' +
  "sql_mode=CONCAT_WS(',', " +
  [
    'TRADITIONAL',
    'STRICT_TRANS_TABLES',
    'STRICT_ALL_TABLES',
    'NO_ZERO_IN_DATE',
    'NO_ZERO_DATE',
  ].reduce((modes, mode) => `REPLACE(${modes}, '${mode}', '')`, '@@sql_mode') +
  ", 'NO_AUTO_VALUE_ON_ZERO', 'ALLOW_INVALID_DATES'), time_zone='+00:00'";
const AS_BEFORE = 'SET sql_mode=@shardgate_sql_mode, time_zone=@shardgate_time_zone';
/** INSERT … SELECT would lock the rows that it reads. */
const WITHOUT_LOCKS = 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED';

/**
 * The copies of a gathered statement, TEMPORARY tables on one lease. Commands are sent without waiting;
 * the first that fails ends it all. Since the session's variables were set, the pool resets the
 * connection before anybody else gets it, which drops the tables; a crash of the proxy does, too.
 */
export class ScratchTables {
  readonly lease: Lease;
  readonly #waiting: Promise<void>[] = [];
  #waitingBytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(lease: Lease) {
    this.lease = lease;
  }

  create(inputs: readonly RoutedInput[]): void {
    this.#run(WITHOUT_LOCKS);
    this.#run(COPYING);
    for (const { create, input } of inputs) {
      this.#run(create, { refusal: (error) => notCopied(input.table.name, error) });
    }
  }

  /** Rows of the server itself. `counted` is told how many there were. */
  copyOwn(sql: Buffer, routed: RoutedInput, counted: (rows: number) => void): void {
    this.#run(sql, {
      refusal: (error) => refusedRow(routed, error),
      done: (end) => counted(Number(end.affectedRows)),
    });
  }

  insert(values: string, routed: RoutedInput): void {
    this.#run(`${routed.insert}VALUES ${values}`, {
      refusal: (error) => refusedRow(routed, error),
      done: (end) => {
        const mayWarn = routed.input.columns.some(({ dataType }) => dataType === 'enum');
        if (end.warningCount > 0 && !mayWarn) throw changedValue(routed);
      },
    });
  }

  /** Waits while too much is under way. Throws what went wrong so far. */
  async room(): Promise<void> {
    while (this.#waitingBytes > WAITING_BYTES_MAX && this.#failure === undefined) {
      await this.#waiting[0];
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** All rows are in: the connection is as the session's again, for the statement to follow. */
  async finish(): Promise<void> {
    await this.settle();
    this.#run(AS_BEFORE);
  }

  async settle(): Promise<void> {
    while (this.#waiting.length > 0) await this.#waiting[0];
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #run(
    sql: string | Buffer,
    options: {
      readonly refusal?: (error: ShardError) => unknown;
      readonly done?: (end: ReplyEnd) => void;
    } = {},
  ): void {
    const command = queryCommand(sql);
    this.#waitingBytes += command.length;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(promise);
    const ended = (failure: { readonly error: unknown } | undefined): void => {
      this.#failure ??= failure;
      this.#waiting.shift();
      this.#waitingBytes -= command.length;
      resolve();
    };
    const sink: ReplySink = {
      onReplyBytes: () => undefined,
      onReplyEnd: (end) => ended(failureOf(end, options)),
      onReplyLost: (cause) => ended({ error: lostConnection(this.lease.shard, cause) }),
    };
    this.lease.send(command, sink);
  }
}

function failureOf(
  end: ReplyEnd,
  options: {
    readonly refusal?: (error: ShardError) => unknown;
    readonly done?: (end: ReplyEnd) => void;
  },
): { readonly error: unknown } | undefined {
  if (end.error !== undefined) return { error: options.refusal?.(end.error) ?? end.error };
  try {
    options.done?.(end);
    return undefined;
  } catch (error) {
    return { error };
  }
}

function notCopied(table: string, cause: ShardError): ProxyError {
  return new ProxyError(
    'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
    `Rows of table '${table}' could not be gathered on one server: ${cause.message}`,
    { cause },
  );
}

function refusedRow({ input }: RoutedInput, cause: ShardError): unknown {
  if (cause.errno !== ER_DUP_ENTRY) return cause;
  return new ProxyError(
    'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
    `Table '${input.table.name}' has rows with one primary key on several shards, which no single server could ` +
      `have: ${cause.message}`,
    { cause },
  );
}

function changedValue({ input }: RoutedInput): ProxyError {
  return new ProxyError(
    'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
    `A value of table '${input.table.name}' did not come through unchanged; the table's columns differ between the ` +
      'shards, or were changed without Shardgate',
  );
}
