import { ProxyError } from '../errors/proxy-error.ts';
import { relaySingle } from '../execute/relay.ts';
import { unreachable } from '../runtime/assert.ts';
import { shardsOfTable, tableOf } from '../topology/topology.ts';
import { type ClientCommand, decodeClientCommand } from '../wire/client-command.ts';
import { COM_QUERY, MYSQL_OPTION_MULTI_STATEMENTS_ON } from '../wire/flags.ts';
import { errorReply } from './error-reply.ts';
import { useDatabase } from './local-statements.ts';
import { QueryCommand } from './query-command.ts';
import type { SessionContext } from './session-context.ts';
import { killSession } from './show-statements.ts';
import { StatementCommands } from './statement-commands.ts';
import { warningOfError } from './warnings.ts';

/** What a command does to the session itself. */
export interface SessionControl {
  /** Closes once everything is sent. */
  readonly quit: () => void;
  /** Closes at once: the client would take half an answer for a whole one. */
  readonly cut: () => void;
  /** Logs in again; `sequence` is that of the next packet. */
  readonly changeUser: (payload: Buffer, sequence: number) => void;
}

/** Carries out the commands of a session that is logged in, one at a time. */
export class CommandRunner {
  readonly #context: SessionContext;
  readonly #control: SessionControl;
  readonly #query: QueryCommand;
  readonly #statements: StatementCommands;
  readonly #startedMs: number;

  constructor(context: SessionContext, control: SessionControl) {
    this.#context = context;
    this.#control = control;
    this.#query = new QueryCommand(context, control);
    this.#statements = new StatementCommands(context, this.#query);
    this.#startedMs = context.services.clock.monotonicMs();
  }

  /** `sequence` is that of the answer; `done` is called when the answer is complete. */
  run(payload: Buffer, sequence: number, done: () => void): void {
    this.#context.writer.begin(sequence);
    if (payload[0] === COM_QUERY) {
      this.#query.run(payload, done);
      return;
    }
    let finished: Promise<void> | undefined;
    try {
      const command = decodeClientCommand(payload);
      if (command.kind === 'quit') {
        this.#control.quit();
        return;
      }
      if (command.kind === 'change-user') {
        void this.#changeUser(command.payload, sequence);
        return;
      }
      if (command.kind === 'execute') {
        this.#statements.execute(payload, command.statementId, done);
        return;
      }
      finished = this.#carryOut(command, payload);
    } catch (error) {
      this.#fail(error);
    }
    if (finished === undefined) done();
    else void finished.catch((error: unknown) => this.#fail(error)).then(done);
  }

  /** The connection is gone: the statement is stopped and the transaction rolled back. */
  clientGone(): void {
    this.#query.clientGone();
  }

  /** The statement in hand takes too long. */
  timeOut(): void {
    this.#query.timeOut();
  }

  /** Commands that are answered at once return nothing. */
  #carryOut(
    command: Exclude<ClientCommand, { kind: 'quit' | 'change-user' | 'execute' }>,
    payload: Buffer,
  ): Promise<void> | undefined {
    const { writer } = this.#context;
    switch (command.kind) {
      case 'query':
        throw new Error('queries have a way of their own');
      case 'ping':
        writer.plainOk();
        return undefined;
      case 'statistics':
        writer.packet(Buffer.from(this.#statistics()));
        return undefined;
      case 'init-db':
        return this.#use(command.database.toString());
      case 'field-list':
        return this.#fieldList(command.table.toString(), payload);
      case 'set-option':
        if (command.option > 1) throw unknownCommand();
        this.#context.data.multiStatements = command.option === MYSQL_OPTION_MULTI_STATEMENTS_ON;
        writer.eof();
        return undefined;
      case 'reset-connection':
        return this.#reset();
      case 'prepare':
        return this.#statements.prepare(command.text);
      case 'long-data':
        this.#statements.longData(command);
        return undefined;
      case 'close-statement':
        this.#statements.close(command.statementId);
        return undefined;
      case 'reset-statement':
        this.#statements.reset(command.statementId);
        return undefined;
      case 'fetch':
        return this.#statements.fetch(command.statementId);
      case 'process-kill':
        killSession(this.#context, { id: command.threadId, queryOnly: false });
        writer.plainOk();
        return undefined;
      case 'unknown':
        throw unknownCommand();
      default:
        return unreachable(command);
    }
  }

  async #use(database: string): Promise<void> {
    await useDatabase(database, this.#context.services.current(), this.#context);
    this.#context.writer.plainOk();
  }

  /** A shard that has the table lists its columns; the reply passes through. */
  async #fieldList(table: string, payload: Buffer): Promise<void> {
    const { data, services, poolLeases, writer } = this.#context;
    const database = services.current().topology.databases.get(data.database ?? '');
    if (database === undefined) throw new ProxyError('ER_NO_DB_ERROR', 'No database selected');
    const [shard] = shardsOfTable(tableOf(database, table));
    if (shard === undefined) throw new Error(`no shard has ${database.name}.${table}`);
    const lease = await poolLeases.lease(shard);
    await new Promise<void>((resolve, reject) => {
      const done = (end: unknown, error: Error | undefined): void => {
        if (end !== undefined) lease.release();
        if (error === undefined) resolve();
        else reject(error);
      };
      relaySingle({ lease, command: payload, reply: writer, done });
    });
  }

  /** COM_RESET_CONNECTION keeps user and database, and clears all else. */
  async #reset(): Promise<void> {
    const { transactions, data, writer } = this.#context;
    await transactions.abandon();
    data.reset();
    this.#statements.clear();
    writer.plainOk();
  }

  async #changeUser(payload: Buffer, sequence: number): Promise<void> {
    try {
      await this.#context.transactions.abandon();
    } catch (error) {
      // The connections of the transaction are closed, and with them its work is undone.
      this.#context.logger.warn('rollback before COM_CHANGE_USER failed', { error });
    }
    this.#control.changeUser(payload, sequence);
  }

  #statistics(): string {
    const { services } = this.#context;
    const seconds = Math.max(1, (services.clock.monotonicMs() - this.#startedMs) / 1000);
    const statements = services.counters.statements;
    const questions = Object.values(statements).reduce((sum, count) => sum + count, 0);
    return (
      `Uptime: ${Math.floor(seconds)}  Threads: ${services.registry.size}  ` +
      `Questions: ${questions}  Slow queries: 0  Opens: 0  Flush tables: 0  Open tables: 0  ` +
      `Queries per second avg: ${(questions / seconds).toFixed(3)}`
    );
  }

  #fail(error: unknown): void {
    const { writer, logger, services, data } = this.#context;
    services.counters.statementErrors++;
    const packet = errorReply(error, logger);
    data.warnings = warningOfError(packet);
    if (!writer.err(packet)) this.#control.cut();
  }
}

function unknownCommand(): ProxyError {
  return new ProxyError('ER_UNKNOWN_COM_ERROR', 'Unknown command');
}
