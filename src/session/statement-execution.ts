import type { Lease, ShardLeases } from '../backend/lease.ts';
import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import { executeRouted } from '../execute/execute.ts';
import type {
  BoundStatement,
  ExecutionContext,
  SessionFacts,
  StatementOutcome,
} from '../execute/execution.ts';
import {
  type RoutedStatement,
  routeStatement,
  writesSeveralShards,
} from '../execute/routed-statement.ts';
import type { DdlPlan, LocalPlan, Plan } from '../plan/plan.ts';
import type { ShardId } from '../topology/strategy.ts';
import type { Transaction } from '../txn/transaction.ts';
import { readFoundRows, skipsRows } from './found-rows.ts';
import { HeldReply } from './held-reply.ts';
import { commandOn, type PreparedExecution } from './prepared-statement.ts';
import { type RunningStatement, watchedLeases } from './running-statement.ts';
import type { SessionContext } from './session-context.ts';
import type { Snapshot } from './session-services.ts';
import type { SessionData, Warning } from './session-state.ts';
import { readWarnings } from './warnings.ts';

/** The statement at hand; `execution` when the client has prepared it. */
export interface StatementToExecute {
  readonly bound: BoundStatement;
  readonly execution: PreparedExecution | undefined;
}

export interface Executed {
  readonly outcome: StatementOutcome;
  readonly warnings: readonly Warning[];
  /** Where a shard was asked for it. */
  readonly foundRows?: bigint | undefined;
}

const ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION = 1792;

type ExecutedPlan = Exclude<Plan, LocalPlan>;

/** Carries out a plan where something has to be waited for, in the transaction that it needs. */
export async function executePlan(
  plan: ExecutedPlan,
  statement: StatementToExecute,
  snapshot: Snapshot,
  context: SessionContext,
): Promise<Executed> {
  if (plan.kind === 'ddl') return executeSchemaChange(plan, statement.bound, snapshot, context);
  const [, ...others] = shardsToChooseFrom(plan, context);
  let preferredShard = context.transactions.current?.shards[0];
  for (;;) {
    try {
      return await executeOnce(plan, statement, snapshot, context, preferredShard);
    } catch (error) {
      const next = others.shift();
      if (next === undefined || !isShardDown(error) || context.writer.started) throw error;
      preferredShard = next;
    }
  }
}

/** A read that any of several shards can answer does not fail because one of them is down. */
function shardsToChooseFrom(plan: ExecutedPlan, context: SessionContext): readonly ShardId[] {
  if (plan.kind !== 'single' || plan.target.kind !== 'any') return [];
  if (plan.writes || plan.locks || context.transactions.forStatement() !== undefined) return [];
  return plan.target.shards;
}

function isShardDown(error: unknown): boolean {
  return error instanceof ProxyError && error.code === 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE';
}

async function executeOnce(
  plan: ExecutedPlan,
  { bound, execution: prepared }: StatementToExecute,
  snapshot: Snapshot,
  context: SessionContext,
  preferredShard: ShardId | undefined,
): Promise<Executed> {
  const warnings: Warning[] = [];
  let foundRows: bigint | undefined;
  const rowsEnded = async (lease: Lease): Promise<void> => {
    foundRows = await readFoundRows(lease, context.logger);
  };
  const transaction = context.transactions.forStatement();
  const leases = transaction ?? context.poolLeases;
  const options = { leases, warnings, preferredShard, prepared };
  const execution = {
    ...executionContext(snapshot, context, options),
    ...(skipsRows(plan) ? { rowsEnded } : {}),
  };
  const routed = await routeStatement(plan, bound, execution);
  const outcome =
    transaction === undefined
      ? await keepingNext(context.data, () => inAutocommit(plan, routed, execution, context))
      : await inTransaction(transaction, routed, { execution, running: context.running });
  if (outcome.error !== undefined) await context.transactions.afterError();
  return { outcome, warnings, foundRows };
}

/** A write that SET TRANSACTION READ ONLY has refused was no transaction: the next one is still to come. */
async function keepingNext(
  data: SessionData,
  run: () => Promise<StatementOutcome>,
): Promise<StatementOutcome> {
  const next = data.nextTransaction;
  let errno: number | undefined;
  try {
    const outcome = await run();
    errno = outcome.error?.errno;
    return outcome;
  } catch (error) {
    if (error instanceof ShardError) errno = error.errno;
    throw error;
  } finally {
    if (errno === ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION) data.nextTransaction = next;
  }
}

/** One shard commits by itself; several do in a transaction for this statement alone. */
async function inAutocommit(
  plan: ExecutedPlan,
  routed: RoutedStatement,
  execution: ExecutionContext,
  context: SessionContext,
): Promise<StatementOutcome> {
  const { transactions, running, writer, data } = context;
  const readsAtOnce = data.readsConsistently && readsSeveralShards(routed);
  if (!writesSeveralShards(routed) && !transactions.mustWrapStatement && !readsAtOnce) {
    return executeRouted(routed, execution);
  }
  const transaction = transactions.forOneStatement();
  if (readsAtOnce) await settled(transaction, running, transaction.openSnapshot());
  const leases = watchedLeases(transaction, running);
  if (isRead(plan)) {
    const outcome = await settled(
      transaction,
      running,
      executeRouted(routed, { ...execution, leases }),
    );
    await transaction.commit();
    return outcome;
  }
  const reply = new HeldReply(writer);
  const outcome = await settled(
    transaction,
    running,
    executeRouted(routed, { ...execution, leases, reply }),
  );
  if (outcome.error !== undefined) {
    await transaction.rollback();
    if (!reply.sendError()) throw outcome.error;
    return outcome;
  }
  await transaction.commit();
  context.services.counters.transactionsCommitted++;
  reply.send();
  return outcome;
}

function readsSeveralShards({ kind }: RoutedStatement): boolean {
  return kind === 'scatter' || kind === 'gather';
}

async function settled<Result>(
  transaction: Transaction,
  running: RunningStatement,
  execution: Promise<Result>,
): Promise<Result> {
  try {
    const result = await execution;
    // A KILL QUERY that is late must hit neither our commit nor the connections' next users.
    await running.killing;
    return result;
  } catch (error) {
    await running.killing;
    await transaction.rollback();
    throw error;
  }
}

/** A statement that fails on one of several shards is undone on the others; the transaction stays. */
async function inTransaction(
  transaction: Transaction,
  routed: RoutedStatement,
  {
    execution,
    running,
  }: { readonly execution: ExecutionContext; readonly running: RunningStatement },
): Promise<StatementOutcome> {
  if (!writesSeveralShards(routed)) return executeRouted(routed, execution);
  transaction.beginStatement();
  try {
    const outcome = await executeRouted(routed, execution);
    transaction.endStatement();
    return outcome;
  } catch (error) {
    await running.killing;
    await transaction.undoStatement();
    throw error;
  }
}

/** Commits what is open, as every server does, and lets the client know when the proxy knows the tables. */
async function executeSchemaChange(
  plan: DdlPlan,
  bound: BoundStatement,
  snapshot: Snapshot,
  context: SessionContext,
): Promise<Executed> {
  const { services, transactions, data, writer } = context;
  await transactions.commit();
  const { statement } = plan;
  const ofDatabase = statement.kind === 'ddl' && statement.object === 'database';
  // The database may not exist yet, or be the one that goes: connections must not stand in it.
  const bare = data.stateWithoutDatabase();
  const warnings: Warning[] = [];
  const reply = new HeldReply(writer);
  const leases = ofDatabase ? services.leasesFor(() => bare) : context.poolLeases;
  const execution = { ...executionContext(snapshot, context, { leases, warnings }), reply };
  let outcome: StatementOutcome;
  try {
    outcome = await executeRouted(await routeStatement(plan, bound, execution), execution);
  } finally {
    await services.refreshSchemas(plan.database, plan.tables);
  }
  if (outcome.error !== undefined && !reply.sendError()) throw outcome.error;
  const isGone = ofDatabase && statement.verb === 'drop' && plan.database === data.database;
  if (isGone) data.setDatabase(undefined);
  if (outcome.error === undefined) reply.send();
  return { outcome, warnings };
}

function executionContext(
  snapshot: Snapshot,
  context: SessionContext,
  options: {
    readonly leases: ShardLeases;
    readonly warnings: Warning[];
    readonly preferredShard?: ShardId | undefined;
    readonly prepared?: PreparedExecution | undefined;
  },
): ExecutionContext {
  const { services, writer, running, logger } = context;
  const { warnings, preferredShard, prepared } = options;
  return {
    topology: snapshot.topology,
    leases: watchedLeases(options.leases, running),
    scratchLeases: watchedLeases(context.poolLeases, running),
    reply: writer,
    facts: sessionFacts(context),
    caches: snapshot.caches,
    lookups: services.lookups,
    sequences: services.sequences,
    signal: running.signal,
    ...(preferredShard === undefined ? {} : { preferredShard }),
    ...(prepared === undefined
      ? {}
      : {
          commandFor: (lease: Lease, sql: Buffer) => {
            writer.relayBinary();
            return commandOn(lease, sql, prepared);
          },
        }),
    gathered: (rows, bytes) => {
      services.counters.rowsGathered += rows;
      services.counters.bytesGathered += bytes;
    },
    collectWarnings: async (lease: Lease) => {
      warnings.push(...(await readWarnings(lease, logger)));
    },
  };
}

function sessionFacts({ data, id, account, remoteAddress }: SessionContext): SessionFacts {
  const timestamp = data.state.variables.get('timestamp');
  return {
    lastInsertId: data.lastInsertId,
    rowCount: data.rowCount,
    foundRows: data.foundRows,
    connectionId: id,
    warningCount: data.warnings.length,
    errorCount: data.warnings.filter(({ level }) => level === 'Error').length,
    user: `${account.user}@${remoteAddress}`,
    currentUser: account.name,
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}

function isRead(plan: ExecutedPlan): boolean {
  const reads = plan.kind === 'scatter' || plan.kind === 'gather';
  return reads || (plan.kind === 'single' && !plan.writes);
}
