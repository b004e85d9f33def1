import { type PathProblem, suggestion } from './config-problems.ts';
import type {
  ConfigPath,
  DatabaseConfig,
  ProxyConfig,
  RangeStrategyConfig,
  StrategyConfig,
  TableConfig,
  UserConfig,
} from './config-schema.ts';

const SYSTEM_DATABASES: ReadonlySet<string> = new Set([
  'information_schema',
  'mysql',
  'performance_schema',
  'sys',
  'shardgate',
]);

/** The rules that tie settings to each other; each setting by itself is in order already. */
export function configRuleProblems(config: ProxyConfig): readonly PathProblem[] {
  const shards = Object.keys(config.shards);
  return [
    ...movesProblems(config),
    ...listenerProblems(config),
    ...shardProblems(config),
    ...Object.entries(config.users).flatMap(([name, user]) => userProblems(user, ['users', name])),
    ...Object.entries(config.databases).flatMap(([name, database]) =>
      databaseProblems(database, { path: ['databases', name], shards }),
    ),
  ];
}

function movesProblems({ moves }: ProxyConfig): readonly PathProblem[] {
  if (moves === 'refuse') return [];
  return [{ path: ['moves'], message: `is not built yet as \`${moves}\`: use \`refuse\`` }];
}

function listenerProblems(config: ProxyConfig): readonly PathProblem[] {
  const { tls } = config;
  if (tls === undefined || (tls.self_signed && tls.cert === undefined && tls.key === undefined)) {
    return [];
  }
  if (tls.self_signed) {
    return [{ path: ['tls', 'self_signed'], message: 'and `cert`/`key` exclude each other' }];
  }
  if (tls.cert !== undefined && tls.key !== undefined) return [];
  return [{ path: ['tls'], message: 'needs both `cert` and `key`, or `self_signed: true`' }];
}

function shardProblems(config: ProxyConfig): readonly PathProblem[] {
  const problems: PathProblem[] = [];
  const shards = Object.entries(config.shards);
  if (shards.length === 0) problems.push({ path: ['shards'], message: 'must name a shard' });
  if (config.metadata !== undefined) {
    problems.push(
      ...unknownShard(config.metadata, { path: ['metadata'], shards: shards.map(([s]) => s) }),
    );
  }
  const seen = new Map<string, string>();
  for (const [name, shard] of shards) {
    const address = `${shard.host}:${shard.port}`;
    const other = seen.get(address);
    if (other !== undefined) {
      problems.push({
        path: ['shards', name],
        message: `is the same server as shard \`${other}\``,
      });
    }
    seen.set(address, other ?? name);
    if ((shard.tls?.cert === undefined) !== (shard.tls?.key === undefined)) {
      problems.push({
        path: ['shards', name, 'tls'],
        message: 'needs both `cert` and `key`, or none',
      });
    }
  }
  return problems;
}

function userProblems(user: UserConfig, path: ConfigPath): readonly PathProblem[] {
  const problems: PathProblem[] = [];
  const hashes = [user.password_sha2, user.password_native].filter((hash) => hash !== undefined);
  if (user.password === undefined && hashes.length === 0) {
    const message = 'needs `password`, `password_sha2` or `password_native`';
    problems.push({ path, message });
  }
  if (user.password !== undefined && hashes.length > 0) {
    problems.push({ path, message: 'has `password` and its hash: leave one of them out' });
  }
  user.hosts.forEach((network, index) => {
    if (!isNetwork(network)) {
      const message = 'must be an address or a network, for instance 10.0.0.0/8';
      problems.push({ path: [...path, 'hosts', index], message });
    }
  });
  return problems;
}

function isNetwork(text: string): boolean {
  const [address = '', bits, more] = text.split('/');
  if (more !== undefined) return false;
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  const isV4 = v4?.slice(1).every((part) => Number(part) <= 255) ?? false;
  const isV6 = address.includes(':') && URL.canParse(`http://[${address}]/`);
  if (!isV4 && !isV6) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isV4 ? 32 : 128));
}

interface DatabasePlace {
  readonly path: ConfigPath;
  readonly shards: readonly string[];
}

function databaseProblems(database: DatabaseConfig, place: DatabasePlace): readonly PathProblem[] {
  const { path, shards } = place;
  const name = String(path.at(-1));
  const problems: PathProblem[] = [];
  if (SYSTEM_DATABASES.has(name.toLowerCase())) {
    problems.push({ path, message: 'is a system database: choose another name' });
  }
  problems.push(...unknownShard(database.default, { path: [...path, 'default'], shards }));
  for (const [strategyName, strategy] of Object.entries(database.strategies)) {
    const at = [...path, 'strategies', strategyName];
    problems.push(...strategyProblems(strategy, { path: at, shards }));
  }
  for (const [tableName, table] of Object.entries(database.tables)) {
    const at = [...path, 'tables', tableName];
    problems.push(...tableProblems(table, { path: at, shards, database }));
  }
  return problems;
}

function tableProblems(
  table: TableConfig,
  place: DatabasePlace & { readonly database: DatabaseConfig },
): readonly PathProblem[] {
  if (table === 'reference') return [];
  if ('shard' in table) {
    return unknownShard(table.shard, { path: [...place.path, 'shard'], shards: place.shards });
  }
  const strategies = Object.keys(place.database.strategies);
  if (strategies.includes(table.strategy)) return [];
  const message = `names no strategy of this database${suggestion(table.strategy, strategies)}`;
  return [{ path: [...place.path, 'strategy'], message }];
}

function strategyProblems(strategy: StrategyConfig, place: DatabasePlace): readonly PathProblem[] {
  if (strategy.type === 'range') return rangeProblems(strategy, place);
  const { path, shards } = place;
  const problems = strategy.shards.flatMap((shard, index) => {
    const at = [...path, 'shards', index];
    if (strategy.shards.indexOf(shard) < index) return [{ path: at, message: 'is named twice' }];
    return unknownShard(shard, { path: at, shards });
  });
  for (const shard of Object.keys(strategy.weights)) {
    problems.push(...outsideStrategy(shard, strategy.shards, [...path, 'weights', shard]));
  }
  if (strategy.shards.every((shard) => strategy.weights[shard] === 0)) {
    problems.push({ path: [...path, 'weights'], message: 'leave no shard for the keys' });
  }
  if (strategy.type === 'directory') {
    for (const [key, shard] of Object.entries(strategy.pins)) {
      problems.push(...outsideStrategy(shard, strategy.shards, [...path, 'pins', key]));
    }
  }
  return problems;
}

function outsideStrategy(
  shard: string,
  shards: readonly string[],
  path: ConfigPath,
): readonly PathProblem[] {
  if (shards.includes(shard)) return [];
  return [{ path, message: `names a shard outside the strategy${suggestion(shard, shards)}` }];
}

function rangeProblems(
  strategy: RangeStrategyConfig,
  place: DatabasePlace,
): readonly PathProblem[] {
  const problems: PathProblem[] = [];
  const last = strategy.ranges.length - 1;
  strategy.ranges.forEach(({ below, shard }, index) => {
    const path = [...place.path, 'ranges', index];
    problems.push(...unknownShard(shard, { path: [...path, 'shard'], shards: place.shards }));
    if (below === undefined && index < last) {
      problems.push({ path, message: 'needs `below`: only the last range goes without' });
    }
    if (below !== undefined && index === last) {
      const message = 'is the last range and must go without `below`: keys above it have no shard';
      problems.push({ path: [...path, 'below'], message });
    }
  });
  return problems;
}

function unknownShard(shard: string, place: DatabasePlace): readonly PathProblem[] {
  if (place.shards.includes(shard)) return [];
  const message = `names no shard${suggestion(shard, place.shards)}`;
  return [{ path: place.path, message }];
}
