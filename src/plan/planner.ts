import { unreachable } from '../runtime/assert.ts';
import type { Statement } from '../sql/statement.ts';
import type { CachedPlan, Plan } from './plan.ts';
import { PlanContext, type PlannerInput } from './plan-context.ts';
import { planDdl } from './plan-ddl.ts';
import { planInsert } from './plan-insert.ts';
import { planExplain, planOther } from './plan-other.ts';
import { planSelect } from './plan-select.ts';
import { planShow } from './plan-show.ts';
import { planDelete, planUpdate } from './plan-write.ts';

/**
 * Says where a statement goes and how the answers become one. Pure: it knows the statement and the
 * snapshot, and asks nobody. Throws ProxyError for what cannot be done exactly.
 */
export function planStatement(input: PlannerInput): CachedPlan {
  const context = new PlanContext(input);
  const plan = planOf(input.statement, context);
  // These carry the tree itself, whose spans and values are those of this very text.
  if (plan.kind === 'local' || plan.kind === 'ddl') context.pinAll();
  return deepFreeze(context.finish(plan));
}

function planOf(statement: Statement, context: PlanContext): Plan {
  switch (statement.kind) {
    case 'select':
      return planSelect(statement, context);
    case 'insert':
      return planInsert(statement, context);
    case 'update':
      return planUpdate(statement, context);
    case 'delete':
      return planDelete(statement, context);
    case 'show':
      return planShow(statement, context);
    case 'explain':
      return planExplain(statement, context, planOf);
    case 'ddl':
      return planDdl(statement, context);
    case 'other':
      return planOther(statement, context);
    case 'set':
    case 'set-names':
    case 'set-transaction':
    case 'begin':
    case 'commit':
    case 'rollback':
    case 'savepoint':
    case 'rollback-to':
    case 'release-savepoint':
    case 'use':
      return { kind: 'local', statement };
    default:
      return unreachable(statement);
  }
}

/** Parts of other owners that a plan refers to: frozen already, or not ours to freeze. */
const SHARED = new Set(['table', 'strategy', 'statement']);

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (Array.isArray(value)) {
    for (const part of value) deepFreeze(part);
  } else {
    const parts = value as Readonly<Record<string, unknown>>;
    for (const name in parts) if (!SHARED.has(name)) deepFreeze(parts[name]);
  }
  return Object.freeze(value);
}
