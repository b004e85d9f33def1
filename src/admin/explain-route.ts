import type { BoundStatement, SessionFacts } from '../execute/execution.ts';
import { type RoutedGather, textOverCopies } from '../execute/routed-gather.ts';
import { type RoutedStatement, routeStatement } from '../execute/routed-statement.ts';
import type {
  InsertPlan,
  KeyCondition,
  KeySource,
  Plan,
  ScatterPlan,
  ShardTarget,
  TextEdit,
} from '../plan/plan.ts';
import { routeRows } from '../plan/route.ts';
import type { LocalColumn, LocalRows } from '../session/local-rows.ts';
import type { ExplainRoute } from '../session/session-services.ts';
import type { RoutingCaches } from '../topology/routing-caches.ts';
import type { ShardId } from '../topology/strategy.ts';

const COLUMNS: readonly LocalColumn[] = [
  { type: 'text', name: 'plan', charactersMax: 64 },
  { type: 'text', name: 'shard', charactersMax: 64 },
  { type: 'text', name: 'keys', charactersMax: 1024 },
  { type: 'text', name: 'sql', charactersMax: 65_535 },
];
/** So many keys are named; of the others there is only the number. */
const KEYS_MAX = 10;

/** No text of a plan is shown with the values of a session: the calls stay as they were written. */
const NO_FACTS: SessionFacts = {
  lastInsertId: 0,
  rowCount: 0,
  foundRows: 0,
  connectionId: 0,
  warningCount: 0,
  errorCount: 0,
  user: '',
  currentUser: '',
};

/** One row a shard: what it would be asked, and by which keys it was chosen. Nothing is sent. */
export const explainRoute: ExplainRoute = async (explained, bound, needs) => {
  const plan = withoutSessionValues(explained.plan);
  if (plan.kind === 'local') return table([['local', undefined, undefined, undefined]]);
  const own = (sql: Buffer): string => sql.toString('utf8', explained.start).trim();
  if (plan.kind === 'insert' && plan.rows.some((row) => row.key?.kind === 'generated')) {
    const keys = `${plan.generate?.column} from the sequence`;
    return table([['insert', undefined, keys, own(bound.text)]]);
  }
  const routed = await routeStatement(plan, bound, {
    ...needs,
    facts: NO_FACTS,
    // Explaining takes no ids: where one would go in, a 0 is shown.
    sequences: { take: async () => 0n },
  });
  if (routed.kind === 'gather') return table(gatherRows(routed, bound, own));
  const texts = routed.kind === 'single' ? [routed] : routed.texts;
  return table(
    texts.map(({ shard, sql }) => [
      planText(plan, routed),
      shard,
      keysOf(plan, { shard, bound, caches: needs.caches }),
      own(sql),
    ]),
  );
};

function table(rows: LocalRows['rows']): LocalRows {
  return { columns: COLUMNS, rows };
}

/** What is fetched, one row a shard, and at last the statement that is run over it. */
function gatherRows(
  routed: RoutedGather,
  bound: BoundStatement,
  own: (sql: Buffer) => string,
): LocalRows['rows'] {
  const moved = routed.inputs.filter(({ input }) => !input.isAtFinish);
  const fetches = moved.flatMap(({ input, shards, fetch }) =>
    shards.map((shard) => [
      `gather: fetch ${input.alias}`,
      shard,
      targetText(input.target, bound),
      fetch.toString('utf8'),
    ]),
  );
  const finish = own(textOverCopies(routed, moved));
  return [...fetches, ['gather: finish', routed.finish, undefined, finish]];
}

function withoutSessionValues(plan: Plan): Plan {
  const kept = (edits: readonly TextEdit[]): readonly TextEdit[] =>
    edits.filter((edit) => edit.kind !== 'session-value');
  switch (plan.kind) {
    case 'scatter':
      return { ...plan, edits: kept(plan.edits), singleEdits: kept(plan.singleEdits) };
    case 'gather':
      return { ...plan, edits: kept(plan.edits), singleEdits: kept(plan.singleEdits) };
    case 'single':
    case 'write':
    case 'insert':
      return { ...plan, edits: kept(plan.edits) };
    default:
      return plan;
  }
}

/** The kind of plan; of one that may go to several shards, what it came out as. */
function planText(plan: Plan, routed: RoutedStatement): string {
  if (plan.kind === 'scatter' && routed.kind === 'scatter') return `scatter: ${mergeText(plan)}`;
  if (plan.kind === 'write') return plan.reference ? 'write: every copy' : 'write';
  return plan.kind === 'scatter' || plan.kind === 'gather' ? 'single' : plan.kind;
}

function mergeText({ merge }: ScatterPlan): string {
  const steps: string[] = [merge.kind];
  if (merge.distinctKeys !== undefined) steps.push('distinct');
  if (merge.orderAfterGroup !== undefined) steps.push('sort');
  if (merge.limit !== undefined) steps.push('limit');
  return steps.join(', ');
}

interface ForShard {
  readonly shard: ShardId;
  readonly bound: BoundStatement;
  readonly caches: RoutingCaches;
}

function keysOf(plan: Plan, at: ForShard): string | undefined {
  if (plan.kind === 'insert') return rowKeys(plan, at);
  const target = plan.kind === 'gather' ? plan.single : 'target' in plan ? plan.target : undefined;
  return targetText(target, at.bound);
}

function targetText(target: ShardTarget | undefined, bound: BoundStatement): string | undefined {
  if (target === undefined) return undefined;
  const targets = target.kind === 'agreeing' ? target.targets : [target];
  const conditions = targets.flatMap((one) => (one.kind === 'by-key' ? [one.condition] : []));
  const texts = conditions.flatMap((condition) => conditionText(condition, bound) ?? []);
  return texts.length === 0 ? undefined : texts.join(' and ');
}

/** The keys of the rows that go to this shard. */
function rowKeys(plan: InsertPlan, { shard, bound, caches }: ForShard): string | undefined {
  if (plan.target.kind !== 'by-key') return undefined;
  const routed = routeRows(plan, bound, caches);
  if (routed.kind !== 'rows') return undefined;
  const keys = plan.rows.flatMap(({ key }, index) =>
    key !== undefined && routed.shards[index] === shard ? [valueText(key, bound)] : [],
  );
  return listed(keys);
}

/** Undefined when the condition says nothing about keys. */
function conditionText(condition: KeyCondition, bound: BoundStatement): string | undefined {
  switch (condition.kind) {
    case 'all':
      return undefined;
    case 'none':
      return 'no row';
    case 'equal':
      return valueText(condition.value, bound);
    case 'in':
      return listed(condition.values.map((value) => valueText(value, bound)));
    case 'between': {
      const { low, high } = condition;
      const parts = [
        ...(low === undefined
          ? []
          : [`>${low.inclusive ? '=' : ''} ${valueText(low.value, bound)}`]),
        ...(high === undefined
          ? []
          : [`<${high.inclusive ? '=' : ''} ${valueText(high.value, bound)}`]),
      ];
      return parts.join(' and ');
    }
    case 'and':
    case 'or': {
      const parts = condition.conditions.flatMap((part) => conditionText(part, bound) ?? []);
      return parts
        .map((part) => (parts.length > 1 ? `(${part})` : part))
        .join(` ${condition.kind} `);
    }
  }
}

function listed(keys: readonly string[]): string {
  const shown = keys.slice(0, KEYS_MAX).join(', ');
  return keys.length > KEYS_MAX ? `${shown} and ${keys.length - KEYS_MAX} more` : shown;
}

function valueText(source: KeySource, { text, literals }: BoundStatement): string {
  switch (source.kind) {
    case 'literal': {
      const literal = text.toString(
        'utf8',
        literals.starts[source.slot],
        literals.ends[source.slot],
      );
      return source.negated ? `-${literal}` : literal;
    }
    case 'constant':
      return source.key === null ? 'NULL' : String(source.key);
    case 'parameter':
      return '?';
    case 'generated':
      return 'from the sequence';
  }
}
