import type { ColumnReference, Expression, TableReference } from '../sql/statement.ts';
import { keyClass } from '../topology/key-type.ts';
import type { Strategy } from '../topology/strategy.ts';
import { conjunctsOf } from './expression-walk.ts';
import {
  joinColumns,
  keyOf,
  type ResolvedColumn,
  type Scope,
  type TableInstance,
} from './scope.ts';

/** Sharded tables of one block whose rows only meet when their keys are equal: on one shard. */
export interface KeyGroup {
  readonly strategy: Strategy;
  readonly members: readonly TableInstance[];
  /** Terms that hold for every row of these tables that matters to the block. */
  readonly conditions: readonly Expression[];
  readonly scope: Scope;
  /** The group of an outer block whose key equals this one's in each evaluation. */
  readonly anchor: KeyGroup | undefined;
}

export interface BlockLinks {
  readonly groups: readonly KeyGroup[];
  /** The terms of WHERE and of the joins' ON. */
  readonly terms: readonly Term[];
  /** Tables on the side of an outer join that may be filled up with NULL. */
  readonly nullable: ReadonlySet<TableInstance>;
  /** Why the joins of this block cannot be made shard by shard; undefined when they can. */
  readonly problem: string | undefined;
}

export interface LinkInput {
  readonly from: readonly TableReference[];
  readonly where: Expression | undefined;
  readonly scope: Scope;
  /** Which instance a reference of FROM became. */
  readonly instanceOf: (reference: TableReference) => TableInstance;
  readonly outerGroups: readonly KeyGroup[];
}

type Equality = readonly [ResolvedColumn, ResolvedColumn];

export interface Term {
  readonly expression: Expression;
  /** The tables it restricts; undefined when it restricts all of the block. */
  readonly domain: ReadonlySet<TableInstance> | undefined;
}

interface Part {
  readonly members: readonly TableInstance[];
  readonly partitioned: boolean;
}

export function linkKeys(input: LinkInput): BlockLinks {
  return new Linker(input).run();
}

class Linker {
  readonly #input: LinkInput;
  readonly #groupOf = new Map<TableInstance, TableInstance>();
  readonly #terms: Term[] = [];
  readonly #nullable = new Set<TableInstance>();
  readonly #correlated: { inner: TableInstance; outer: TableInstance; term: Term }[] = [];
  #problem: string | undefined;

  constructor(input: LinkInput) {
    this.#input = input;
  }

  run(): BlockLinks {
    const above = this.#add(this.#input.where, undefined);
    const parts = this.#input.from.map((reference) => this.#link(reference, above, undefined));
    this.#union(
      above,
      parts.flatMap((part) => part.members),
    );
    return {
      groups: this.#groups(),
      terms: this.#terms,
      nullable: this.#nullable,
      problem: this.#problem,
    };
  }

  #link(
    reference: TableReference,
    above: readonly Equality[],
    domain: ReadonlySet<TableInstance> | undefined,
  ): Part {
    if (reference.kind !== 'join') {
      const instance = this.#input.instanceOf(reference);
      this.#groupOf.set(instance, instance);
      return { members: [instance], partitioned: instance.placement.kind === 'sharded' };
    }
    if (reference.type === 'left') return this.#outer(reference, above, domain);
    if (reference.type === 'right') {
      const mirrored = { ...reference, left: reference.right, right: reference.left };
      return this.#outer(mirrored, above, domain);
    }
    if (reference.type === 'full') return this.#full(reference, domain);
    const equalities = [
      ...above,
      ...this.#add(reference.on, domain),
      ...this.#namedEqualities(reference),
    ];
    const left = this.#link(reference.left, equalities, domain);
    const right = this.#link(reference.right, equalities, domain);
    const members = [...left.members, ...right.members];
    this.#union(equalities, members);
    return { members, partitioned: left.partitioned || right.partitioned };
  }

  /** The left side keeps all its rows; the right side's only matter where ON holds. */
  #outer(
    join: Extract<TableReference, { kind: 'join' }>,
    above: readonly Equality[],
    domain: ReadonlySet<TableInstance> | undefined,
  ): Part {
    const left = this.#link(join.left, above, domain);
    const rightDomain = new Set(this.#leaves(join.right));
    const own = [...this.#add(join.on, rightDomain), ...this.#namedEqualities(join)];
    const right = this.#link(join.right, [...above, ...own], rightDomain);
    for (const instance of right.members) this.#nullable.add(instance);
    const members = [...left.members, ...right.members];
    if (right.partitioned && !left.partitioned) {
      this.#problem ??=
        'an outer join that keeps all rows of a table that is not sharded, joined to a sharded one';
    }
    if (right.partitioned && this.#rootsOf(left.members).size > 1) {
      this.#problem ??= 'an outer join whose left side is not joined on the shard key';
    } else {
      // An equality between two tables of the left side alone says nothing about its rows.
      const useful = own.filter(
        ([a, b]) => rightDomain.has(a.instance) || rightDomain.has(b.instance),
      );
      this.#union([...above, ...useful], members);
    }
    return { members, partitioned: left.partitioned || right.partitioned };
  }

  #full(
    join: Extract<TableReference, { kind: 'join' }>,
    domain: ReadonlySet<TableInstance> | undefined,
  ): Part {
    const left = this.#link(join.left, [], domain);
    const right = this.#link(join.right, [], domain);
    const members = [...left.members, ...right.members];
    for (const instance of members) this.#nullable.add(instance);
    const partitioned = left.partitioned || right.partitioned;
    if (partitioned) this.#problem ??= 'a full join of sharded tables';
    return { members, partitioned };
  }

  #leaves(reference: TableReference): readonly TableInstance[] {
    if (reference.kind !== 'join') return [this.#input.instanceOf(reference)];
    return [...this.#leaves(reference.left), ...this.#leaves(reference.right)];
  }

  #rootsOf(members: readonly TableInstance[]): ReadonlySet<TableInstance> {
    const sharded = members.filter((instance) => instance.placement.kind === 'sharded');
    return new Set(sharded.map((instance) => this.#root(instance)));
  }

  /** Takes the condition's terms down and returns the key equalities among them. */
  #add(
    condition: Expression | undefined,
    domain: ReadonlySet<TableInstance> | undefined,
  ): readonly Equality[] {
    const equalities: Equality[] = [];
    for (const expression of conjunctsOf(condition)) {
      const term = { expression, domain };
      this.#terms.push(term);
      for (const [left, right] of equalPairs(expression)) {
        this.#addPair(left, right, term, equalities);
      }
    }
    return equalities;
  }

  #addPair(left: Expression, right: Expression, term: Term, into: Equality[]): void {
    const { scope } = this.#input;
    const a = keyOf(left, scope);
    const b = keyOf(right, scope);
    if (a === undefined || b === undefined || !comparesAlike(a.instance, b.instance)) return;
    if (a.scope === scope && b.scope === scope) into.push([a, b]);
    else if (a.scope === scope) {
      this.#correlated.push({ inner: a.instance, outer: b.instance, term });
    } else if (b.scope === scope) {
      this.#correlated.push({ inner: b.instance, outer: a.instance, term });
    }
  }

  #namedEqualities(join: Extract<TableReference, { kind: 'join' }>): readonly Equality[] {
    const names = joinColumns(join, (reference) => {
      const leaves = this.#leaves(reference);
      if (leaves.some((instance) => instance.columns === undefined)) return undefined;
      return new Set(leaves.flatMap((instance) => [...(instance.columns ?? [])]));
    });
    const equalities: Equality[] = [];
    for (const name of names) {
      const isKey = (instance: TableInstance): boolean =>
        instance.placement.kind === 'sharded' && instance.placement.keyColumn === name;
      const left = this.#leaves(join.left).find(isKey);
      const right = this.#leaves(join.right).find(isKey);
      if (left === undefined || right === undefined || !comparesAlike(left, right)) continue;
      const { scope } = this.#input;
      equalities.push([
        { instance: left, scope, name },
        { instance: right, scope, name },
      ]);
    }
    return equalities;
  }

  #union(equalities: readonly Equality[], members: readonly TableInstance[]): void {
    const here = new Set(members);
    for (const [a, b] of equalities) {
      if (!here.has(a.instance) || !here.has(b.instance)) continue;
      this.#groupOf.set(this.#root(a.instance), this.#root(b.instance));
    }
  }

  #root(instance: TableInstance): TableInstance {
    let at = instance;
    for (;;) {
      const next = this.#groupOf.get(at);
      if (next === undefined || next === at) return at;
      at = next;
    }
  }

  #groups(): readonly KeyGroup[] {
    const members = new Map<TableInstance, TableInstance[]>();
    for (const instance of this.#groupOf.keys()) {
      if (instance.placement.kind !== 'sharded') continue;
      const root = this.#root(instance);
      members.set(root, [...(members.get(root) ?? []), instance]);
    }
    return [...members.values()].map((group) => this.#group(group));
  }

  #group(members: readonly TableInstance[]): KeyGroup {
    const [first] = members;
    if (first?.placement.kind !== 'sharded') throw new Error('a group without a sharded table');
    const holds = (term: Term): boolean =>
      term.domain === undefined || members.every((instance) => term.domain?.has(instance));
    const link = this.#correlated.find(({ inner, term }) => members.includes(inner) && holds(term));
    const anchor = this.#input.outerGroups.find(
      (group) => link !== undefined && group.members.includes(link.outer),
    );
    return {
      strategy: first.placement.strategy,
      members,
      conditions: this.#terms.filter(holds).map((term) => term.expression),
      scope: this.#input.scope,
      anchor,
    };
  }
}

/** `a = b`, and the pairs of `(a, c) = (b, d)`. */
function equalPairs(expression: Expression): readonly (readonly [Expression, Expression])[] {
  if (expression.kind !== 'binary' || expression.operator !== '=') return [];
  const { left, right } = expression;
  if (left.kind === 'column' && right.kind === 'column') return [[left, right]];
  if (left.kind !== 'row' || right.kind !== 'row') return [];
  return left.items.flatMap(
    (item, index): readonly (readonly [ColumnReference, ColumnReference])[] => {
      const other = right.items[index];
      return item.kind === 'column' && other?.kind === 'column' ? [[item, other]] : [];
    },
  );
}

/** Equal values of both keys are on one shard, and MySQL's `=` between them means that equality. */
function comparesAlike(a: TableInstance, b: TableInstance): boolean {
  const left = a.placement;
  const right = b.placement;
  if (left.kind !== 'sharded' || right.kind !== 'sharded') return false;
  if (left.strategy !== right.strategy) return false;
  if (left.keyType === undefined || right.keyType === undefined) return true;
  return keyClass(left.keyType) === keyClass(right.keyType);
}
