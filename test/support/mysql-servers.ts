import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, inject, test } from 'vitest';
import type { DevServer, ServerAddress } from '../../src/cli/dev-servers.ts';
import type { ServerFlavour } from '../../src/cli/server-binaries.ts';
import { findServerSources } from '../../src/cli/server-sources.ts';
import type { BrokerAnswer, BrokerQuestion } from './server-broker.ts';

export type { DevServer, ServerAddress, ServerFlavour };

/**
 * The kinds of real server this run can use, for `describe.each(await flavours())`. In CI never none; elsewhere a file that
 * finds none shows one skipped suite in place of its own.
 */
export async function flavours(): Promise<readonly ServerFlavour[]> {
  const found = await askFlavours();
  if (found.length === 0) {
    describe.skip('on real servers', () => test('needs a MySQL-compatible server', () => {}));
  }
  return found;
}

/**
 * `count` running servers, shared with the other test files of this run: use database names of your own, leave global
 * variables as they are, and take `startOwnServer` for a server that is to be stopped.
 */
export async function useServers(wanted: {
  readonly count: number;
  readonly flavour: ServerFlavour | 'any';
}): Promise<readonly ServerAddress[]> {
  const flavour = wanted.flavour === 'any' ? (await askFlavours())[0] : wanted.flavour;
  if (flavour === undefined) throw new Error('there is no MySQL-compatible server here');
  const answer = await askBroker({ ask: 'servers', flavour, count: wanted.count });
  return 'servers' in answer ? answer.servers : [];
}

/** A server that belongs to the caller, who may stop, kill and restart it and must stop it at the end. */
export async function startOwnServer(wanted: {
  readonly flavour: ServerFlavour | 'any';
  readonly options?: readonly string[];
}): Promise<DevServer> {
  const flavour = wanted.flavour === 'any' ? (await askFlavours())[0] : wanted.flavour;
  const sources = await findServerSources(process.env);
  const source = flavour === undefined ? undefined : sources.get(flavour);
  if (source?.kind !== 'startable') {
    throw new Error(
      `no ${wanted.flavour} server can be started here, as opposed to being addressed`,
    );
  }
  return source.start({ env: process.env, options: wanted.options ?? [] });
}

/** A suite once per kind of server. Use as `await describeServers(…)`. */
export async function describeServers(
  title: string,
  body: (flavour: ServerFlavour) => void,
): Promise<void> {
  for (const flavour of await flavours()) describe(`${title} (${flavour})`, () => body(flavour));
}

async function askFlavours(): Promise<readonly ServerFlavour[]> {
  const answer = await askBroker({ ask: 'flavours' });
  return 'flavours' in answer ? answer.flavours : [];
}

async function askBroker(question: BrokerQuestion): Promise<BrokerAnswer> {
  const socket = connect({ host: '127.0.0.1', port: inject('serverBrokerPort') });
  await once(socket, 'connect');
  socket.write(`${JSON.stringify(question)}\n`);
  try {
    for await (const line of createInterface({ input: socket })) {
      const answer: BrokerAnswer = JSON.parse(line);
      if ('error' in answer) throw new Error(answer.error);
      return answer;
    }
    throw new Error('the broker of test servers is gone');
  } finally {
    socket.destroy();
  }
}
