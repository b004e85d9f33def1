/**
 * Plans are data: frozen, printable (EXPLAIN ROUTE shows them), generic in the literals of the
 * statement. They are cached by the statement's template, so every position in them is a position
 * in the *template* (see sql/template-position.ts) and every value is named by its literal slot.
 */
import type { Span, Statement } from '../sql/statement.ts';
import type { RoutingKey, ShardId, Strategy } from '../topology/strategy.ts';
import type { ColumnSchema } from '../topology/table-schema.ts';
import type { Table } from '../topology/topology.ts';

/** A shard key value as the plan knows it before it sees the statement's literals. */
export type KeySource =
  | {
      readonly kind: 'literal';
      readonly slot: number;
      readonly negated: boolean;
      readonly table: Table;
      readonly keyIndex: number;
      /** An integer literal for an integer key: a key (or no row) whatever its value is. */
      readonly certain?: true;
    }
  | {
      readonly kind: 'parameter';
      readonly index: number;
      readonly table: Table;
      readonly keyIndex: number;
    }
  | { readonly kind: 'constant'; readonly key: RoutingKey }
  /** An id from the sequence, taken before routing: entry `row` of the allocated block of ids. */
  | { readonly kind: 'generated'; readonly row: number };

/**
 * Which keys a statement can touch. `all` says nothing is known, `none` that no row matches
 * (key = NULL): the statement still runs on one shard, for its columns and errors.
 */
export type KeyCondition =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  | { readonly kind: 'equal'; readonly value: KeySource }
  | { readonly kind: 'in'; readonly values: readonly KeySource[] }
  | {
      readonly kind: 'between';
      readonly low?: { readonly value: KeySource; readonly inclusive: boolean };
      readonly high?: { readonly value: KeySource; readonly inclusive: boolean };
      /** BETWEEN: a bound that is no value of the key's type changes what the other one means. */
      readonly together?: true;
    }
  | { readonly kind: 'and'; readonly conditions: readonly KeyCondition[] }
  | { readonly kind: 'or'; readonly conditions: readonly KeyCondition[] };

/** Where a statement goes; `by-key` is decided when the literals are known. */
export type ShardTarget =
  | { readonly kind: 'fixed'; readonly shard: ShardId }
  /** Any one of these will do (reference tables, no table at all). */
  | { readonly kind: 'any'; readonly shards: readonly ShardId[] }
  | { readonly kind: 'every'; readonly shards: readonly ShardId[] }
  | {
      readonly kind: 'by-key';
      readonly strategy: Strategy;
      readonly database: string;
      readonly condition: KeyCondition;
    }
  /**
   * Several parts of one statement that only work together on one shard (two tables pinned by two
   * literals). Routing refuses the statement with 1235 when they come out differently.
   */
  | {
      readonly kind: 'agreeing';
      readonly targets: readonly ShardTarget[];
      /** There is a way when they differ: routing then gives all their shards. */
      readonly mayDiffer?: true;
    };

/** Facts of the session that a shard cannot know, written into the text it gets. */
export type SessionValue =
  | 'last_insert_id'
  | 'row_count'
  | 'found_rows'
  | 'connection_id'
  | 'warning_count'
  | 'error_count'
  | 'user'
  | 'current_user';

/** A change to the client's text before a shard gets it. */
export type TextEdit =
  | { readonly kind: 'replace'; readonly span: Span; readonly text: string }
  /** `alias` is added behind the value where the client would see the column's name. */
  | {
      readonly kind: 'session-value';
      readonly span: Span;
      readonly value: SessionValue;
      readonly alias?: string;
    }
  /**
   * The span gives way to the parts in order; a part that is a span is copied from the client's
   * own text (it may hold literals, which differ from statement to statement).
   */
  | {
      readonly kind: 'compose';
      readonly span: Span;
      readonly parts: readonly (string | Span)[];
    }
  /** At the span, ` AS …` with the name that a server would have made of the text at `of`. */
  | { readonly kind: 'name'; readonly span: Span; readonly of: Span }
  /** The span gives way to `LIMIT n`, n being count plus offset: what a shard has to send at most. */
  | {
      readonly kind: 'limit';
      readonly span: Span;
      readonly count: NumberSource;
      readonly offset?: NumberSource;
    };

/** A value that is a literal of the statement or fixed in the plan. */
export type NumberSource =
  | { readonly kind: 'literal'; readonly slot: number }
  | { readonly kind: 'parameter'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number };

/** The proxy itself answers or acts: SET, USE, BEGIN, SHOW SHARDS, EXPLAIN ROUTE, … */
export interface LocalPlan {
  readonly kind: 'local';
  readonly statement: Statement;
  /** For EXPLAIN ROUTE: the plan of the explained statement and where its text starts. */
  readonly explained?: { readonly plan: Plan; readonly start: number };
}

/** One shard answers; its reply bytes pass through undecoded. */
export interface SinglePlan {
  readonly kind: 'single';
  readonly target: ShardTarget;
  readonly edits: readonly TextEdit[];
  /** Reads may run on any lease; writes make a transaction dirty. */
  readonly writes: boolean;
  /** SELECT … FOR UPDATE / SHARE, INTO, …: never shared, replayed or sent to a replica. */
  readonly locks: boolean;
}

/**
 * Each shard answers for its own rows and the answers are merged. When the key condition comes out
 * as one shard the executor relays instead, with `singleEdits`.
 */
export interface ScatterPlan {
  readonly kind: 'scatter';
  readonly target: ShardTarget;
  readonly singleEdits: readonly TextEdit[];
  readonly edits: readonly TextEdit[];
  readonly merge: MergePlan;
  readonly locks: boolean;
  /** NOW() and friends occur: all shards must be given one timestamp. */
  readonly readsClock: boolean;
}

/** One column of the pushed-down SELECT compared when sorting or grouping. */
export interface MergeKey {
  /** Index in the shard's columns of the value itself. */
  readonly column: number;
  /** Index of WEIGHT_STRING(value); used when the value's column turns out to be text. */
  readonly weightColumn?: number;
  /**
   * PAD SPACE collations: the weight of one space as a latin1 string ('\x20', '\x00\x20', '\x02\x09').
   * Weights are then compared as if the shorter one went on in spaces; absent for NO PAD and binary.
   */
  readonly padWeight?: string;
  readonly descending: boolean;
}

export type MergeAggregate =
  | { readonly kind: 'count'; readonly column: number }
  | { readonly kind: 'sum'; readonly column: number }
  | {
      readonly kind: 'min' | 'max';
      readonly column: number;
      readonly weightColumn?: number;
      readonly padWeight?: string;
    }
  /** `column` holds the shard's own AVG (its definition is the result's), the others its parts. */
  | {
      readonly kind: 'avg';
      readonly column: number;
      readonly sumColumn: number;
      readonly countColumn: number;
    };

export interface MergePlan {
  /**
   * concat: rows in any order; sort: k-way merge by `keys` (each shard sends them in that order);
   * group: rows with equal `keys` become one with `aggregates` merged (no keys: one row in all).
   */
  readonly kind: 'concat' | 'sort' | 'group';
  readonly keys: readonly MergeKey[];
  readonly aggregates: readonly MergeAggregate[];
  /** Rows with equal `distinctKeys` are sent once. */
  readonly distinctKeys?: readonly MergeKey[];
  /** Order of grouped rows; `sort` needs none since its input is ordered by `keys`. */
  readonly orderAfterGroup?: readonly MergeKey[];
  readonly limit?: { readonly count: NumberSource; readonly offset?: NumberSource };
  /**
   * Columns appended to the select list for the merge (sort keys, weights, parts of AVG), dropped
   * before the client sees the row. They are the last ones, so `SELECT *` needs no counting:
   * indices in keys and aggregates at or above `hiddenBase` count from the first hidden column.
   */
  readonly hiddenColumns: number;
}

/** Indices at or above this are hidden columns: `HIDDEN_BASE + i` is the i-th appended one. */
export const HIDDEN_BASE = 1_000_000;

/**
 * Everything else that MySQL accepts: the rows that the statement may need are brought to one server,
 * which runs the statement over them.
 */
export interface GatherPlan {
  readonly kind: 'gather';
  /** When this comes out as one shard, that shard has all the rows and answers with `singleEdits`. */
  readonly single?: ShardTarget;
  readonly singleEdits: readonly TextEdit[];
  /** The server that runs the statement. */
  readonly finish: ShardId;
  readonly inputs: readonly GatherInput[];
  /** Of the statement's own text, without the references to `inputs`. */
  readonly edits: readonly TextEdit[];
}

/** One table reference of a gathered statement; each has rows of its own. */
export interface GatherInput {
  readonly table: Table;
  /** What the statement calls it: its alias, or its name. */
  readonly alias: string;
  /** The reference with alias and hints; of `TABLE t` all of it. */
  readonly span: Span;
  /** `TABLE t`, which takes no alias: a SELECT stands in for it. */
  readonly isTableBody: boolean;
  /** Where its copy is named as if it stood: `db.t.column` has to be found. */
  readonly database: string;
  /** The columns that the statement may look at, in the table's order. */
  readonly columns: readonly ColumnSchema[];
  readonly primaryKey: readonly string[];
  readonly target: ShardTarget;
  readonly conditions: readonly GatherCondition[];
  /** `finish` has all its rows: outside of a transaction, which may have changed them, it is read there. */
  readonly isAtFinish: boolean;
}

/** A term that every row has to meet that can matter. */
export interface GatherCondition {
  readonly span: Span;
  /** Dates are read by the session's sql_mode and time zone, which is another one while rows are copied. */
  readonly isTemporal: boolean;
}

/** UPDATE and DELETE whose rows are where the condition says; the same text on each shard. */
export interface WritePlan {
  readonly kind: 'write';
  readonly target: ShardTarget;
  readonly edits: readonly TextEdit[];
  /** True for reference tables: every shard gives the same counts and the client sees one. */
  readonly reference: boolean;
  /** NOW() and friends occur: all shards must be given one timestamp. */
  readonly readsClock: boolean;
}

/** INSERT and REPLACE with VALUES or SET, split by row. */
export interface InsertPlan {
  readonly kind: 'insert';
  readonly table: Table;
  /**
   * `by-key`: each row goes where its key says (see routeRows). `every`: a reference table with
   * generated ids, all rows go to each of these shards.
   */
  readonly target: ShardTarget;
  /** Also holds the generated column's name, added to the column list where it was not listed. */
  readonly edits: readonly TextEdit[];
  readonly rows: readonly InsertPlanRow[];
  /** Template span of all rows: replaced by the rows of one shard. */
  readonly rowsSpan: Span;
  /** Where ids from the sequence go in. */
  readonly generate?: {
    readonly column: string;
    /** How many ids to take: rows that bring their own need none. */
    readonly count: number;
  };
  /** Ids that rows bring themselves for the generated column: the sequence goes on above them. */
  readonly ownIds?: { readonly column: string; readonly slots: readonly number[] };
  readonly readsClock: boolean;
}

export interface InsertPlanRow {
  /** Template span of the row with its parentheses. */
  readonly span: Span;
  /** Undefined in rows of reference tables. */
  readonly key: KeySource | undefined;
  /**
   * Where this row's generated id goes: replaces a span (NULL, DEFAULT, 0) or is put in at a point,
   * with `separator` before it (', ' or, in INSERT … SET, ', `id` = '). `index` is the id's place
   * in the block of `generate.count` ids.
   */
  readonly generatedAt?: {
    readonly span: Span;
    readonly separator: string;
    readonly index: number;
  };
}

/** A schema change, fanned out; `tables` are re-read afterwards. */
export interface DdlPlan {
  readonly kind: 'ddl';
  readonly shards: readonly ShardId[];
  readonly statement: Statement;
  readonly database: string;
  readonly tables: readonly string[];
}

export type Plan =
  | LocalPlan
  | SinglePlan
  | ScatterPlan
  | GatherPlan
  | WritePlan
  | InsertPlan
  | DdlPlan;

/** A plan and the literals whose value it took for granted (ORDER BY 2, …), as text. */
export interface CachedPlan {
  readonly plan: Plan;
  readonly pinned: readonly { readonly slot: number; readonly text: string }[];
  /** Integer literals for columns with generated ids: the plan serves them only when not 0. */
  readonly nonZero: readonly number[];
  /** Names (lower case) of user variables that are read: the session must have replayed them. */
  readonly userVariables: readonly string[];
}
