/**
 * The tree of a statement. Every node has its span in the client's own bytes, so that a rewrite is
 * a list of splices. Numbers and strings stay source text: a literal knows its *slot*, the ordinal
 * of its token among the literal tokens of the statement, and plans read values by slot.
 */

/** Byte offsets in the statement's text, end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export type LiteralType =
  | 'integer'
  | 'decimal'
  | 'float'
  | 'string'
  | 'hex'
  | 'bit'
  | 'null'
  | 'true'
  | 'false'
  /** DATE '…', TIME '…', TIMESTAMP '…' and the ODBC {d '…'} forms: the slot is the string's. */
  | 'date'
  | 'time'
  | 'timestamp';

export interface Literal {
  readonly kind: 'literal';
  readonly type: LiteralType;
  /** Ordinal of the (first) literal token; -1 for NULL, TRUE and FALSE, which are keywords. */
  readonly slot: number;
  /** Neighbouring strings concatenate ('a' 'b'): more than one token. 0 when slot is -1. */
  readonly slotCount: number;
  /** Introducer, for instance `latin1` in `_latin1'x'`, lower case without the underscore. */
  readonly charset?: string;
  readonly span: Span;
}

export interface ParameterExpression {
  readonly kind: 'parameter';
  readonly index: number;
  readonly span: Span;
}

export interface ColumnReference {
  readonly kind: 'column';
  readonly database?: string;
  readonly table?: string;
  readonly name: string;
  readonly span: Span;
}

/** `*` or `t.*` in a select list, and the argument of COUNT(*). */
export interface StarExpression {
  readonly kind: 'star';
  readonly database?: string;
  readonly table?: string;
  readonly span: Span;
}

export interface VariableExpression {
  readonly kind: 'variable';
  /** `user` is @x; the rest are @@x forms, `unscoped` for a bare @@x. */
  readonly scope: 'user' | 'unscoped' | 'session' | 'local' | 'global' | 'persist' | 'persist_only';
  readonly name: string;
  readonly span: Span;
}

export interface UnaryExpression {
  readonly kind: 'unary';
  readonly operator: '-' | '+' | '~' | '!' | 'not' | 'binary';
  readonly operand: Expression;
  readonly span: Span;
}

export type BinaryOperator =
  | 'and'
  | 'or'
  | 'xor'
  | '='
  | '<=>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '<>'
  | '+'
  | '-'
  | '*'
  | '/'
  | 'div'
  | '%'
  | '|'
  | '&'
  | '^'
  | '<<'
  | '>>'
  /** `||` under PIPES_AS_CONCAT. */
  | 'concat'
  | 'like'
  | 'not like'
  | 'regexp'
  | 'not regexp'
  | 'sounds like'
  | 'member of'
  | '->'
  | '->>';

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  /** LIKE … ESCAPE. */
  readonly escape?: Expression;
  readonly span: Span;
}

export interface IsExpression {
  readonly kind: 'is';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly test: 'null' | 'true' | 'false' | 'unknown' | 'json';
  readonly span: Span;
}

export interface InExpression {
  readonly kind: 'in';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly list: readonly Expression[] | QueryExpression;
  readonly span: Span;
}

export interface BetweenExpression {
  readonly kind: 'between';
  readonly operand: Expression;
  readonly negated: boolean;
  readonly low: Expression;
  readonly high: Expression;
  readonly span: Span;
}

export interface CallExpression {
  readonly kind: 'call';
  /** Upper case for built-in looking names; schema-qualified stored functions keep `schema`. */
  readonly name: string;
  readonly schema?: string;
  readonly arguments: readonly Expression[];
  readonly distinct: boolean;
  /** GROUP_CONCAT(… ORDER BY … SEPARATOR …). */
  readonly orderBy?: readonly OrderItem[];
  /** OVER (…) or OVER name: the call is a window function. */
  readonly over?: WindowReference;
  /** False for CURRENT_TIMESTAMP and friends written without parentheses. */
  readonly parenthesised: boolean;
  readonly span: Span;
}

export interface WindowReference {
  readonly name?: string;
  readonly partitionBy: readonly Expression[];
  readonly orderBy: readonly OrderItem[];
  readonly span: Span;
}

export interface CaseExpression {
  readonly kind: 'case';
  readonly operand?: Expression;
  readonly whens: readonly { readonly when: Expression; readonly then: Expression }[];
  readonly otherwise?: Expression;
  readonly span: Span;
}

/** CAST(x AS type), CONVERT(x, type), CONVERT(x USING charset). */
export interface CastExpression {
  readonly kind: 'cast';
  readonly operand: Expression;
  readonly typeSpan: Span;
  readonly span: Span;
}

export interface CollateExpression {
  readonly kind: 'collate';
  readonly operand: Expression;
  readonly collation: string;
  readonly span: Span;
}

/** INTERVAL 1 DAY, as an operand of + and - or an argument. */
export interface IntervalExpression {
  readonly kind: 'interval';
  readonly amount: Expression;
  readonly unit: string;
  readonly span: Span;
}

export interface RowExpression {
  readonly kind: 'row';
  readonly items: readonly Expression[];
  readonly span: Span;
}

export interface SubqueryExpression {
  readonly kind: 'subquery';
  readonly query: QueryExpression;
  /** EXISTS (…), or the right side of = ANY (…). */
  readonly quantifier?: 'exists' | 'any' | 'all' | 'some';
  readonly span: Span;
}

/** @v := expr inside an expression. */
export interface AssignExpression {
  readonly kind: 'assign';
  readonly variable: string;
  readonly value: Expression;
  readonly span: Span;
}

/** MATCH (a, b) AGAINST (expr …). */
export interface MatchExpression {
  readonly kind: 'match';
  readonly columns: readonly Expression[];
  readonly against: Expression;
  readonly span: Span;
}

/** DEFAULT, DEFAULT(col), VALUES(col) in ON DUPLICATE KEY UPDATE are calls; bare DEFAULT is this. */
export interface DefaultExpression {
  readonly kind: 'default';
  readonly span: Span;
}

/** A corner of the grammar that is delimited but not understood: plans treat it as unknown. */
export interface OpaqueExpression {
  readonly kind: 'opaque';
  readonly span: Span;
}

export type Expression =
  | Literal
  | ParameterExpression
  | ColumnReference
  | StarExpression
  | VariableExpression
  | UnaryExpression
  | BinaryExpression
  | IsExpression
  | InExpression
  | BetweenExpression
  | CallExpression
  | CaseExpression
  | CastExpression
  | CollateExpression
  | IntervalExpression
  | RowExpression
  | SubqueryExpression
  | AssignExpression
  | MatchExpression
  | DefaultExpression
  | OpaqueExpression;

export interface SelectItem {
  readonly expression: Expression;
  /** The name after AS (or without it); absent when the server names the column itself. */
  readonly alias?: string;
  /** Expression and alias. */
  readonly span: Span;
}

export interface OrderItem {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly span: Span;
}

export interface LimitClause {
  readonly count: Expression;
  readonly offset?: Expression;
  /** From LIMIT to its last number. */
  readonly span: Span;
}

export interface TableName {
  readonly kind: 'table';
  readonly database?: string;
  readonly name: string;
  readonly alias?: string;
  /** The name itself, with its database, without alias and hints. */
  readonly nameSpan: Span;
  /** True when PARTITION (…) or FOR SYSTEM_TIME follows. */
  readonly partitioned: boolean;
  readonly span: Span;
}

export interface DerivedTable {
  readonly kind: 'derived';
  readonly query: QueryExpression;
  readonly alias: string;
  readonly columns: readonly string[];
  readonly lateral: boolean;
  readonly span: Span;
}

export interface JoinedTable {
  readonly kind: 'join';
  readonly type: 'inner' | 'cross' | 'left' | 'right' | 'full' | 'straight';
  readonly natural: boolean;
  readonly left: TableReference;
  readonly right: TableReference;
  readonly on?: Expression;
  readonly using?: readonly string[];
  readonly span: Span;
}

/** JSON_TABLE(…) AS alias, table functions: rows that come from no stored table. */
export interface TableFunction {
  readonly kind: 'function';
  readonly name: string;
  readonly arguments: readonly Expression[];
  readonly alias: string;
  readonly span: Span;
}

export type TableReference = TableName | DerivedTable | JoinedTable | TableFunction;

/** SELECT … without set operations, ORDER BY and LIMIT belonging to the whole query. */
export interface SelectBlock {
  readonly kind: 'select';
  readonly distinct: boolean;
  /** HIGH_PRIORITY, STRAIGHT_JOIN, SQL_CALC_FOUND_ROWS, …, upper case. */
  readonly options: readonly string[];
  readonly items: readonly SelectItem[];
  /** From the first item to the last. */
  readonly itemsSpan: Span;
  /** Comma lists are inner joins without ON, left to right. Empty for FROM-less and FROM DUAL. */
  readonly from: readonly TableReference[];
  readonly where?: Expression;
  readonly groupBy?: {
    readonly items: readonly OrderItem[];
    readonly rollup: boolean;
    readonly span: Span;
  };
  readonly having?: Expression;
  readonly windows: readonly { readonly name: string; readonly window: WindowReference }[];
  readonly span: Span;
}

export interface SetOperation {
  readonly kind: 'set-operation';
  readonly operator: 'union' | 'intersect' | 'except';
  readonly all: boolean;
  readonly left: QueryBody;
  readonly right: QueryBody;
  readonly span: Span;
}

/** VALUES ROW(1,2), ROW(3,4) of MySQL; VALUES (1,2) of MariaDB. */
export interface ValuesBody {
  readonly kind: 'values';
  readonly rows: readonly (readonly Expression[])[];
  readonly span: Span;
}

/** TABLE t. */
export interface TableBody {
  readonly kind: 'table-body';
  readonly table: TableName;
  readonly span: Span;
}

/** A parenthesised query, with its own ORDER BY and LIMIT. */
export interface NestedBody {
  readonly kind: 'nested';
  readonly query: QueryExpression;
  readonly span: Span;
}

export type QueryBody = SelectBlock | SetOperation | ValuesBody | TableBody | NestedBody;

export interface CommonTableExpression {
  readonly name: string;
  readonly columns: readonly string[];
  readonly query: QueryExpression;
  readonly span: Span;
}

export interface LockingClause {
  readonly strength: 'update' | 'share';
  readonly span: Span;
}

export interface QueryExpression {
  readonly kind: 'query';
  readonly with?: {
    readonly recursive: boolean;
    readonly tables: readonly CommonTableExpression[];
  };
  readonly body: QueryBody;
  readonly orderBy?: readonly OrderItem[];
  /** From ORDER to the last item. */
  readonly orderBySpan?: Span;
  readonly limit?: LimitClause;
  readonly locking: readonly LockingClause[];
  /** INTO OUTFILE/DUMPFILE/@v. */
  readonly into?: { readonly kind: 'outfile' | 'dumpfile' | 'variables'; readonly span: Span };
  /** PROCEDURE ANALYSE and other tails that are delimited but not understood. */
  readonly opaqueTail?: Span;
  readonly span: Span;
}

export interface SelectStatement {
  readonly kind: 'select';
  readonly query: QueryExpression;
  readonly span: Span;
}

export interface Assignment {
  readonly column: ColumnReference;
  readonly value: Expression;
  readonly span: Span;
}

export interface InsertRow {
  readonly values: readonly Expression[];
  /** The row with its parentheses (and the word ROW). */
  readonly span: Span;
}

export interface InsertStatement {
  readonly kind: 'insert';
  readonly replace: boolean;
  readonly ignore: boolean;
  /** LOW_PRIORITY, HIGH_PRIORITY, DELAYED. */
  readonly options: readonly string[];
  readonly table: TableName;
  /** Undefined when the statement has no column list; [] for `()`. */
  readonly columns?: readonly ColumnReference[];
  /** The column list with its parentheses. */
  readonly columnsSpan?: Span;
  readonly source:
    | { readonly kind: 'values'; readonly rows: readonly InsertRow[]; readonly span: Span }
    /** INSERT … SET a = 1: one row; spans cover the assignments. */
    | { readonly kind: 'set'; readonly assignments: readonly Assignment[]; readonly span: Span }
    | { readonly kind: 'query'; readonly query: QueryExpression; readonly span: Span };
  readonly rowAlias?: { readonly name: string; readonly columns: readonly string[] };
  readonly onDuplicate?: readonly Assignment[];
  readonly returning?: readonly SelectItem[];
  readonly span: Span;
}

export interface UpdateStatement {
  readonly kind: 'update';
  readonly ignore: boolean;
  readonly options: readonly string[];
  readonly with?: QueryExpression['with'];
  readonly tables: readonly TableReference[];
  readonly assignments: readonly Assignment[];
  readonly where?: Expression;
  readonly orderBy?: readonly OrderItem[];
  readonly limit?: LimitClause;
  readonly span: Span;
}

export interface DeleteStatement {
  readonly kind: 'delete';
  readonly ignore: boolean;
  readonly options: readonly string[];
  readonly with?: QueryExpression['with'];
  /** DELETE a, b FROM …: the names to delete from; empty for the single-table form. */
  readonly targets: readonly TableName[];
  readonly tables: readonly TableReference[];
  readonly where?: Expression;
  readonly orderBy?: readonly OrderItem[];
  readonly limit?: LimitClause;
  readonly returning?: readonly SelectItem[];
  readonly span: Span;
}

export interface SetVariable {
  readonly scope: VariableExpression['scope'];
  readonly name: string;
  /** SET x = DEFAULT is a DefaultExpression; ON, OFF and bare words are column references. */
  readonly value: Expression;
  readonly span: Span;
}

export type SetStatement =
  | { readonly kind: 'set'; readonly assignments: readonly SetVariable[]; readonly span: Span }
  | {
      readonly kind: 'set-names';
      /** DEFAULT is undefined. */
      readonly charset?: string;
      readonly collation?: string;
      /** SET CHARACTER SET differs: collation_connection comes from the database. */
      readonly form: 'names' | 'charset';
      readonly span: Span;
    }
  | {
      readonly kind: 'set-transaction';
      /** `next` is the one-shot form without SESSION or GLOBAL. */
      readonly scope: 'next' | 'session' | 'global';
      readonly isolation?:
        | 'READ UNCOMMITTED'
        | 'READ COMMITTED'
        | 'REPEATABLE READ'
        | 'SERIALIZABLE';
      readonly readOnly?: boolean;
      readonly span: Span;
    };

export type TransactionStatement =
  | {
      readonly kind: 'begin';
      readonly readOnly?: boolean;
      readonly consistentSnapshot: boolean;
      readonly span: Span;
    }
  | {
      readonly kind: 'commit';
      readonly chain?: boolean;
      readonly release?: boolean;
      readonly span: Span;
    }
  | {
      readonly kind: 'rollback';
      readonly chain?: boolean;
      readonly release?: boolean;
      readonly span: Span;
    }
  | { readonly kind: 'savepoint'; readonly name: string; readonly span: Span }
  | { readonly kind: 'rollback-to'; readonly name: string; readonly span: Span }
  | { readonly kind: 'release-savepoint'; readonly name: string; readonly span: Span };

export interface UseStatement {
  readonly kind: 'use';
  readonly database: string;
  readonly span: Span;
}

/** SHOW …, DESCRIBE t. `what` is the words that name it, upper case: 'TABLES', 'CREATE TABLE', 'SHARD MAP'. */
export interface ShowStatement {
  readonly kind: 'show';
  readonly what: string;
  /** FULL, EXTENDED, GLOBAL, SESSION. */
  readonly modifiers: readonly string[];
  /** SHOW CREATE TABLE t, SHOW COLUMNS FROM t, DESCRIBE t. */
  readonly table?: TableName;
  /** SHOW TABLES FROM db, SHOW CREATE DATABASE db. */
  readonly database?: string;
  readonly like?: Literal;
  readonly where?: Expression;
  readonly span: Span;
}

export interface ExplainStatement {
  readonly kind: 'explain';
  /** EXPLAIN ROUTE is Shardgate's own. */
  readonly route: boolean;
  readonly analyze: boolean;
  readonly statement: Statement;
  /** Where the explained statement starts in the text. */
  readonly statementStart: number;
  readonly span: Span;
}

/** CREATE, ALTER, DROP, RENAME, TRUNCATE, …: verb, kind of object and names; the rest stays text. */
export interface DdlStatement {
  readonly kind: 'ddl';
  readonly verb:
    | 'create'
    | 'alter'
    | 'drop'
    | 'rename'
    | 'truncate'
    | 'analyze'
    | 'optimize'
    | 'check'
    | 'repair';
  readonly object:
    | 'table'
    | 'temporary table'
    | 'database'
    | 'index'
    | 'view'
    | 'routine'
    | 'trigger'
    | 'event'
    | 'user'
    | 'other';
  readonly tables: readonly TableName[];
  readonly database?: string;
  readonly ifExists: boolean;
  readonly ifNotExists: boolean;
  /** CREATE TABLE … LIKE t / … AS SELECT. */
  readonly like?: TableName;
  readonly query?: QueryExpression;
  readonly span: Span;
}

/** Understood as to what it is, not as to its parts: CALL, DO, KILL, LOCK TABLES, PREPARE, XA, … */
export interface OtherStatement {
  readonly kind: 'other';
  /** First word or words, upper case: 'KILL', 'LOCK TABLES', 'XA', 'LOAD DATA', 'FLUSH'. */
  readonly verb: string;
  readonly tables: readonly TableName[];
  readonly expressions: readonly Expression[];
  readonly span: Span;
}

export type Statement =
  | SelectStatement
  | InsertStatement
  | UpdateStatement
  | DeleteStatement
  | SetStatement
  | TransactionStatement
  | UseStatement
  | ShowStatement
  | ExplainStatement
  | DdlStatement
  | OtherStatement;

/** The literals of one statement's text as the tokenizer found them: entry i belongs to slot i. */
export interface LiteralSpans {
  readonly count: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Codes of LiteralToken, see tokenizer.ts. */
  readonly types: Uint8Array;
}

/** What of the session changes how text is read. */
export interface LexicalContext {
  readonly ansiQuotes: boolean;
  readonly noBackslashEscapes: boolean;
  readonly pipesAsConcat: boolean;
  readonly ignoreSpace: boolean;
  readonly highNotPrecedence: boolean;
  /** NO_AUTO_VALUE_ON_ZERO: 0 in an AUTO_INCREMENT column is a value like others. */
  readonly zeroIsValue?: boolean;
  /** Decides which versioned comments are code, and words that are reserved. */
  readonly flavour: 'mysql' | 'mariadb';
  /** 80400 for 8.4.0, 101119 for MariaDB 10.11.19. */
  readonly serverVersion: number;
}
