import { readFile } from 'node:fs/promises';
import { AdminServer } from './admin/admin-server.ts';
import { explainRoute } from './admin/explain-route.ts';
import { showCommands } from './admin/show-commands.ts';
import { type ClusterMetadata, readClusterMetadata } from './backend/cluster-metadata.ts';
import { shardMap } from './backend/config-change.ts';
import { ControlConnections } from './backend/control-connection.ts';
import { HealthCheck } from './backend/health.ts';
import { LateShards } from './backend/late-shards.ts';
import { LiveConfig } from './backend/live-config.ts';
import { ShardLookups } from './backend/routing-lookups.ts';
import { MetadataSequences } from './backend/sequences.ts';
import { ShardPools } from './backend/shard-pools.ts';
import { recordStart, type StartConfig, startConfig } from './backend/start-config.ts';
import { ProxyError } from './errors/proxy-error.ts';
import { Certificate } from './listener/certificate.ts';
import { Listener } from './listener/listener.ts';
import { createLogger, type Logger, type LogLevel } from './observability/logger.ts';
import { createHotCounters, exposeHotCounters, METRIC, Metrics } from './observability/metrics.ts';
import { exposeShards } from './observability/shard-gauges.ts';
import { exposeTransactions } from './observability/transaction-metrics.ts';
import { PlanCache } from './plan/plan-cache.ts';
import { systemClock } from './runtime/clock.ts';
import { AcceptedSettings } from './session/accepted-settings.ts';
import { type Account, accountOf } from './session/accounts.ts';
import { ExplicitInsertIds } from './session/insert-id.ts';
import { PasswordKey } from './session/password-key.ts';
import { Session } from './session/session.ts';
import { SessionRegistry } from './session/session-registry.ts';
import type { ServerFacts, SessionServices, Snapshot } from './session/session-services.ts';
import { lexicalUnder } from './session/session-state.ts';
import { Fingerprinter } from './sql/fingerprint.ts';
import { type ConfigFile, type Environment, readConfig } from './topology/config-file.ts';
import { type ConfigProblem, formatPath, formatProblems } from './topology/config-problems.ts';
import type { ProxyConfig } from './topology/config-schema.ts';
import { ConfigWatcher } from './topology/config-watcher.ts';
import type { Topology } from './topology/topology.ts';
import { TopologyStore } from './topology/topology-store.ts';
import type { Recovery } from './txn/recovery.ts';
import { checkRecoveryPrivileges } from './txn/recovery-check.ts';
import { TransactionParts } from './txn/transaction-parts.ts';

const HEALTH_INTERVAL_MS = 1_000;
const PING_TIMEOUT_MS = 2_000;

export interface ProxyOptions {
  /** Path of shards.yaml. */
  readonly configPath: string;
  /** For `${VAR}` in the config. */
  readonly env?: Environment;
  readonly logLevel?: LogLevel;
}

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

export interface RunningProxy {
  readonly address: SocketAddress;
  readonly adminAddress: SocketAddress | undefined;
  /** Reads the config again, and the certificate, also where the file did not change. */
  reload(): Promise<void>;
  /** No new clients; what is in hand may finish within `drain_timeout_ms`. */
  stop(): Promise<void>;
}

/** Builds every part once and starts listening. Throws an error in words for the operator. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { text, file: own } = await configOf(options);
  const logger = createLogger({ level: options.logLevel ?? 'info' });
  const control = new ControlConnections({
    shards: shardMap(own.config.shards),
    connectTimeoutMs: own.config.limits.connect_timeout_ms,
  });
  try {
    const start = await startConfig(control, { file: own, text }, options.env ?? {});
    const { config, locate } = start.file;
    await control.setShards(shardMap(config.shards));
    const metadata = await readClusterMetadata(control, config);
    const { problems, drift, unreachable } = metadata.first;
    if (problems.length > 0) throw configError(options, problems.map(locate));
    for (const difference of drift) logger.warn('schemas differ between shards', { ...difference });
    if (unreachable.length > 0) logger.warn('shards are down at start', { unreachable });
    const version = await recordStart(control, start);
    return await startParts({
      config,
      logger,
      control,
      metadata,
      configFile: { options, text, own: own.config, start: { ...start, version } },
    });
  } catch (error) {
    await control.close();
    throw error;
  }
}

async function configOf(options: ProxyOptions): Promise<{
  readonly text: string;
  readonly file: Extract<ConfigFile, { readonly ok: true }>;
}> {
  const text = await readFile(options.configPath, 'utf8');
  const file = readConfig(text, options.env ?? {});
  if (file.ok) return { text, file };
  throw configError(options, file.problems);
}

function configError(options: ProxyOptions, problems: readonly ConfigProblem[]): ProxyError {
  return new ProxyError('ER_UNKNOWN_ERROR', formatProblems(options.configPath, problems));
}

interface Base {
  readonly config: ProxyConfig;
  readonly logger: Logger;
  readonly control: ControlConnections;
  readonly metadata: ClusterMetadata;
  readonly configFile: {
    readonly options: ProxyOptions;
    readonly text: string;
    readonly own: ProxyConfig;
    readonly start: StartConfig;
  };
}

async function startParts(base: Base): Promise<RunningProxy> {
  const { config, logger, control, metadata, configFile } = base;
  const store = new TopologyStore(metadata.first.topology);
  const pools = new ShardPools(metadata.first.topology, { clock: systemClock });
  store.onSwap((topology) => pools.swap(topology));
  const transactions = new TransactionParts({
    control,
    shards: () => [...store.current().shards.keys()],
    metadataShard: () => store.current().metadataShard,
    deployment: metadata.deployment,
    clock: systemClock,
    logger,
  });
  const registry = new SessionRegistry(systemClock);
  const certificate = new Certificate();
  (await certificate.prepare(configFile.own))();
  const live = liveConfigOf(base, store, certificate);
  store.onSwap(({ config: { users, limits } }) =>
    registry.closeUsers((user) => users[user] !== undefined, limits.drain_timeout_ms),
  );
  const counters = createHotCounters();
  const passwordKey = await PasswordKey.generate();
  const services: SessionServices = {
    ...serviceParts({ ...base, store, pools, transactions, live }),
    passwordKey,
    registry,
    counters,
    logger,
    clock: systemClock,
  };
  const serving = { now: false };
  const admin =
    config.admin &&
    new AdminServer({
      ...config.admin.listen,
      metrics: metricsOf({ counters, registry, store, pools, transactions }),
      pools,
      isServing: () => serving.now,
      logger,
    });
  const late = new LateShards(
    {
      control,
      loader: metadata.loader,
      config: () => store.current().config,
      logger,
      onLoaded: ({ topology }) => store.swap(topology),
    },
    metadata.first.unreachable,
  );
  return serve(base, {
    store,
    pools,
    transactions,
    registry,
    live,
    serving,
    admin,
    listener: listenerOf(services, store, certificate),
    health: healthCheck({ pools, recovery: transactions.recovery, late, logger }),
    watcher: watcherOf(base, live),
  });
}

interface Parts {
  readonly store: TopologyStore;
  readonly pools: ShardPools;
  readonly transactions: TransactionParts;
  readonly registry: SessionRegistry;
  readonly live: LiveConfig;
  readonly serving: { now: boolean };
  readonly admin: AdminServer | undefined;
  readonly listener: Listener;
  readonly health: HealthCheck;
  readonly watcher: ConfigWatcher;
}

/** Starts the parts in the order in which they need each other; `stop` goes the other way. */
async function serve(base: Base, parts: Parts): Promise<RunningProxy> {
  const { config, logger, control, configFile } = base;
  const { store, pools, transactions, registry, live, serving, admin, listener, health } = parts;
  const stop = async (): Promise<void> => {
    serving.now = false;
    listener.stopAccepting();
    await parts.watcher.stop();
    await live.stop();
    await registry.drain(config.limits.drain_timeout_ms);
    listener.destroyAll();
    health.stop();
    await transactions.stop();
    await admin?.stop();
    pools.stop();
    await control.close();
    logger.info('stopped');
  };
  try {
    await warnOfMissingPrivileges(control, store.current(), logger);
    await offerOwnFile(base, live);
    const port = await listener.start();
    const adminPort = await admin?.start();
    transactions.start();
    await health.start();
    registry.start();
    live.start();
    await parts.watcher.start();
    serving.now = true;
    logger.info('listening', { host: config.listen.host, port, adminPort });
    return {
      address: { host: config.listen.host, port },
      adminAddress:
        config.admin && adminPort !== undefined
          ? { host: config.admin.listen.host, port: adminPort }
          : undefined,
      reload: async () => {
        await live.reread(await readFile(configFile.options.configPath, 'utf8'));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A file that differs from what is recorded is an edit, made while nobody was looking. */
async function offerOwnFile({ configFile, logger }: Base, live: LiveConfig): Promise<void> {
  const { start, text } = configFile;
  switch (start.own) {
    case 'same':
      return;
    case 'stale':
      logger.warn('the config file is an older version: the recorded one is in force', {
        version: start.version,
      });
      return;
    case 'edit':
      await live.edited(text);
  }
}

function listenerOf(
  services: SessionServices,
  store: TopologyStore,
  certificate: Certificate,
): Listener {
  const { config } = store.current();
  return new Listener({
    ...config.listen,
    connectionsMax: () => store.current().config.limits.connections_max,
    secureContext: () => certificate.context,
    accept: (transport) => {
      const session = new Session(transport, services);
      session.greet();
      return session;
    },
    logger: services.logger,
    counters: services.counters,
  });
}

type OwnServices = 'passwordKey' | 'registry' | 'counters' | 'logger' | 'clock';

function serviceParts(
  parts: Base & {
    readonly store: TopologyStore;
    readonly pools: ShardPools;
    readonly transactions: TransactionParts;
    readonly live: LiveConfig;
  },
): Omit<SessionServices, OwnServices> {
  const { logger, control, metadata, store, pools, transactions, live } = parts;
  const { versions } = parts.configFile.start;
  const { weights, directories, loader } = metadata;
  const current = (): Topology => store.current();
  let snapshot: Snapshot = snapshotOf(current(), metadata);
  store.onSwap((topology) => {
    snapshot = snapshotOf(topology, metadata);
  });
  let accounts = accountsOf(current().config);
  let facts = serverFacts(current().config, metadata);
  store.onSwap(({ config }, before) => {
    if (config === before.config) return;
    accounts = accountsOf(config);
    facts = serverFacts(config, metadata);
  });
  return {
    current: () => snapshot,
    serverFacts: () => facts,
    accountFor: (user, address) => {
      const account = accounts.get(user);
      return account?.admits(address) ? account : undefined;
    },
    leasesFor: (stateOf) => pools.leasesFor(stateOf),
    openTransaction: (leases, options) => transactions.open(leases, options),
    acceptedSettings: new AcceptedSettings(),
    explicitInsertIds: new ExplicitInsertIds(),
    lookups: new ShardLookups({ weights, directories, current }),
    sequences: new MetadataSequences(control, current),
    endInDoubt: (id, wanted) => transactions.endInDoubt(id, wanted),
    killQuery: async (shard, threadId) => {
      await control.query(shard, `KILL QUERY ${threadId}`);
    },
    refreshSchemas: async (database, tables) => {
      const loaded = await loader.refresh(() => current().config, database, tables);
      for (const drift of loaded.drift) logger.warn('schemas differ between shards', { ...drift });
      for (const { path, message } of loaded.problems) {
        logger.warn('config and schemas disagree', { path: formatPath(path), message });
      }
      store.swap(loaded.topology);
    },
    showCommands: showCommands({
      pools,
      recovery: transactions.recovery,
      config: { status: () => live.status(), versions: () => versions.list() },
    }),
    explainRoute,
    fingerprinter: new Fingerprinter(),
  };
}

function accountsOf({ users }: ProxyConfig): ReadonlyMap<string, Account> {
  return new Map(
    Object.entries(users).map(([user, settings]) => [user, accountOf(user, settings)]),
  );
}

function liveConfigOf(base: Base, store: TopologyStore, certificate: Certificate): LiveConfig {
  const { control, logger, metadata, configFile } = base;
  const { options, own, text, start } = configFile;
  return new LiveConfig({
    path: options.configPath,
    env: options.env ?? {},
    control,
    weights: metadata.weights,
    directories: metadata.directories,
    loader: metadata.loader,
    versions: start.versions,
    store,
    clock: systemClock,
    logger,
    own,
    ownText: text,
    inForce: { file: start.file, text: start.text, version: start.version },
    prepare: (config) => certificate.prepare(config),
  });
}

function watcherOf({ configFile }: Base, live: LiveConfig): ConfigWatcher {
  const { options, text } = configFile;
  return new ConfigWatcher({
    path: options.configPath,
    clock: systemClock,
    text,
    isWhole: (changed) => readConfig(changed, options.env ?? {}).ok,
    onText: (changed) => void live.edited(changed),
    onUnreadable: (error) => live.unreadable(error),
    pollOnly: options.env?.SHARDGATE_WATCH === 'poll',
  });
}

/** Plans belong to the snapshot that they were made for, so each has a cache of its own. */
function snapshotOf(topology: Topology, { weights }: ClusterMetadata): Snapshot {
  const plans = new PlanCache(topology.config.limits.plan_cache_max);
  return { topology, plans, caches: weights };
}

function serverFacts(
  config: ProxyConfig,
  { serverVersion, sqlMode }: ClusterMetadata,
): ServerFacts {
  const [, major = '0', minor = '0', patch = '0'] =
    /^(\d+)\.(\d+)\.(\d+)/.exec(serverVersion) ?? [];
  const lexical = lexicalUnder(sqlMode, {
    ansiQuotes: false,
    noBackslashEscapes: false,
    pipesAsConcat: false,
    ignoreSpace: false,
    highNotPrecedence: false,
    flavour: /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql',
    serverVersion: Number(major) * 10_000 + Number(minor) * 100 + Number(patch),
  });
  return { version: config.server_version ?? serverVersion, lexical };
}

function healthCheck(parts: {
  readonly pools: ShardPools;
  readonly recovery: Recovery;
  readonly late: LateShards;
  readonly logger: Logger;
}): HealthCheck {
  const { pools, recovery, late, logger } = parts;
  return new HealthCheck(pools, {
    clock: systemClock,
    intervalMs: HEALTH_INTERVAL_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    onChange: ({ shard, up, reason }) => {
      if (!up) {
        logger.error('shard is down', { shard, reason });
        return;
      }
      logger.info('shard is up', { shard });
      recovery.shardIsBack();
      void late.shardIsUp(shard);
    },
  });
}

function metricsOf(parts: {
  readonly counters: ReturnType<typeof createHotCounters>;
  readonly registry: SessionRegistry;
  readonly store: TopologyStore;
  readonly pools: ShardPools;
  readonly transactions: TransactionParts;
}): Metrics {
  const metrics = new Metrics({ processMetrics: true });
  exposeHotCounters(metrics, parts.counters);
  exposeShards(metrics, () => parts.pools.stats());
  exposeTransactions(metrics, () => parts.transactions.figures());
  const one = (name: string, help: string, read: () => number): void => {
    metrics.gauge({ name, help, read: () => [{ labels: {}, value: read() }] });
  };
  one(METRIC.sessions, 'Clients connected now', () => parts.registry.size);
  one(
    METRIC.topologyGeneration,
    'Number of the snapshot in force',
    () => parts.store.current().generation,
  );
  return metrics;
}

async function warnOfMissingPrivileges(
  control: ControlConnections,
  topology: Topology,
  logger: Logger,
): Promise<void> {
  for (const problem of await checkRecoveryPrivileges(control, [...topology.shards.keys()])) {
    logger.warn(problem);
  }
}
