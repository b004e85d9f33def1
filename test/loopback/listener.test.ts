import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { Listener } from '../../src/listener/listener.ts';
import { makeSelfSignedCertificate } from '../../src/listener/self-signed-certificate.ts';
import { silentLogger } from '../../src/observability/logger.ts';
import { createHotCounters } from '../../src/observability/metrics.ts';
import type { ClientHandler, ClientTransport } from '../../src/session/client-transport.ts';
import { decodeErr } from '../../src/wire/reply-packets.ts';

interface Accepted {
  readonly transport: ClientTransport;
  received: Buffer;
  closed: number;
}

const certificate = makeSelfSignedCertificate({ now: Date.now() });
const listeners: Listener[] = [];

afterEach(() => {
  for (const listener of listeners.splice(0)) {
    listener.stopAccepting();
    listener.destroyAll();
  }
});

async function listen(
  options: { connectionsMax?: number; onBytes?: (session: Accepted) => void } = {},
) {
  const accepted: Accepted[] = [];
  const counters = createHotCounters();
  const listener = new Listener({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: () => options.connectionsMax ?? 10,
    secureContext: () =>
      createSecureContext({ cert: certificate.certificatePem, key: certificate.keyPem }),
    accept: (transport): ClientHandler => {
      const session: Accepted = { transport, received: Buffer.alloc(0), closed: 0 };
      accepted.push(session);
      return {
        onBytes: (chunk) => {
          session.received = Buffer.concat([session.received, chunk]);
          options.onBytes?.(session);
        },
        onClosed: () => session.closed++,
      };
    },
    logger: silentLogger,
    counters,
  });
  listeners.push(listener);
  const port = await listener.start();
  return { accepted, counters, listener, port };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('bytes come and go, and the end is told once', async () => {
  const { accepted, port } = await listen({
    onBytes: ({ transport, received }) => void transport.write(Buffer.from(received)),
  });
  const client = await open(port);
  client.write('hello');
  const [answer] = await once(client, 'data');

  expect(String(answer)).toBe('hello');
  expect(accepted[0]?.transport.remoteAddress).toBe('127.0.0.1');
  client.end();
  await expect.poll(() => accepted[0]?.closed).toBe(1);
});

test('a probe that connects and goes, even by reset, is no error', async () => {
  const { accepted, listener, port } = await listen();
  (await open(port)).destroy();
  (await open(port)).resetAndDestroy();

  await expect.poll(() => accepted.map((session) => session.closed)).toEqual([1, 1]);
  expect(listener.connections).toBe(0);
});

test('a client beyond the limit reads 1040 without SQLSTATE, and places become free again', async () => {
  const { counters, listener, port } = await listen({ connectionsMax: 1 });
  const first = await open(port);
  await expect.poll(() => listener.connections).toBe(1);
  const second = await open(port);
  const [refusal] = await once(second, 'data');

  expect(decodeErr((refusal as Buffer).subarray(4))).toEqual({
    errno: 1040,
    sqlState: 'HY000',
    message: 'Too many connections',
  });
  expect((refusal as Buffer)[3]).toBe(0);
  expect(counters.sessionsRefused).toBe(1);
  first.destroy();
  await expect.poll(() => listener.connections).toBe(0);
});

test('a port in use is named', async () => {
  const { port } = await listen();
  const second = new Listener({
    host: '127.0.0.1',
    port,
    connectionsMax: () => 1,
    secureContext: () => undefined,
    accept: () => ({ onBytes: () => {}, onClosed: () => {} }),
    logger: silentLogger,
    counters: createHotCounters(),
  });

  await expect(second.start()).rejects.toThrow(`port ${port} on 127.0.0.1 is in use`);
});

describe('TLS in place', () => {
  test.each([false, true])(
    'with the ClientHello in the same chunk as the request: %s',
    async (joined) => {
      const { accepted, port } = await listen({
        onBytes: ({ transport, received }) => {
          const at = received.indexOf('upgrade!');
          if (at !== -1 && !transport.isSecure && transport.offersTls) {
            transport.startTls(Buffer.from(received.subarray(at + 'upgrade!'.length)));
          } else if (received.includes('over tls')) {
            transport.write(Buffer.from(transport.isSecure ? 'secure' : 'clear'));
          }
        },
      });
      const plain = await open(port);
      if (!joined) {
        plain.write('upgrade!');
        await expect.poll(() => accepted[0]?.transport.offersTls).toBe(false);
      }
      const secure = connectTls({
        socket: throughSocket(plain, joined ? 'upgrade!' : ''),
        ca: certificate.certificatePem,
        servername: 'localhost',
      });
      await once(secure, 'secureConnect');
      secure.write('over tls');
      const [answer] = await once(secure, 'data');

      expect(String(answer)).toBe('secure');
      secure.destroy();
    },
  );
});

test('a slow client is told of by write, and drained when it has read', async () => {
  const { accepted, port } = await listen();
  const client = await open(port);
  client.pause();
  await expect.poll(() => accepted.length).toBe(1);
  const { transport } = accepted[0] ?? expect.fail('accepted');
  let wantsMore = true;
  for (let count = 0; count < 1000 && wantsMore; count++)
    wantsMore = transport.write(Buffer.alloc(65_536));
  expect(wantsMore).toBe(false);

  let drained = false;
  transport.onceDrained(() => {
    drained = true;
  });
  expect(drained).toBe(false);
  client.resume();
  await expect.poll(() => drained).toBe(true);
});

test('who waits for a client that goes away is let go', async () => {
  const { accepted, port } = await listen();
  const client = await open(port);
  client.pause();
  await expect.poll(() => accepted.length).toBe(1);
  const { transport } = accepted[0] ?? expect.fail('accepted');
  while (transport.write(Buffer.alloc(65_536)));
  const drained = new Promise<void>((resolve) => transport.onceDrained(resolve));
  client.destroy();

  await drained;
  expect(transport.write(Buffer.alloc(10))).toBe(true);
});

/** A stream over the socket that puts `prefix` before the first bytes, in one write with them. */
function throughSocket(socket: Socket, prefix: string): Duplex {
  let before = prefix;
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      socket.write(Buffer.concat([Buffer.from(before), chunk]), () => done());
      before = '';
    },
  });
  socket.on('data', (chunk) => duplex.push(chunk));
  socket.on('close', () => duplex.push(null));
  return duplex;
}
