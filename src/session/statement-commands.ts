import type { Lease } from '../backend/lease.ts';
import { type PreparedOnShard, prepareOn } from '../backend/prepare-on-shard.ts';
import { notSupported, ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { Plan, ShardTarget } from '../plan/plan.ts';
import { NotParsed } from '../sql/parse-error.ts';
import { parseText } from '../sql/parse-statement.ts';
import type { ShardId } from '../topology/strategy.ts';
import { BINARY_FLAG, COLLATION_BINARY, MYSQL_TYPE_VAR_STRING } from '../wire/column-types.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import { encodeColumnDefinition } from '../wire/result-set-packets.ts';
import { decodeExecute, type LongData } from '../wire/statement-packets.ts';
import { leaseAnyShard } from './any-shard.ts';
import { bindParameters, bindSample } from './bind-parameters.ts';
import { parameterPlaces } from './parameter-places.ts';
import {
  type PreparedExecution,
  type PreparedStatement,
  readingKeyOf,
} from './prepared-statement.ts';
import type { QueryCommand } from './query-command.ts';
import type { SessionContext } from './session-context.ts';
import { hasDatabase } from './state-on-shard.ts';
import { unparsedReason } from './syntax-check.ts';

/** MariaDB: the statement that was prepared last, for clients that send both commands at once. */
const LAST_STATEMENT_ID = 0xffffffff;
const ER_PARSE_ERROR = 1064;
const ER_NO_SUCH_TABLE = 1146;

/** The statements that a session has prepared, and the commands that speak of them. */
export class StatementCommands {
  readonly #context: SessionContext;
  readonly #query: QueryCommand;
  readonly #statements = new Map<number, PreparedStatement>();
  #lastId = 0;

  constructor(context: SessionContext, query: QueryCommand) {
    this.#context = context;
    this.#query = query;
  }

  /** COM_STMT_PREPARE: a shard says what the statement takes and gives. */
  async prepare(payloadText: Buffer): Promise<void> {
    const { services, data, writer } = this.#context;
    const { prepared_statements_max: max } = services.current().topology.config.limits;
    if (this.#statements.size >= max) {
      throw new ProxyError(
        'ER_MAX_PREPARED_STMT_COUNT_REACHED',
        `Can't create more than prepared_statements_max statements in a session (current value: ${max})`,
      );
    }
    // The payload is a view of a buffer that is larger than the statement.
    const text = Buffer.from(payloadText);
    try {
      parseText(text, data.lexical);
    } catch (error) {
      if (!(error instanceof NotParsed)) throw error;
      throw await unparsedReason(text, error, this.#context);
    }
    const places = parameterPlaces(text, data.lexical);
    const readingKey = readingKeyOf(data.state);
    const key = keyOf(readingKey, text);
    const onShard = await this.#prepareOnShard(text, key, bindSample(text, places));
    if (onShard !== undefined && onShard.ok.parameterCount !== places.length) {
      throw notSupported('this statement: the server counts its parameters in another way');
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const columns = onShard?.columns ?? [];
    const parameters = onShard?.parameters ?? places.map(parameterDefinition);
    const state = { types: undefined, longData: new Map(), longDataError: undefined };
    const { database } = data;
    this.#statements.set(id, { id, text, database, places, key, readingKey, columns, ...state });
    // MySQL's PREPARE is a statement of its own for ROW_COUNT(), MariaDB's is not.
    if (data.lexical.flavour === 'mysql') data.rowCount = -1;
    const counts = { columnCount: columns.length, parameterCount: places.length };
    const warningCount = onShard?.ok.warningCount ?? 0;
    writer.prepared({ statementId: id, ...counts, warningCount }, { parameters, columns });
  }

  /** COM_STMT_EXECUTE. Throws what is wrong with the command itself. */
  execute(payload: Buffer, statementId: number, done: () => void): void {
    this.#query.execute(this.#executionOf(payload, statementId), done);
  }

  /** COM_STMT_SEND_LONG_DATA has no answer: what is wrong is told at the execution. */
  longData({ statementId, parameter, data }: LongData): void {
    const statement = this.#find(statementId);
    if (statement === undefined) return;
    if (parameter >= statement.places.length) {
      statement.longDataError ??= wrongArguments('mysqld_stmt_send_long_data');
      return;
    }
    const pieces = statement.longData.get(parameter) ?? [];
    pieces.push(Buffer.from(data));
    statement.longData.set(parameter, pieces);
    const max = this.#context.services.current().topology.config.limits.packet_bytes_max;
    const held = [...statement.longData.values()].flat().reduce((sum, one) => sum + one.length, 0);
    if (held <= max) return;
    statement.longData.clear();
    statement.longDataError ??= new ProxyError(
      'ER_NET_PACKET_TOO_LARGE',
      'Parameter of prepared statement which is set through mysql_send_long_data() is longer than max_allowed_packet bytes',
    );
  }

  /** COM_STMT_RESET: long data is forgotten. */
  reset(statementId: number): void {
    const statement = this.#required(statementId, 'mysqld_stmt_reset');
    statement.longData.clear();
    statement.longDataError = undefined;
    this.#context.writer.plainOk();
  }

  /** COM_STMT_CLOSE has no answer, whatever it names. */
  close(statementId: number): void {
    this.#statements.delete(statementId);
  }

  /** Executions send all rows at once, so there is never a cursor. */
  fetch(statementId: number): never {
    this.#required(statementId, 'mysqld_stmt_fetch');
    throw new ProxyError(
      'ER_STMT_HAS_NO_OPEN_CURSOR',
      `The statement (${statementId}) has no open cursor.`,
    );
  }

  /** COM_RESET_CONNECTION and COM_CHANGE_USER. */
  clear(): void {
    this.#statements.clear();
  }

  #find(statementId: number): PreparedStatement | undefined {
    return this.#statements.get(statementId === LAST_STATEMENT_ID ? this.#lastId : statementId);
  }

  #required(statementId: number, caller: string): PreparedStatement {
    const statement = this.#find(statementId);
    if (statement !== undefined) return statement;
    throw new ProxyError(
      'ER_UNKNOWN_STMT_HANDLER',
      `Unknown prepared statement handler (${statementId}) given to ${caller}`,
    );
  }

  #executionOf(payload: Buffer, statementId: number): PreparedExecution {
    const statement = this.#required(statementId, 'mysqld_stmt_execute');
    const { data } = this.#context;
    const longData = new Map(
      [...statement.longData].map(([index, pieces]) => [index, Buffer.concat(pieces)]),
    );
    const error = statement.longDataError;
    statement.longData.clear();
    statement.longDataError = undefined;
    if (error !== undefined) throw error;
    if (statement.readingKey !== readingKeyOf(data.state)) this.#readAgain(statement);
    const { text, places } = statement;
    const known = { count: places.length, types: statement.types, longData };
    const { parameters, types } = decodeExecute(payload, known);
    statement.types = types;
    const { lexical, readsAsUtf8 } = data;
    const bound = bindParameters(text, places, parameters, { lexical, readsAsUtf8 });
    return { statement, parameters, bound };
  }

  /** SET NAMES or SET sql_mode came between: the text is read anew, as servers do when they have to. */
  #readAgain(statement: PreparedStatement): void {
    const { data } = this.#context;
    const places = parameterPlaces(statement.text, data.lexical);
    if (places.length !== statement.places.length) {
      throw notSupported('a statement that sql_mode now reads in another way: prepare it again');
    }
    statement.places = places;
    statement.readingKey = readingKeyOf(data.state);
    statement.key = keyOf(statement.readingKey, statement.text);
  }

  /** Undefined for what no shard by itself can describe. */
  async #prepareOnShard(
    text: Buffer,
    key: string,
    sample: Buffer,
  ): Promise<PreparedOnShard | undefined> {
    let plan: Plan | undefined;
    let refusal: unknown;
    try {
      plan = this.#query.planOnly(sample);
    } catch (error) {
      // Other values may be routed: whether the statement can be carried out is told at EXECUTE.
      refusal = error;
    }
    const lease = await this.#leaseFor(plan);
    try {
      return await prepareOn(lease, text, key);
    } catch (error) {
      if (!(error instanceof ShardError)) throw error;
      if (plan?.kind === 'local' && error.errno === ER_PARSE_ERROR) return undefined;
      // Its tables lie on several shards; the columns are told at EXECUTE, as for CALL.
      if (plan?.kind === 'gather' && error.errno === ER_NO_SUCH_TABLE) return undefined;
      const isRefused = refusal instanceof ProxyError && refusal.code === 'ER_NOT_SUPPORTED_YET';
      throw isRefused && error.errno === ER_NO_SUCH_TABLE ? refusal : error;
    } finally {
      lease.release();
    }
  }

  /**
   * A connection that the transaction holds already, so that sessions which hold all connections of a
   * shard do not wait for one more; else one from the pool, since nothing is read or locked.
   */
  #leaseFor(plan: Plan | undefined): Promise<Lease> {
    const { poolLeases, services, data, transactions } = this.#context;
    const { topology } = services.current();
    const shards = plan === undefined ? [] : shardsOfPlan(plan);
    const open = transactions.current;
    const held = open?.shards.find((one) =>
      shards.length > 0
        ? shards.includes(one)
        : data.database === undefined || hasDatabase(topology, one, data.database),
    );
    if (open !== undefined && held !== undefined) return open.lease(held);
    const [shard] = shards;
    if (shard === undefined) return leaseAnyShard(poolLeases, topology, data.database);
    const ready = poolLeases.tryLease(shard);
    return ready === undefined ? poolLeases.lease(shard) : Promise.resolve(ready);
  }
}

/** As servers describe a parameter that they know nothing of. */
function parameterDefinition(): Buffer {
  const writer = new PacketWriter();
  const names = { catalog: 'def', schema: '', table: '', orgTable: '', name: '?', orgName: '' };
  const value = { collationId: COLLATION_BINARY, columnLength: 0, type: MYSQL_TYPE_VAR_STRING };
  encodeColumnDefinition({ ...names, ...value, flags: BINARY_FLAG, decimals: 0 }, writer);
  return writer.take();
}

function keyOf(readingKey: string, text: Buffer): string {
  return `${readingKey}${text.toString('latin1')}`;
}

/** Shards on which a server can say what the statement takes and gives. */
function shardsOfPlan(plan: Plan): readonly ShardId[] {
  switch (plan.kind) {
    case 'ddl':
      return plan.shards;
    case 'single':
    case 'scatter':
    case 'write':
    case 'insert':
      return shardsOfTarget(plan.target);
    default:
      return [];
  }
}

function shardsOfTarget(target: ShardTarget): readonly ShardId[] {
  switch (target.kind) {
    case 'fixed':
      return [target.shard];
    case 'any':
    case 'every':
      return target.shards;
    case 'by-key':
      return target.strategy.shards;
    case 'agreeing':
      return target.targets.flatMap(shardsOfTarget);
    default:
      return [];
  }
}

function wrongArguments(caller: string): ProxyError {
  return new ProxyError('ER_WRONG_ARGUMENTS', `Incorrect arguments to ${caller}`);
}
