import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readConfig } from '../../../src/topology/config-file.ts';
import { formatProblems } from '../../../src/topology/config-problems.ts';
import { configJsonSchema } from '../../../src/topology/config-schema.ts';

const file = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');

/** The problems of a text, as the operator reads them. */
function problemsOf(text: string, environment: Record<string, string> = {}): string[] {
  const result = readConfig(text, environment);
  return result.ok ? [] : formatProblems('f', result.problems).split('\n');
}

/** `${text}` */
const variable = (text: string) => `\${${text}}`;

const GOOD = `users:
  app: { password: app }
shards:
  s1: { host: 10.0.0.1 }
  s2: { host: 10.0.0.2 }
databases:
  shop:
    default: s1
    strategies:
      h: { type: hash, shards: [s1, s2] }
    tables:
      users: { key: id, strategy: h }
`;

test('the example at the root is correct without any variable set', () => {
  const result = readConfig(file('shards.yaml'), {});

  expect(result.ok ? [] : result.problems).toEqual([]);
  expect(result.ok && result.config.users.app?.password).toBe('app');
  expect(result.ok && result.config.listen).toEqual({ host: '127.0.0.1', port: 3307 });
});

test('the JSON schema in the checkout is the one the settings make', () => {
  expect(JSON.parse(file('shards.schema.json'))).toEqual(configJsonSchema());
});

test('defaults are filled in', () => {
  const result = readConfig(GOOD, {});

  expect(result.ok && result.config.shards.s1).toEqual({
    host: '10.0.0.1',
    port: 3306,
    user: 'root',
    password: '',
    replicas: [],
    connections_max: 64,
  });
  expect(result.ok && result.config.limits.connections_max).toBe(10_000);
});

test('every problem is reported at once, with line, column and path', () => {
  const text = `listen: nowhere
shards:
  s1: { host: a, prot: 1 }
  s1: { host: b }
users:
  app: { password: "\${NOT_SET}" }
databases:
  shop:
    default: s1
    strategies:
      h: { type: hash }
    tables:
      t: { key: id, strateyg: h }
limits: { connections_max: many }
`;

  expect(problemsOf(text)).toEqual([
    'f:1:1: listen must be an address, for instance 127.0.0.1:3307',
    'f:3:18: shards.s1.prot is not a setting; did you mean `port`?',
    'f:4:3: shards.s1 is set twice',
    'f:6:21: users.app.password uses the variable NOT_SET, which is not set',
    'f:11:7: databases.shop.strategies.h.shards is missing',
    'f:13:7: databases.shop.tables.t.strategy is missing',
    'f:13:21: databases.shop.tables.t.strateyg is not a setting; did you mean `strategy`?',
    'f:14:11: limits.connections_max must be a number',
  ]);
});

test.each([
  ['metadata: s9\n', 'metadata names no shard; did you mean `s1`?'],
  ['tls: { cert: a.pem }\n', 'tls needs both `cert` and `key`, or `self_signed: true`'],
  ['users: { a: { password: x } }\n', 'users is set twice'],
  ['moves: auto\n', 'moves is not built yet as `auto`: use `refuse`'],
  ['limits: { plan_cache_max: -1 }\n', 'limits.plan_cache_max must be at least 0'],
  ['<<: { a: 1 }\n', '<< is a merge key, which YAML 1.2 does not have: repeat the settings'],
  ['? [a]\n: 1\n', 'has a list or mapping for a name'],
])('the setting %j is refused: %s', (more, message) => {
  expect(problemsOf(GOOD + more).map((line) => line.replace(/^f:\d+:\d+: /, ''))).toContain(
    message,
  );
});

test.each([
  ['default: s1', 'default: s3', 'databases.shop.default names no shard; did you mean `s1`?'],
  ['shards: [s1, s2]', 'shards: [s1, s1]', 'databases.shop.strategies.h.shards[1] is named twice'],
  ['shards: [s1, s2]', 'shards: []', 'databases.shop.strategies.h.shards must not be empty'],
  [
    'strategy: h',
    'strategy: x',
    'databases.shop.tables.users.strategy names no strategy of this database; did you mean `h`?',
  ],
  ['10.0.0.2', '10.0.0.1', 'shards.s2 is the same server as shard `s1`'],
  [
    '{ password: app }',
    '{ tls: required }',
    'users.app needs `password`, `password_sha2` or `password_native`',
  ],
  [
    '{ password: app }',
    '{ password: a, hosts: [10.0.0.0/33] }',
    'users.app.hosts[0] must be an address or a network, for instance 10.0.0.0/8',
  ],
  [
    '{ type: hash, shards: [s1, s2] }',
    '{ type: range, ranges: [{ shard: s1 }, { below: 5, shard: s2 }] }',
    'databases.shop.strategies.h.ranges[0] needs `below`: only the last range goes without',
  ],
  [
    '{ type: hash, shards: [s1, s2] }',
    '{ type: directory, shards: [s1], pins: { a: s2 } }',
    'databases.shop.strategies.h.pins.a names a shard outside the strategy; did you mean `s1`?',
  ],
  ['  shop:', '  mysql:', 'databases.mysql is a system database: choose another name'],
])('with %j made %j: %s', (from, to, message) => {
  expect(problemsOf(GOOD)).toEqual([]);
  expect(
    problemsOf(GOOD.replace(from, to)).map((line) => line.replace(/^f:\d+:\d+: /, '')),
  ).toContain(message);
});

test('a password is text however it looks, and a variable fills any value', () => {
  const text = GOOD.replace('password: app', 'password: 0123').replace(
    '10.0.0.1 }',
    `10.0.0.1, port: ${variable('PORT:-1')}, user: ${variable('USER:-me')}, password: "${variable('SECRET')}" }`,
  );

  const result = readConfig(text, { PORT: '4000', SECRET: 'a: "b' });

  expect(result.ok && result.config.users.app?.password).toBe('0123');
  expect(result.ok && result.config.shards.s1).toMatchObject({
    port: 4000,
    user: 'me',
    password: 'a: "b',
  });
});

test('a value that may be secret never appears in a message', () => {
  const secrets = [
    'users: { app: { password: [hunter2] } }',
    'users: { app: { password_sha2: hunter2 } }',
    'users: "hunter2',
    'hunter2',
  ];

  for (const secret of secrets) {
    const problems = problemsOf(secret);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join()).not.toContain('hunter2');
  }
});

test('aliases stand for what they name, and cannot unfold without bound', () => {
  const result = readConfig(GOOD.replace('host: 10.0.0.1', 'host: &h 10.0.0.1, user: *h'), {});
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 9; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );

  expect(result.ok && result.config.shards.s1?.user).toBe('10.0.0.1');
  expect(problemsOf(lines.join('\n')).join('\n')).toContain('unfolds too far');
});

test('whatever is done to a file, it is either read or its problems have a place in it', () => {
  const text = file('shards.yaml').replace(/#.*$/gm, '');
  const piece = fc.oneof(
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      '-',
      '\n',
      '  ',
      '&a',
      '*a',
      '"',
      "'",
      '#',
      '|',
      '!!x',
      '\t',
    ),
    fc.constantFrom(
      'null',
      '1e9',
      'true',
      '~',
      '__proto__: 1',
      'constructor: 1',
      variable('X'),
      '\u0000',
    ),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(text.length), fc.nat(12), piece), { minLength: 1, maxLength: 3 }),
      (cuts) => {
        const broken = cuts.reduce(
          (t, [at, size, put]) => t.slice(0, at) + put + t.slice(at + size),
          text,
        );
        const result = readConfig(broken, {});
        if (result.ok) return;
        expect(result.problems.length).toBeGreaterThan(0);
        const lines = broken.split('\n').length;
        for (const { line, column } of result.problems) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines);
          expect(column).toBeGreaterThanOrEqual(1);
        }
      },
    ),
    { numRuns: 500 },
  );
});
