import { readFile } from 'node:fs/promises';
import type { SecureContext } from 'node:tls';
import { AdminServer } from './admin/admin-server.ts';
import { explainRoute } from './admin/explain-route.ts';
import { showCommands } from './admin/show-commands.ts';
import { type ClusterMetadata, readClusterMetadata } from './backend/cluster-metadata.ts';
import { ControlConnections } from './backend/control-connection.ts';
import { HealthCheck } from './backend/health.ts';
import { LateShards } from './backend/late-shards.ts';
import { ShardLookups } from './backend/routing-lookups.ts';
import { MetadataSequences } from './backend/sequences.ts';
import { ShardPools } from './backend/shard-pools.ts';
import { ProxyError } from './errors/proxy-error.ts';
import { Listener } from './listener/listener.ts';
import { secureContextOf } from './listener/secure-context.ts';
import { createLogger, type Logger, type LogLevel } from './observability/logger.ts';
import { createHotCounters, exposeHotCounters, METRIC, Metrics } from './observability/metrics.ts';
import { exposeShards } from './observability/shard-gauges.ts';
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
import { shardIds } from './topology/strategy.ts';
import type { Topology } from './topology/topology.ts';
import { TopologyStore } from './topology/topology-store.ts';
import { XaCoordinator } from './txn/commit-coordinator.ts';
import { Recovery } from './txn/recovery.ts';
import { checkRecoveryPrivileges } from './txn/recovery-check.ts';
import { Transaction } from './txn/transaction.ts';
import { GtridSource } from './txn/xid.ts';

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
  /** No new clients; what is in hand may finish within `drain_timeout_ms`. */
  stop(): Promise<void>;
}

/** Builds every part once and starts listening. Throws an error in words for the operator. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { config, locate } = await configOf(options);
  const logger = createLogger({ level: options.logLevel ?? 'info' });
  const control = new ControlConnections({
    shards: new Map(
      shardIds(Object.keys(config.shards)).flatMap((id) => {
        const shard = config.shards[id];
        return shard === undefined ? [] : [[id, shard] as const];
      }),
    ),
    connectTimeoutMs: config.limits.connect_timeout_ms,
  });
  try {
    const metadata = await readClusterMetadata(control, config);
    const { problems, drift, unreachable } = metadata.first;
    if (problems.length > 0) throw configError(options, problems.map(locate));
    for (const difference of drift) logger.warn('schemas differ between shards', { ...difference });
    if (unreachable.length > 0) logger.warn('shards are down at start', { unreachable });
    return await startParts({ config, logger, control, metadata });
  } catch (error) {
    await control.close();
    throw error;
  }
}

async function configOf(
  options: ProxyOptions,
): Promise<Extract<ConfigFile, { readonly ok: true }>> {
  const file = readConfig(await readFile(options.configPath, 'utf8'), options.env ?? {});
  if (file.ok) return file;
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
}

async function startParts(base: Base): Promise<RunningProxy> {
  const { config, logger, control, metadata } = base;
  const store = new TopologyStore(metadata.first.topology);
  const pools = new ShardPools(metadata.first.topology, { clock: systemClock });
  store.onSwap((topology) => pools.swap(topology));
  const recovery = new Recovery({
    control,
    shards: () => [...store.current().shards.keys()],
    deployment: metadata.deployment,
    clock: systemClock,
    logger,
  });
  const registry = new SessionRegistry(systemClock);
  const counters = createHotCounters();
  const passwordKey = await PasswordKey.generate();
  const services: SessionServices = {
    ...serviceParts({ ...base, store, pools, recovery }),
    passwordKey,
    registry,
    counters,
    logger,
    clock: systemClock,
  };
  const secureContext = await secureContextOf(config.tls);
  const listener = listenerOf(services, store, secureContext);
  const metrics = metricsOf({ counters, registry, store, pools });
  let isServing = false;
  const admin =
    config.admin &&
    new AdminServer({
      ...config.admin.listen,
      metrics,
      pools,
      isServing: () => isServing,
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
  const health = healthCheck({ pools, recovery, late, logger });
  const stop = async (): Promise<void> => {
    isServing = false;
    listener.stopAccepting();
    await registry.drain(config.limits.drain_timeout_ms);
    listener.destroyAll();
    health.stop();
    await recovery.stop();
    await admin?.stop();
    pools.stop();
    await control.close();
    logger.info('stopped');
  };
  try {
    await warnOfMissingPrivileges(control, store.current(), logger);
    const port = await listener.start();
    const adminPort = await admin?.start();
    recovery.start();
    await health.start();
    registry.start();
    isServing = true;
    logger.info('listening', { host: config.listen.host, port, adminPort });
    return {
      address: { host: config.listen.host, port },
      adminAddress:
        config.admin && adminPort !== undefined
          ? { host: config.admin.listen.host, port: adminPort }
          : undefined,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function listenerOf(
  services: SessionServices,
  store: TopologyStore,
  secureContext: SecureContext | undefined,
): Listener {
  const { config } = store.current();
  return new Listener({
    ...config.listen,
    connectionsMax: () => store.current().config.limits.connections_max,
    secureContext: () => secureContext,
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
    readonly recovery: Recovery;
  },
): Omit<SessionServices, OwnServices> {
  const { config, logger, control, metadata, store, pools, recovery } = parts;
  const { weights, directories, loader } = metadata;
  const current = (): Topology => store.current();
  let snapshot: Snapshot = snapshotOf(current(), metadata);
  store.onSwap((topology) => {
    snapshot = snapshotOf(topology, metadata);
  });
  const accounts = new Map<string, Account>(
    Object.entries(config.users).map(([user, settings]) => [user, accountOf(user, settings)]),
  );
  const coordinator = new XaCoordinator({
    gtrids: new GtridSource(metadata.deployment),
    control,
    clock: systemClock,
    logger,
    onLeft: (left) => recovery.takeOver(left),
  });
  const facts = serverFacts(config, metadata);
  return {
    current: () => snapshot,
    serverFacts: () => facts,
    accountFor: (user, address) => {
      const account = accounts.get(user);
      return account?.admits(address) ? account : undefined;
    },
    leasesFor: (stateOf) => pools.leasesFor(stateOf),
    openTransaction: (leases, options) => new Transaction(coordinator, leases, options),
    acceptedSettings: new AcceptedSettings(),
    explicitInsertIds: new ExplicitInsertIds(),
    lookups: new ShardLookups({ weights, directories, current }),
    sequences: new MetadataSequences(control, current),
    killQuery: async (shard, threadId) => {
      await control.query(shard, `KILL QUERY ${threadId}`);
    },
    refreshSchemas: async (database, tables) => {
      const loaded = await loader.refresh(current().config, database, tables);
      for (const drift of loaded.drift) logger.warn('schemas differ between shards', { ...drift });
      for (const { path, message } of loaded.problems) {
        logger.warn('config and schemas disagree', { path: formatPath(path), message });
      }
      store.swap(loaded.topology);
    },
    showCommands: showCommands({ pools, recovery }),
    explainRoute,
    fingerprinter: new Fingerprinter(),
  };
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
}): Metrics {
  const metrics = new Metrics({ processMetrics: true });
  exposeHotCounters(metrics, parts.counters);
  exposeShards(metrics, () => parts.pools.stats());
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
