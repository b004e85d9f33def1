import { notSupported } from '../errors/proxy-error.ts';
import type { GatherCondition, GatherInput, GatherPlan } from '../plan/plan.ts';
import { applySplices, quoteIdentifier, type Splice } from '../sql/splice.ts';
import type { ShardId } from '../topology/strategy.ts';
import { columnDefinition, copiedColumn, keyDefinition } from './copied-values.ts';
import type { BoundStatement, SessionFacts } from './execution.ts';
import { splicesOf, TextPlaces } from './render-text.ts';
import { type RoutingNeeds, routedShards } from './routed-shards.ts';

/** The session's sql_select_limit is for the statement's own rows. */
const ALL_ROWS = Buffer.from(' LIMIT 18446744073709551615');

/** A gathered statement made concrete: what is fetched where, and what the last server is asked. */
export interface RoutedGather {
  readonly kind: 'gather';
  readonly finish: ShardId;
  readonly inputs: readonly RoutedInput[];
  /** The client's text and its changes, but for those of the inputs. */
  readonly text: Buffer;
  readonly splices: readonly Splice[];
}

export interface RoutedInput {
  readonly input: GatherInput;
  readonly shards: readonly ShardId[];
  /** Creates the empty copy, its name quoted and qualified. */
  readonly create: string;
  /** For shards: the rows as they are sent. */
  readonly fetch: Buffer;
  /** `INSERT INTO copy (…) `. */
  readonly insert: string;
  /** For the server of the copies, where its own rows need not travel. */
  readonly insertOwn: Buffer;
  /** Puts the copy in the place of the reference. */
  readonly splice: Splice;
}

export async function routeGather(
  plan: GatherPlan,
  bound: BoundStatement,
  context: RoutingNeeds & { readonly facts: SessionFacts },
): Promise<RoutedGather> {
  const inputs: RoutedInput[] = [];
  for (const input of plan.inputs) {
    const shards = await routedShards(input.target, bound, context);
    inputs.push(routedInput(input, inputs.length + 1, { bound, shards }));
  }
  const splices = splicesOf(bound, plan.edits, context.facts);
  return { kind: 'gather', finish: plan.finish, inputs, text: bound.text, splices };
}

/** The statement with the copies in the places of the references that were moved. */
export function textOverCopies(
  { text, splices }: RoutedGather,
  moved: readonly RoutedInput[],
): Buffer {
  const changes = [...splices, ...moved.map(({ splice }) => splice)];
  return applySplices(
    text,
    changes.sort((a, b) => a.start - b.start || a.end - b.end),
  );
}

function routedInput(
  input: GatherInput,
  number: number,
  { bound, shards }: { readonly bound: BoundStatement; readonly shards: readonly ShardId[] },
): RoutedInput {
  const { table, columns, conditions } = input;
  const copy = qualified(input.database, `shardgate_gather_${number}`);
  const alias = quoteIdentifier(input.alias);
  const source = `FROM ${qualified(table.database, table.name)} AS ${alias}`;
  const names = columns.map(({ name }) => quoteIdentifier(name));
  const fetched = columns.map((column) =>
    copiedColumn(column).fetched(`${alias}.${quoteIdentifier(column.name)}`),
  );
  const own = names.map((name) => `${alias}.${name}`);
  const insert = `INSERT INTO ${copy} (${names.join(', ')}) `;
  const plain = conditions.filter(({ isTemporal }) => !isTemporal);
  const create = `CREATE TEMPORARY TABLE ${copy} (${columns.map(columnDefinition).join(', ')}${keyOf(input, bound)})`;
  const replacement = input.isTableBody
    ? `SELECT * FROM ${copy} AS ${alias}`
    : `${copy} AS ${alias}`;
  demandReadable(`${create}${source}`, bound);
  return {
    input,
    shards,
    create,
    fetch: Buffer.concat([
      withConditions(`SELECT ${fetched.join(', ')} ${source}`, conditions, bound),
      ALL_ROWS,
    ]),
    insert,
    insertOwn: withConditions(`${insert}SELECT ${own.join(', ')} ${source}`, plain, bound),
    splice: { ...new TextPlaces(bound.literals).span(input.span), replacement },
  };
}

function keyOf({ columns, table, primaryKey }: GatherInput, bound: BoundStatement): string {
  const { placement } = table;
  const isUnique =
    placement.kind !== 'sharded' || placement.keyColumns.every((name) => primaryKey.includes(name));
  return keyDefinition(columns, { primaryKey, isUnique, flavour: bound.lexical.flavour });
}

/** The conditions stand in the client's own bytes, and are read as it wrote them. */
function withConditions(
  select: string,
  conditions: readonly GatherCondition[],
  bound: BoundStatement,
): Buffer {
  const places = new TextPlaces(bound.literals);
  const parts: Buffer[] = [Buffer.from(select)];
  conditions.forEach((condition, index) => {
    const { start, end } = places.span(condition.span);
    parts.push(Buffer.from(index === 0 ? ' WHERE (' : ' AND ('));
    parts.push(bound.text.subarray(start, end), Buffer.from(')'));
  });
  return Buffer.concat(parts);
}

/** Our own text is UTF-8, the session's may be read by another character set. */
function demandReadable(text: string, { charset }: BoundStatement): void {
  if (charset === undefined || charset.startsWith('utf8')) return;
  for (const character of text) {
    if (character > '\x7f') {
      throw notSupported(
        `gathering rows of tables with names or values beyond ASCII for a client in ${charset}: SET NAMES utf8mb4`,
      );
    }
  }
}

function qualified(database: string, name: string): string {
  return `${quoteIdentifier(database)}.${quoteIdentifier(name)}`;
}
