import {
  type DevServer,
  type DevServerOptions,
  type ServerAddress,
  startDevServer,
} from './dev-servers.ts';
import { isDockerThere, startDockerServer } from './docker-servers.ts';
import { findServerBinaries, type ServerFlavour } from './server-binaries.ts';
import { readGreeting } from './server-greeting.ts';

/** One way to come by servers of one flavour. */
export type ServerSource =
  | { readonly kind: 'addresses'; readonly addresses: readonly ServerAddress[] }
  | {
      readonly kind: 'startable';
      /** For people: what would be started. */
      readonly description: string;
      readonly start: (options: DevServerOptions) => Promise<DevServer>;
    };

/**
 * How this machine can provide servers, by flavour, first choice first: addresses from the environment, programs that are
 * installed or unpacked here, Docker. SHARDGATE_SERVERS_FROM=docker leaves out the rest.
 */
export async function findServerSources(
  env: NodeJS.ProcessEnv,
): Promise<ReadonlyMap<ServerFlavour, ServerSource>> {
  const sources = new Map<ServerFlavour, ServerSource>();
  if (env.SHARDGATE_SERVERS_FROM !== 'docker') await addLocalSources(sources, env);
  if (sources.size < 2 && (await isDockerThere())) addDockerSources(sources);
  return sources;
}

async function addLocalSources(
  sources: Map<ServerFlavour, ServerSource>,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  for (const address of await addressesFrom(env)) {
    const known = sources.get(address.flavour);
    const before = known?.kind === 'addresses' ? known.addresses : [];
    sources.set(address.flavour, { kind: 'addresses', addresses: [...before, address] });
  }
  for (const binary of await findServerBinaries(env)) {
    if (sources.has(binary.flavour)) continue;
    sources.set(binary.flavour, {
      kind: 'startable',
      description: `${binary.version} (${binary.command.join(' ')})`,
      start: (options) => startDevServer(binary, options),
    });
  }
}

function addDockerSources(sources: Map<ServerFlavour, ServerSource>): void {
  for (const flavour of ['mysql', 'mariadb'] as const) {
    if (sources.has(flavour)) continue;
    const start = (options: DevServerOptions) => startDockerServer(flavour, options);
    sources.set(flavour, { kind: 'startable', description: 'in Docker', start });
  }
}

// SHARDGATE_TEST_SERVERS=host:port,host:port with SHARDGATE_TEST_SERVERS_USER and SHARDGATE_TEST_SERVERS_PASSWORD.
async function addressesFrom(env: NodeJS.ProcessEnv): Promise<readonly ServerAddress[]> {
  const user = env.SHARDGATE_TEST_SERVERS_USER ?? 'root';
  const password = env.SHARDGATE_TEST_SERVERS_PASSWORD ?? '';
  const named = (env.SHARDGATE_TEST_SERVERS ?? '').split(',').map((text) => text.trim());
  return Promise.all(
    named
      .filter((text) => text !== '')
      .map(async (text) => {
        const [, host, port] = /^(.+):(\d+)$/.exec(text) ?? [];
        if (host === undefined) {
          throw new Error(`SHARDGATE_TEST_SERVERS: "${text}" should be host:port`);
        }
        const address = { host, port: Number(port) };
        const greeting = await readGreeting(address, 5_000);
        if (greeting === undefined) {
          throw new Error(`SHARDGATE_TEST_SERVERS: no MySQL server answers at ${text}`);
        }
        return { ...address, user, password, ...greeting };
      }),
  );
}
