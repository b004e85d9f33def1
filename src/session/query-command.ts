import type { Lease, ReplyEnd } from '../backend/lease.ts';
import { queryCommand } from '../backend/shard-connection.ts';
import { notSupported } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { BoundStatement } from '../execute/execution.ts';
import { relaySingle } from '../execute/relay.ts';
import type { CachedPlan, Plan, ShardTarget } from '../plan/plan.ts';
import { planStatement } from '../plan/planner.ts';
import { routeTarget } from '../plan/route.ts';
import { NotParsed } from '../sql/parse-error.ts';
import { parseText } from '../sql/parse-statement.ts';
import type { LiteralSpans } from '../sql/statement.ts';
import { errorReply } from './error-reply.ts';
import { noteSkipping, readFoundRows, skipsRows } from './found-rows.ts';
import { runLocal } from './local-statements.ts';
import { checkPlanned, checkWrites } from './plan-checks.ts';
import { commandOn, type PreparedExecution, readyCommand } from './prepared-statement.ts';
import { ER_QUERY_INTERRUPTED, statementTimeout } from './running-statement.ts';
import type { SessionContext } from './session-context.ts';
import type { Snapshot } from './session-services.ts';
import type { SessionData } from './session-state.ts';
import { type Executed, executePlan } from './statement-execution.ts';
import { unparsedReason } from './syntax-check.ts';
import { readWarnings, warningOfError } from './warnings.ts';

export interface QueryControl {
  readonly quit: () => void;
  /** Closes at once: the client would take half an answer for a whole one. */
  readonly cut: () => void;
}

/** The statement in hand: of COM_QUERY, or a prepared one with its values written in. */
interface Job {
  readonly text: Buffer;
  /** The whole COM_QUERY; undefined for a prepared statement. */
  readonly command: Buffer | undefined;
  readonly execution: PreparedExecution | undefined;
}

interface Relayed {
  readonly lease: Lease;
  readonly plan: Plan;
  readonly end: ReplyEnd | undefined;
  readonly error: Error | undefined;
}

/** COM_QUERY and COM_STMT_EXECUTE: from text to plan to shards, one statement at a time. */
export class QueryCommand {
  readonly #context: SessionContext;
  readonly #control: QueryControl;
  #done: () => void = () => {};
  /** Statements of the same command that come behind the one in hand. */
  #rest: Buffer | undefined;
  #clientGone = false;

  constructor(context: SessionContext, control: QueryControl) {
    this.#context = context;
    this.#control = control;
  }

  /** `payload` is the whole command. `done` is called when the reply is complete. */
  run(payload: Buffer, done: () => void): void {
    this.#run({ text: payload.subarray(1), command: payload, execution: undefined }, done);
  }

  /** COM_STMT_EXECUTE. */
  execute(execution: PreparedExecution, done: () => void): void {
    this.#run({ text: execution.bound, command: undefined, execution }, done);
  }

  /** Plans a text without running it: tells which shards know it. Throws what `run` would answer. */
  planOnly(text: Buffer): Plan {
    const { services, data } = this.#context;
    services.fingerprinter.scan(text, 0, text.length, data.lexical);
    return this.#plan(text, services.current()).plan;
  }

  #run(job: Job, done: () => void): void {
    const { services, running, data } = this.#context;
    const { text } = job;
    this.#done = done;
    running.begin(text, services.clock.monotonicMs());
    const snapshot = services.current();
    const { fingerprinter } = services;
    fingerprinter.scan(text, 0, text.length, data.lexical);
    if (fingerprinter.nextStatement !== -1 && data.multiStatements && job.command !== undefined) {
      this.#runFirst(text, done);
      return;
    }
    let plan: Plan;
    try {
      plan = this.#plan(text, snapshot).plan;
      if (job.execution !== undefined) checkDatabase(plan, job.execution.statement, data.database);
      services.counters.statements[plan.kind]++;
      // The fingerprinter's literals are good until the next scan: nothing here may wait.
      const bound = this.#bind(text, fingerprinter.literals);
      if (this.#tryRelay(plan, bound, job, snapshot)) return;
    } catch (error) {
      this.#guard(this.#refuse(error, text));
      return;
    }
    const bound = this.#bind(text, copyOf(fingerprinter.literals));
    this.#guard(this.#carryOut(plan, bound, job, snapshot));
  }

  /** Several statements are carried out one after the other, each planned for itself. */
  #runFirst(text: Buffer, done: () => void): void {
    const { fingerprinter } = this.#context.services;
    const { statementEnd, nextStatement } = fingerprinter;
    this.#rest = text.subarray(nextStatement);
    this.#context.writer.beginResult({ moreFollow: true });
    const first = text.subarray(0, statementEnd);
    this.#run({ text: first, command: queryCommand(first), execution: undefined }, done);
  }

  /** The connection is gone: work on the shards is stopped, what was open is rolled back. */
  clientGone(): void {
    this.#clientGone = true;
    const { running } = this.#context;
    if (running.isRunning) running.abort(new Error('the client has disconnected'));
    else this.#rollBackAfterClient();
  }

  /** `statement_timeout_ms` is over: the shards are told to stop. */
  timeOut(): void {
    const { running, writer, logger } = this.#context;
    writer.replaceError(ER_QUERY_INTERRUPTED, errorReply(statementTimeout(), logger));
    running.timeOut();
  }

  #plan(text: Buffer, snapshot: Snapshot): CachedPlan {
    const { services, data } = this.#context;
    const { fingerprinter, counters } = services;
    const { database, lexicalKey } = data;
    const found = snapshot.plans.find(fingerprinter, text, database, lexicalKey);
    if (found !== undefined) {
      counters.planCacheHits++;
      return found;
    }
    counters.planCacheMisses++;
    const { statement, shapingSlots } = parseText(text, data.lexical);
    checkPlanned(statement);
    const planned = planStatement({
      text,
      statement,
      literals: fingerprinter.literals,
      database,
      topology: snapshot.topology,
      shapingSlots,
      flavour: data.lexical.flavour,
      lexical: data.lexical,
    });
    snapshot.plans.store(fingerprinter, database, lexicalKey, planned);
    noteSkipping(planned.plan, statement);
    services.explicitInsertIds.note(planned.plan, statement, { ...snapshot, database });
    return planned;
  }

  #bind(text: Buffer, literals: LiteralSpans): BoundStatement {
    const { data } = this.#context;
    const { lexical, keyText } = data;
    if (keyText === undefined) return { text, literals, lexical };
    if (data.readsAsUtf8) return { text, literals, lexical, keyText };
    return { text, literals, lexical, keyText, charset: data.clientCharset };
  }

  /**
   * The hot path: one shard, the client's own text, a connection that is ready. No promise, no copy.
   * Returns false when anything has to be waited for or written.
   */
  #tryRelay(plan: Plan, bound: BoundStatement, job: Job, snapshot: Snapshot): boolean {
    const { data, transactions, poolLeases } = this.#context;
    const target = relayTarget(plan);
    if (target === undefined || data.nextTransaction !== undefined) return false;
    checkWrites(plan, this.#context.account);
    const transaction = transactions.forStatement();
    const preferred = transaction?.shards[0];
    const route = routeTarget(target, bound, snapshot.caches, preferred);
    if (route.kind !== 'shards' || route.shards.length !== 1) return false;
    const [shard] = route.shards;
    const lease = shard && (transaction ?? poolLeases).tryLease(shard);
    if (lease === undefined) return false;
    const command = job.command ?? (job.execution && readyCommand(lease, job.execution));
    if (command !== undefined) this.#relay(lease, command, plan);
    else this.#guard(this.#prepareAndRelay(lease, job, plan));
    return true;
  }

  async #prepareAndRelay(lease: Lease, { text, execution }: Job, plan: Plan): Promise<void> {
    const { running } = this.#context;
    running.works(lease);
    let command: Buffer;
    try {
      if (execution === undefined) throw new Error('a text needs no preparing');
      command = await commandOn(lease, text, execution);
      running.signal.throwIfAborted();
    } catch (error) {
      await running.killing;
      lease.release();
      await this.#fail(error);
      return;
    }
    this.#relay(lease, command, plan);
  }

  #relay(lease: Lease, command: Buffer, plan: Plan): void {
    const { running, writer } = this.#context;
    running.works(lease);
    const relay = relaySingle({
      lease,
      command,
      reply: writer,
      done: (end, error) => this.#relayed({ lease, plan, end, error }),
    });
    running.onAbort((reason) => relay.abort(reason));
  }

  #relayed({ lease, plan, end, error }: Relayed): void {
    const { data, writer, running, transactions } = this.#context;
    if (end === undefined) {
      this.#guard(this.#fail(error));
      return;
    }
    this.#ended(plan, end, writer.relayedRows);
    const isPlain =
      end.error === undefined && end.warningCount === 0 && running.killing === undefined;
    if (isPlain && !skipsRows(plan)) {
      if (data.warnings.length > 0) data.warnings = [];
      lease.release();
      this.#finish();
      return;
    }
    this.#guard(this.#relayedWithMore({ lease, plan, end, error }, end, transactions.isOpen));
  }

  async #relayedWithMore(
    { lease, plan }: Relayed,
    end: ReplyEnd,
    inTransaction: boolean,
  ): Promise<void> {
    const { data, running, transactions, logger } = this.#context;
    if (end.error !== undefined) {
      this.#statementFailed();
      data.warnings = warningOfError(end.error);
    } else {
      const hasWarnings = end.warningCount > 0;
      data.warnings = hasWarnings ? await readWarnings(lease, logger) : [];
      // SHOW WARNINGS has a number of rows itself.
      if (end.kind === 'rows' && skipsRows(plan)) {
        data.foundRows = hasWarnings ? undefined : await readFoundRows(lease, logger);
      }
    }
    await running.killing;
    lease.release();
    if (inTransaction && end.error !== undefined) await transactions.afterError();
    this.#finish();
  }

  async #carryOut(
    plan: Plan,
    bound: BoundStatement,
    { execution }: Job,
    snapshot: Snapshot,
  ): Promise<void> {
    const context = this.#context;
    let release = false;
    if (execution !== undefined) context.writer.sendBinary(execution.statement.columns);
    try {
      if (plan.kind === 'local') {
        const local = await runLocal(plan, bound, snapshot, context);
        release = local.release;
        const kind = local.rows === undefined ? 'ok' : 'rows';
        context.data.ended({ kind, affectedRows: 0, lastInsertId: 0 }, local.rows);
      } else {
        checkWrites(plan, context.account);
        this.#remember(plan, await executePlan(plan, { bound, execution }, snapshot, context));
      }
    } catch (error) {
      await this.#fail(error);
      return;
    }
    await context.running.killing;
    this.#finish();
    if (release) this.#control.quit();
  }

  #ended(plan: Plan, end: Parameters<SessionData['ended']>[0], rows: number | undefined): void {
    const { data, services } = this.#context;
    const { lastInsertId } = data;
    data.ended(end, rows);
    const bringsId = end.lastInsertId !== 0 && services.explicitInsertIds.has(plan);
    if (bringsId) data.lastInsertId = lastInsertId;
  }

  #remember(plan: Plan, { outcome, warnings, foundRows }: Executed): void {
    const { data, writer } = this.#context;
    this.#ended(plan, outcome, outcome.rowsSent ?? writer.relayedRows);
    if (outcome.kind === 'rows' && skipsRows(plan)) data.foundRows = foundRows ?? outcome.rowsFound;
    if (outcome.generatedId !== undefined) data.lastInsertId = outcome.generatedId;
    data.warnings = outcome.error === undefined ? warnings : warningOfError(outcome.error);
    if (outcome.error !== undefined) this.#statementFailed();
  }

  /** What was to follow in the same command is not carried out. */
  #statementFailed(): void {
    this.#context.services.counters.statementErrors++;
    this.#rest = undefined;
  }

  /** The text was not planned: it is no SQL, or nothing that can be carried out here. */
  async #refuse(error: unknown, text: Buffer): Promise<void> {
    if (!(error instanceof NotParsed)) {
      await this.#fail(error);
      return;
    }
    try {
      await this.#fail(await unparsedReason(text, error, this.#context));
    } catch (unreachable) {
      await this.#fail(unreachable);
    }
  }

  async #fail(error: unknown): Promise<void> {
    const { data, writer, logger, transactions, running } = this.#context;
    this.#statementFailed();
    data.rowCount = -1;
    try {
      await running.killing;
      await transactions.afterError();
    } catch (cause) {
      logger.warn('the transaction could not be examined after an error', { error: cause });
    }
    if (!this.#clientGone) {
      const packet = errorReply(running.isTimedOut ? timedOut(error) : error, logger);
      data.warnings = warningOfError(packet);
      if (!writer.err(packet)) this.#control.cut();
    }
    this.#finish();
  }

  #finish(): void {
    const { running, services, writer } = this.#context;
    services.counters.statementMs += services.clock.monotonicMs() - running.startedMs;
    running.end();
    const rest = this.#rest;
    this.#rest = undefined;
    if (this.#clientGone) {
      this.#rollBackAfterClient();
      return;
    }
    writer.endResult();
    if (rest === undefined) this.#done();
    else this.#runNext(rest);
  }

  #runNext(rest: Buffer): void {
    this.#context.writer.beginResult({ moreFollow: false });
    this.#run({ text: rest, command: queryCommand(rest), execution: undefined }, this.#done);
  }

  /** An error after the client was answered is a bug of ours, and ends this session only. */
  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#context.logger.error('a session broke', { error });
      this.#control.cut();
    });
  }

  #rollBackAfterClient(): void {
    const { transactions, logger } = this.#context;
    transactions.abandon().catch((error: unknown) => {
      logger.warn('rollback after a disconnect failed', { error });
    });
  }
}

/** A shard that was told to stop says 1317, which is also what KILL QUERY looks like. */
function timedOut(error: unknown): unknown {
  const interrupted = error instanceof ShardError && error.errno === ER_QUERY_INTERRUPTED;
  return interrupted ? statementTimeout(error) : error;
}

/** Names without a database are those of the database that was in use at PREPARE. */
function checkDatabase(
  plan: Plan,
  statement: PreparedExecution['statement'],
  database: string | undefined,
): void {
  if (statement.database === database || plan.kind === 'local') return;
  throw notSupported(
    `a statement that was prepared in database '${statement.database ?? ''}' and is executed in '${database ?? ''}': prepare it again`,
  );
}

/** Where a plan goes whose text needs no change on one shard. */
function relayTarget(plan: Plan): ShardTarget | undefined {
  switch (plan.kind) {
    case 'single':
    case 'write':
      return plan.edits.length === 0 ? plan.target : undefined;
    case 'scatter':
      return plan.singleEdits.length === 0 ? plan.target : undefined;
    case 'gather':
      return plan.singleEdits.length === 0 ? plan.single : undefined;
    default:
      return undefined;
  }
}

function copyOf({ count, starts, ends, types }: LiteralSpans): LiteralSpans {
  return {
    count,
    starts: starts.slice(0, count),
    ends: ends.slice(0, count),
    types: types.slice(0, count),
  };
}
