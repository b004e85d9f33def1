import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestProject } from 'vitest/node';
import type { DevServer, ServerAddress } from '../../src/cli/dev-servers.ts';
import type { ServerFlavour } from '../../src/cli/server-binaries.ts';
import { findServerSources, type ServerSource } from '../../src/cli/server-sources.ts';

/** What a test file asks of the broker, one line of JSON each. */
export type BrokerQuestion =
  | { readonly ask: 'flavours' }
  | { readonly ask: 'servers'; readonly flavour: ServerFlavour; readonly count: number };

export type BrokerAnswer =
  | { readonly flavours: readonly ServerFlavour[] }
  | { readonly servers: readonly ServerAddress[] }
  | { readonly error: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** The loopback port on which this run's broker hands out servers. */
    readonly serverBrokerPort: number;
  }
}

/**
 * One per test run, in vitest's main process: starts servers when a test file first asks for them, shares them among all
 * files, and stops them at the end. A run that asks for none starts none.
 */
class ServerBroker {
  readonly #env: NodeJS.ProcessEnv;
  readonly #started = new Map<ServerFlavour, Promise<DevServer>[]>();
  #sources: Promise<ReadonlyMap<ServerFlavour, ServerSource>> | undefined;
  #wasAsked = false;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  async answer(question: BrokerQuestion): Promise<BrokerAnswer> {
    this.#wasAsked = true;
    const sources = await this.#findSources();
    if (question.ask === 'flavours') return { flavours: [...sources.keys()] };

    const source = sources.get(question.flavour);
    if (source === undefined) return { error: `there is no ${question.flavour} server here` };
    if (source.kind === 'addresses') {
      const servers = source.addresses.slice(0, question.count);
      if (servers.length === question.count) return { servers };
      const named = `${servers.length} of ${question.flavour}`;
      return { error: `needs ${question.count} servers; SHARDGATE_TEST_SERVERS names ${named}` };
    }
    return { servers: await this.#startUpTo(question, source) };
  }

  async stop(): Promise<void> {
    const starts = await Promise.allSettled([...this.#started.values()].flat());
    await Promise.all(
      starts.map((start) => (start.status === 'fulfilled' ? start.value.stop() : undefined)),
    );
    await this.#sayWhatRan();
  }

  async #startUpTo(
    { flavour, count }: { readonly flavour: ServerFlavour; readonly count: number },
    source: ServerSource & { readonly kind: 'startable' },
  ): Promise<readonly ServerAddress[]> {
    const started = this.#started.get(flavour) ?? [];
    this.#started.set(flavour, started);
    while (started.length < count) started.push(source.start({ env: this.#env }));
    const servers = await Promise.all(started.slice(0, count));
    return servers.map((server) => server.address);
  }

  #findSources(): Promise<ReadonlyMap<ServerFlavour, ServerSource>> {
    this.#sources ??= findServerSources(this.#env).then((sources) => {
      const wanted = this.#env.SHARDGATE_SERVERS_FLAVOUR;
      const kept = [...sources].filter(([flavour]) => wanted === undefined || flavour === wanted);
      // Where a machine decides over the code, a suite that skips itself must not look like a pass.
      if (kept.length === 0 && this.#env.CI !== undefined) {
        throw new Error('CI without any MySQL-compatible server: see scripts/test');
      }
      return new Map(kept);
    });
    return this.#sources;
  }

  async #sayWhatRan(): Promise<void> {
    if (!this.#wasAsked) return;
    // A failure to find servers has been told to every test file that asked.
    const sources = await this.#findSources().catch(() => new Map<ServerFlavour, ServerSource>());
    for (const [flavour, source] of sources) {
      console.log(`servers: ${flavour} ${describeSource(source)}`);
    }
    for (const flavour of ['mariadb', 'mysql'] as const) {
      if (sources.has(flavour)) continue;
      const way = flavour === 'mysql' ? 'scripts/get-mysql' : 'apt-get install mariadb-server';
      console.log(`\n!!! THE ${flavour.toUpperCase()} HALF OF THE SUITE DID NOT RUN: try ${way}\n`);
    }
  }
}

function describeSource(source: ServerSource): string {
  if (source.kind === 'startable') return source.description;
  return source.addresses.map(({ host, port, version }) => `${host}:${port} ${version}`).join(', ');
}

/** vitest's globalSetup. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const broker = new ServerBroker(process.env);
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // A test process that was ended: its answer is not missed.
    void serve(socket, broker);
  });
  project.provide('serverBrokerPort', await listen(listener));
  return async () => {
    for (const socket of sockets) socket.destroy();
    listener.close();
    await broker.stop();
  };
}

async function serve(socket: Socket, broker: ServerBroker): Promise<void> {
  for await (const line of createInterface({ input: socket })) {
    const question: BrokerQuestion = JSON.parse(line);
    const answer = await broker
      .answer(question)
      .catch((error: unknown) => ({ error: String(error) }));
    socket.write(`${JSON.stringify(answer)}\n`);
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (typeof address === 'object' && address !== null) resolve(address.port);
    });
  });
}
