import { z } from 'zod';

/**
 * `shards.yaml`: type, range, default and description of every setting stand here and nowhere else.
 * The TypeScript types, `shards.schema.json` and the table in the README come from this file.
 */

const port = z.int().min(1).max(65_535);
const milliseconds = (max: number) => z.int().min(1).max(max);
const name = z.string().min(1).max(64);
/** Starts with a letter: JavaScript would put keys that look like numbers before all others. */
const shardName = z
  .string()
  .max(64)
  .regex(/^[A-Za-z_][\w.-]*$/, 'must start with a letter: letters, digits, `_`, `-` and `.`');

/** `host:port`, `[::1]:port` or `port` alone. */
const address = z.string().transform((text, context) => {
  const match = /^(?:(?:\[([^\]]+)\]|([^:\s]+)):)?(\d{1,5})$/.exec(text.trim());
  const number = Number(match?.[3]);
  if (match === null || number > 65_535) {
    context.addIssue({
      code: 'custom',
      message: 'must be an address, for instance 127.0.0.1:3307',
    });
    return z.NEVER;
  }
  return { host: match[1] ?? match[2] ?? '127.0.0.1', port: number };
});

const listenerTlsSchema = z
  .strictObject({
    cert: z.string().min(1).optional().describe('file with the certificate chain, PEM'),
    key: z.string().min(1).optional().describe('file with the private key, PEM'),
    self_signed: z
      .boolean()
      .default(false)
      .describe('make a certificate at start; for trying things out'),
  })
  .describe('TLS for clients; without it clients connect in clear text');

const shardTlsSchema = z
  .strictObject({
    ca: z.string().min(1).optional().describe('file with the authorities to trust, PEM'),
    cert: z.string().min(1).optional().describe('file with our own certificate, PEM'),
    key: z.string().min(1).optional().describe('file with its private key, PEM'),
    server_name: z.string().min(1).optional().describe('the name the certificate must bear'),
    verify: z.boolean().default(true).describe("check the server's certificate"),
  })
  .describe('TLS to this shard; without it the connection is clear text');

const replicaSchema = z.strictObject({
  host: z.string().min(1).describe('name or address of the server'),
  port: port.default(3306).describe('port of the server'),
});

const shardSchema = z.strictObject({
  host: z.string().min(1).describe('name or address of the primary'),
  port: port.default(3306).describe('port of the primary'),
  user: z.string().default('root').describe('the account Shardgate logs in with'),
  password: z.string().default('').describe('password of that account'),
  replicas: z.array(replicaSchema).default([]).describe('servers that follow the primary'),
  tls: shardTlsSchema.optional(),
  connections_max: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('backend connections this proxy may open to the shard'),
});

const userSchema = z.strictObject({
  password: z
    .string()
    .optional()
    .describe('the password in clear text; better from the environment'),
  password_sha2: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits: SHA2(SHA2(password, 256), 256)')
    .optional()
    .describe('SHA256(SHA256(password)) in hexadecimal: enough for caching_sha2_password'),
  password_native: z
    .string()
    .regex(/^\*?[0-9a-fA-F]{40}$/, 'must be 40 hexadecimal digits: SHA1(SHA1(password))')
    .optional()
    .describe('SHA1(SHA1(password)) in hexadecimal, as mysql_native_password stores it'),
  tls: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('`required` refuses this user on connections without TLS'),
  read_only: z.boolean().default(false).describe('refuse every statement that writes'),
  hosts: z
    .array(z.string().min(1))
    .default([])
    .describe('networks and addresses the user may come from, 10.0.0.0/8; empty: any'),
});

const weights = z
  .record(name, z.number().min(0).max(1_000))
  .default({})
  .describe('how much of the keys each shard gets, beside the 1 of the others');

const hashStrategySchema = z.strictObject({
  type: z.literal('hash'),
  shards: z.array(name).min(1).describe('the shards that share the keys'),
  virtual_nodes: z
    .int()
    .min(1)
    .max(16_384)
    .default(1_024)
    .describe('places each shard of weight 1 has on the ring'),
  weights,
});

const rangeSchema = z.strictObject({
  below: z
    .string()
    .optional()
    .describe('keys less than this; only the last range goes without: it takes the rest'),
  shard: name,
});

const rangeStrategySchema = z.strictObject({
  type: z.literal('range'),
  ranges: z.array(rangeSchema).min(1).describe('in ascending order of `below`'),
});

const directoryStrategySchema = z.strictObject({
  type: z.literal('directory'),
  shards: z.array(name).min(1).describe('the shards that new keys are assigned to'),
  pins: z.record(z.string(), name).default({}).describe('keys with a fixed shard'),
  assign: z
    .enum(['least-loaded', 'weighted', 'refuse'])
    .default('least-loaded')
    .describe('how a new key gets its shard; `refuse` takes pinned keys only'),
  weights,
});

const strategySchema = z.discriminatedUnion('type', [
  hashStrategySchema,
  rangeStrategySchema,
  directoryStrategySchema,
]);

const generate = z
  .record(name, z.literal('sequence'))
  .default({})
  .describe('columns whose missing values Shardgate fills in, unique over all shards');

const shardedTableSchema = z.strictObject({
  key: name.describe('the column whose value decides the shard'),
  strategy: name.describe('one of the strategies of this database'),
  generate,
});

const placedTableSchema = z.strictObject({
  shard: name.describe('the shard the table lives on, whole'),
  generate,
});

const tableSchema = z.union([
  z.literal('reference').describe('a full copy on every shard of the database'),
  shardedTableSchema,
  placedTableSchema,
]);

const databaseSchema = z.strictObject({
  default: name.describe('the shard of the tables that are not named here'),
  strategies: z.record(name, strategySchema).default({}),
  tables: z.record(name, tableSchema).default({}),
});

const limitsSchema = z.strictObject({
  connections_max: z.int().min(1).max(1_000_000).default(10_000).describe('client connections'),
  handshake_timeout_ms: milliseconds(600_000).default(10_000).describe('for a client to log in'),
  connect_timeout_ms: milliseconds(600_000).default(5_000).describe('to reach a shard'),
  acquire_timeout_ms: milliseconds(600_000)
    .default(10_000)
    .describe('for a statement to get a backend connection'),
  waiters_max: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(10_000)
    .describe('statements that may wait for a backend connection of one shard'),
  packet_bytes_max: z
    .int()
    .min(1_024)
    .max(1_073_741_824)
    .default(67_108_864)
    .describe('max_allowed_packet: the largest statement and row'),
  prepared_statements_max: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(4_096)
    .describe('statements that one client may have prepared'),
  statement_timeout_ms: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(0)
    .describe('a statement that takes longer is ended with 3024; 0: no limit'),
  idle_timeout_ms: milliseconds(31_536_000_000)
    .default(28_800_000)
    .describe('wait_timeout: a client silent for longer is disconnected'),
  backend_idle_timeout_ms: milliseconds(86_400_000)
    .default(60_000)
    .describe('a backend connection unused for longer is closed'),
  drain_timeout_ms: milliseconds(3_600_000)
    .default(10_000)
    .describe('for statements in progress at shutdown'),
  plan_cache_max: z.int().min(0).max(1_000_000).default(10_000).describe('cached plans'),
  weight_cache_max: z
    .int()
    .min(1_000)
    .max(100_000_000)
    .default(200_000)
    .describe('cached weight strings of text keys'),
  directory_cache_max: z
    .int()
    .min(1_000)
    .max(100_000_000)
    .default(1_000_000)
    .describe('cached directory entries of one strategy'),
  sequence_block: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1_000)
    .describe('ids taken from the metadata shard at a time; a restart leaves the rest unused'),
  scatter_rows_max: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .default(1_000_000)
    .describe('rows or groups the proxy holds to merge one statement'),
  scatter_bytes_max: z
    .int()
    .min(1_024)
    .max(1_099_511_627_776)
    .default(268_435_456)
    .describe('bytes the proxy holds to merge one statement'),
  gather_rows_max: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .default(1_000_000)
    .describe('rows moved between shards to answer one statement'),
  gather_bytes_max: z
    .int()
    .min(1_024)
    .max(1_099_511_627_776)
    .default(268_435_456)
    .describe('bytes moved between shards to answer one statement'),
});

const configSchema = z.strictObject({
  cluster: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, `_`, `-` and `.`')
    .default('main')
    .describe('proxies of one cluster share one map, recorded on the metadata shard'),
  listen: address.prefault('127.0.0.1:3307').describe('where clients connect, host:port'),
  admin: z
    .strictObject({
      listen: address.prefault('127.0.0.1:8307').describe('HTTP: /healthz, /metrics, dashboard'),
    })
    .optional()
    .describe('the HTTP server for operators; left out: none'),
  server_version: z
    .string()
    .min(1)
    .max(60)
    .optional()
    .describe('what clients read as the version; left out: that of the metadata shard'),
  tls: listenerTlsSchema.optional(),
  users: z.record(name, userSchema).describe('who may log in'),
  shards: z.record(shardName, shardSchema).describe('the servers that hold the rows'),
  metadata: name
    .optional()
    .describe('the shard that keeps what proxies share; left out: the first shard'),
  databases: z.record(name, databaseSchema).describe('the databases clients see'),
  moves: z
    .enum(['auto', 'manual', 'refuse'])
    .default('refuse')
    .describe('an edit that gives existing rows another home is not applied'),
  limits: limitsSchema.prefault({}),
});

/** `shards.yaml` after checking: every key known, every default filled in. */
export type ProxyConfig = z.infer<typeof configSchema>;
export type ShardConfig = z.infer<typeof shardSchema>;
export type UserConfig = z.infer<typeof userSchema>;
export type DatabaseConfig = z.infer<typeof databaseSchema>;
export type TableConfig = z.infer<typeof tableSchema>;
export type StrategyConfig = z.infer<typeof strategySchema>;
export type HashStrategyConfig = z.infer<typeof hashStrategySchema>;
export type RangeStrategyConfig = z.infer<typeof rangeStrategySchema>;
export type DirectoryStrategyConfig = z.infer<typeof directoryStrategySchema>;
export type LimitsConfig = z.infer<typeof limitsSchema>;
export type ListenerTlsConfig = z.infer<typeof listenerTlsSchema>;
export type ShardTlsConfig = z.infer<typeof shardTlsSchema>;

/** Every limit at its default. */
export const DEFAULT_LIMITS: LimitsConfig = limitsSchema.parse({});

/** Settings that are text however they look: `password: 0123` is no number. */
export const TEXT_SETTINGS: ReadonlySet<string> = new Set([
  'password',
  'password_sha2',
  'password_native',
  'user',
  'host',
  'server_version',
  'listen',
  'below',
  'cluster',
]);

export type ConfigPath = readonly (string | number)[];

export interface SchemaProblem {
  readonly path: ConfigPath;
  readonly message: string;
  /** The unknown key, when that is the problem; `path` is where it stands. */
  readonly unknownKey?: string;
}

export type SchemaResult =
  | { readonly ok: true; readonly config: ProxyConfig }
  | { readonly ok: false; readonly problems: readonly SchemaProblem[] };

/** Checks a parsed file against the schema. Messages never repeat a value: it may be a secret. */
export function parseConfigValue(value: unknown): SchemaResult {
  const result = configSchema.safeParse(value, { reportInput: false });
  if (result.success) return { ok: true, config: result.data };
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, []));
  return {
    ok: false,
    problems: problems.map((problem) =>
      valueAt(value, problem.path) === undefined ? { ...problem, message: 'is missing' } : problem,
    ),
  };
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null
        ? (inner as Readonly<Record<string | number, unknown>>)[step]
        : undefined,
    value,
  );
}

/** The settings that may stand in the mapping at `path`; empty where names are free. */
export function settingsAt(path: ConfigPath): readonly string[] {
  let schemas: readonly JsonSchema[] = [configJsonSchema() as JsonSchema];
  for (const step of path) {
    schemas = schemas.flatMap((schema) => {
      const inner =
        typeof step === 'number'
          ? schema.items
          : (schema.properties?.[step] ?? schema.additionalProperties);
      return typeof inner === 'object'
        ? [inner, ...(inner.anyOf ?? []), ...(inner.oneOf ?? [])]
        : [];
    });
  }
  return [...new Set(schemas.flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

/** As much of a JSON schema as `settingsAt` walks. */
interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** The JSON schema for editors: of what is written, so settings with a default may be left out. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema, path }) => {
      const isText = TEXT_SETTINGS.has(String(path.at(-1))) && jsonSchema.type === 'string';
      // `below: 1000` is right in YAML. The draft allows a list of types; the library's type knows one.
      if (isText) Object.assign(jsonSchema, { type: ['string', 'number'] });
    },
  });
}

type Issue = z.core.$ZodIssue;

function problemsOf(issue: Issue, above: ConfigPath): readonly SchemaProblem[] {
  const path = [
    ...above,
    ...issue.path.map((step) => (typeof step === 'number' ? step : String(step))),
  ];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: 'is not a setting',
        unknownKey: key,
      }));
    case 'invalid_union':
      return unionProblems(issue, path);
    case 'invalid_key':
      return [{ path, message: 'is not a possible name: 1 to 64 characters' }];
    default:
      return [{ path, message: plainMessage(issue) }];
  }
}

/** Of a union's branches, reports on the one that was most likely meant: the fewest problems, deepest. */
function unionProblems(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: ConfigPath,
): readonly SchemaProblem[] {
  const meant = issue.errors
    .filter((branch) => branch.length > 0 && !branch.some((inner) => isWrongShape(inner)))
    .map((branch) => branch.flatMap((inner) => problemsOf(inner, path)))
    .sort((a, b) => a.length - b.length)[0];
  if (meant !== undefined) return meant;
  if (issue.discriminator === 'type') {
    return [{ path, message: 'needs a `type`: hash, range or directory' }];
  }
  return [{ path, message: 'must be `reference`, or have `key` and `strategy`, or `shard`' }];
}

function isWrongShape(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code !== 'unrecognized_keys';
}

function plainMessage(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'never' ? 'is not allowed' : `must be ${article(issue.expected)}`;
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? 'must not be empty'
        : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `must be at most ${issue.maximum} characters long`
        : `must be at most ${issue.maximum}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    default:
      return issue.message;
  }
}

function article(expected: string): string {
  switch (expected) {
    case 'string':
      return 'text';
    case 'int':
      return 'a whole number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'a mapping (name: value)';
    default:
      return `a ${expected}`;
  }
}
