import { renderText, TextPlaces } from '../../src/execute/render-text.ts';
import type { GatherInput, MergeKey, NumberSource, Plan } from '../../src/plan/plan.ts';
import { HIDDEN_BASE } from '../../src/plan/plan.ts';
import { planStatement } from '../../src/plan/planner.ts';
import { type RoutedText, routeRows, routeTarget } from '../../src/plan/route.ts';
import { Fingerprinter } from '../../src/sql/fingerprint.ts';
import { parseText } from '../../src/sql/parse-statement.ts';
import type { LexicalContext, Span } from '../../src/sql/statement.ts';
import type { RoutingCaches } from '../../src/topology/routing-caches.ts';
import { planTopology } from './plan-topology.ts';

export const lexical: LexicalContext = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  ignoreSpace: false,
  highNotPrecedence: false,
  flavour: 'mariadb',
  serverVersion: 101_119,
};

/** The weight of a name is its number: `n7` weighs 7. Other texts are not in the cache. */
export const planCaches: RoutingCaches = {
  weightOf: (_collation, text) => /^n(\d+)$/.exec(text)?.[1],
};

const facts = {
  lastInsertId: 42,
  rowCount: 3,
  foundRows: 7,
  connectionId: 5,
  warningCount: 0,
  errorCount: 0,
  user: 'app@127.0.0.1',
  currentUser: 'app@%',
};

export interface PlannedStatement {
  readonly plan: Plan;
  readonly bound: RoutedText;
  readonly pinned: readonly number[];
  readonly nonZero: readonly number[];
  readonly userVariables: readonly string[];
}

export function planned(
  sql: string,
  database: string | null = 'shop',
  rules: Partial<LexicalContext> = {},
): PlannedStatement {
  const read = { ...lexical, ...rules };
  const text = Buffer.from(sql);
  const fingerprinter = new Fingerprinter();
  fingerprinter.scan(text, 0, text.length, read);
  const { literals } = fingerprinter;
  const { statement, shapingSlots } = parseText(text, read);
  const cached = planStatement({
    text,
    statement,
    literals,
    database: database ?? undefined,
    topology: planTopology,
    shapingSlots,
    lexical: read,
  });
  return {
    plan: cached.plan,
    bound: { text, literals, lexical: read },
    pinned: cached.pinned.map((pin) => pin.slot),
    nonZero: cached.nonZero,
    userVariables: cached.userVariables,
  };
}

/** The plan in one line: kind, shards, merge, and the text where it is not the client's own. */
export function plannedLine(statement: PlannedStatement): string {
  const { plan, bound } = statement;
  const parts = [...lineOf(plan, bound)];
  if (statement.pinned.length > 0) parts.push(`pins ${statement.pinned.join(' ')}`);
  if (statement.nonZero.length > 0) parts.push(`not 0: ${statement.nonZero.join(' ')}`);
  if (statement.userVariables.length > 0)
    parts.push(`reads @${statement.userVariables.join(' @')}`);
  return parts.join(' | ');
}

function lineOf(plan: Plan, bound: RoutedText): readonly string[] {
  switch (plan.kind) {
    case 'local':
      return plan.explained === undefined
        ? [`local ${plan.statement.kind}`]
        : [`route from ${plan.explained.start}`, ...lineOf(plan.explained.plan, bound)];
    case 'single': {
      const marks = `${plan.writes ? ' writes' : ''}${plan.locks ? ' locks' : ''}`;
      return [`single ${shardsOf(plan.target, bound)}${marks}`, ...changed(bound, plan.edits)];
    }
    case 'scatter': {
      const { merge } = plan;
      const marks = `${plan.locks ? ' locks' : ''}${plan.readsClock ? ' clock' : ''}`;
      return [
        `scatter ${shardsOf(plan.target, bound)}${marks}`,
        [merge.kind, ...merge.keys.map(keyText)].join(' '),
        ...merge.aggregates.map((aggregate) => JSON.stringify(aggregate)),
        ...(merge.distinctKeys ? [`distinct ${merge.distinctKeys.map(keyText).join(' ')}`] : []),
        ...(merge.orderAfterGroup ? [`then ${merge.orderAfterGroup.map(keyText).join(' ')}`] : []),
        ...(merge.limit ? [limitText(merge.limit)] : []),
        ...(merge.hiddenColumns > 0 ? [`${merge.hiddenColumns} hidden`] : []),
        ...changed(bound, plan.edits),
      ];
    }
    case 'gather': {
      const { single, inputs } = plan;
      return [
        `gather at ${plan.finish}`,
        ...(single === undefined ? [] : [`or single ${shardsOf(single, bound)}`]),
        ...inputs.map((input) => gatheredText(input, bound)),
        ...changed(bound, plan.edits),
      ];
    }
    case 'write':
      return [
        `write ${shardsOf(plan.target, bound)}${plan.reference ? ' reference' : ''}`,
        ...changed(bound, plan.edits),
      ];
    case 'insert': {
      const routed =
        plan.target.kind === 'every' ? undefined : routeRows(plan, bound, planCaches, 100n);
      const shards =
        routed === undefined
          ? shardsOf(plan.target, bound)
          : routed.kind === 'rows'
            ? routed.shards.join(' ')
            : JSON.stringify(routed.lookups);
      return [
        `insert ${shards}`,
        ...(plan.generate ? [`${plan.generate.count} ids for ${plan.generate.column}`] : []),
        ...plan.rows.flatMap((row) =>
          row.generatedAt
            ? [`id ${row.generatedAt.index} after '${row.generatedAt.separator}'`]
            : [],
        ),
        ...changed(bound, plan.edits),
      ];
    }
    case 'ddl':
      return [`ddl ${plan.shards.join(' ')}`, ...plan.tables];
  }
}

function gatheredText(input: GatherInput, bound: RoutedText): string {
  const places = new TextPlaces(bound.literals);
  const text = (span: Span): string => {
    const { start, end } = places.span(span);
    return bound.text.toString('utf8', start, end);
  };
  const columns = input.columns.map(({ name }) => name).join(',');
  const where = input.conditions.map(
    ({ span, isTemporal }) => `${isTemporal ? ' temporal' : ' where'} ${text(span)}`,
  );
  const place = input.isAtFinish ? 'in place' : shardsOf(input.target, bound);
  return `${input.alias}(${columns}) from ${place} for '${text(input.span)}'${where.join('')}`;
}

function shardsOf(target: Parameters<typeof routeTarget>[0], bound: RoutedText): string {
  const routed = routeTarget(target, bound, planCaches);
  const how = target.kind === 'any' ? 'any of ' : '';
  return `${how}${routed.kind === 'shards' ? routed.shards.join(' ') : JSON.stringify(routed.lookups)}`;
}

function changed(bound: RoutedText, edits: Parameters<typeof renderText>[1]): readonly string[] {
  return edits.length === 0 ? [] : [renderText(bound, edits, facts).toString()];
}

function columnText(column: number): string {
  return column >= HIDDEN_BASE ? `h${column - HIDDEN_BASE}` : `${column}`;
}

function keyText(key: MergeKey): string {
  const weight = key.weightColumn === undefined ? '' : `~${columnText(key.weightColumn)}`;
  const pad =
    key.padWeight === undefined ? '' : `+${Buffer.from(key.padWeight, 'latin1').toString('hex')}`;
  return `${key.descending ? '-' : ''}${columnText(key.column)}${weight}${pad}`;
}

function limitText(limit: {
  readonly count: NumberSource;
  readonly offset?: NumberSource;
}): string {
  const text = (source: NumberSource): string => JSON.stringify(Object.values(source).slice(1)[0]);
  return `limit ${text(limit.count)}${limit.offset === undefined ? '' : ` offset ${text(limit.offset)}`}`;
}
