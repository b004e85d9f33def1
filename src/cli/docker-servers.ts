import type { GenericContainer, StartedTestContainer } from 'testcontainers';
import type { DevServer, DevServerOptions } from './dev-servers.ts';
import { freePort, untilGreeting } from './dev-servers.ts';
import type { ServerFlavour } from './server-binaries.ts';

const MYSQL_PORT = 3306;
const START_TIMEOUT_MS = 120_000;

/** The images of the servers that run in Docker, and how each is told to let root in without a password. */
const IMAGES = {
  mariadb: {
    image: 'mariadb:10.11',
    environment: { MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: '1', MARIADB_ROOT_HOST: '%' },
  },
  mysql: {
    image: 'mysql:8.4',
    environment: { MYSQL_ALLOW_EMPTY_PASSWORD: '1', MYSQL_ROOT_HOST: '%' },
  },
} as const satisfies Record<ServerFlavour, { image: string; environment: Record<string, string> }>;

/** Whether a Docker daemon answers here and testcontainers, a development dependency, is there to talk to it. */
export async function isDockerThere(): Promise<boolean> {
  try {
    const { getContainerRuntimeClient } = await import('testcontainers');
    await getContainerRuntimeClient();
    return true;
  } catch {
    return false; // No daemon or no library: other ways to a server remain.
  }
}

/** Starts a throwaway server in a container, reachable on a loopback port that it keeps over a restart. */
export async function startDockerServer(
  flavour: ServerFlavour,
  options: DevServerOptions,
): Promise<DevServer> {
  const { GenericContainer, Wait, getContainerRuntimeClient } = await import('testcontainers');
  const port = await freePort();
  const container = await describeContainer(new GenericContainer(imageOf(flavour, options)), {
    flavour,
    port,
    options: options.options ?? [],
  })
    // The image first runs a server without a network, to set itself up; only the real one names the port.
    .withWaitStrategy(Wait.forLogMessage(new RegExp(`port: ${MYSQL_PORT}\\b`)))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  const host = container.getHost() === 'localhost' ? '127.0.0.1' : container.getHost();
  const answering = () => untilGreeting({ host, port }, START_TIMEOUT_MS);
  const greeting = await answering();
  const docker = (await getContainerRuntimeClient()).container;
  return {
    address: { host, port, user: 'root', password: '', flavour, version: greeting.version },
    stop: () => remove(container),
    kill: () => docker.getById(container.getId()).kill(),
    async restart() {
      await docker.getById(container.getId()).restart();
      await answering();
    },
  };
}

function imageOf(flavour: ServerFlavour, { env }: DevServerOptions): string {
  const chosen = flavour === 'mysql' ? env.SHARDGATE_MYSQL_IMAGE : env.SHARDGATE_MARIADB_IMAGE;
  return chosen ?? IMAGES[flavour].image;
}

function describeContainer(
  container: GenericContainer,
  server: {
    readonly flavour: ServerFlavour;
    readonly port: number;
    readonly options: readonly string[];
  },
): GenericContainer {
  return container
    .withEnvironment(IMAGES[server.flavour].environment)
    .withExposedPorts({ container: MYSQL_PORT, host: server.port })
    .withCommand([
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=32M',
      `--server-id=${server.port}`,
      ...server.options,
    ]);
}

async function remove(container: StartedTestContainer): Promise<void> {
  await container.stop({ remove: true, removeVolumes: true, timeout: 10_000 });
}
