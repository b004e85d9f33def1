import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ShardLeases } from '../../../src/backend/lease.ts';
import { silentLogger } from '../../../src/observability/logger.ts';
import { createHotCounters } from '../../../src/observability/metrics.ts';
import { PlanCache } from '../../../src/plan/plan-cache.ts';
import { accountOf } from '../../../src/session/accounts.ts';
import { PasswordKey } from '../../../src/session/password-key.ts';
import { Session } from '../../../src/session/session.ts';
import { SessionRegistry } from '../../../src/session/session-registry.ts';
import type { SessionServices } from '../../../src/session/session-services.ts';
import { DEFAULT_LIMITS } from '../../../src/topology/config-schema.ts';
import {
  decodeHandshakeV10,
  encodeHandshakeResponse41,
} from '../../../src/wire/handshake-packets.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import { decodeErr, decodeOk } from '../../../src/wire/reply-packets.ts';
import { nativeAnswer } from '../../../src/wire/scramble.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { packet, ScriptedClient } from './scripted-client.ts';

const PROTOCOL_41 = 0x0200;
const SECURE_CONNECTION = 0x8000;
const CONNECT_WITH_DB = 8;
const passwordKey = new PasswordKey(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey);

function start() {
  const clock = new ManualClock();
  const client = new ScriptedClient();
  const registry = new SessionRegistry(clock, () => 0);
  const counters = createHotCounters();
  const account = accountOf('app', {
    password: 'pw',
    tls: 'optional',
    read_only: false,
    hosts: [],
  });
  const topology = { config: { limits: DEFAULT_LIMITS }, databases: new Map([['shop', {}]]) };
  const noLeases: ShardLeases = {
    tryLease: () => undefined,
    lease: () => Promise.reject(new Error('no shard is asked in these tests')),
    inTransaction: false,
  };
  const services = {
    current: () => ({ topology, plans: new PlanCache(1), caches: {} }),
    serverFacts: () => ({ version: '8.0.39-shardgate', lexical: {} }),
    accountFor: (user: string) => (user === 'app' ? account : undefined),
    passwordKey,
    leasesFor: () => noLeases,
    registry,
    counters,
    logger: silentLogger,
    clock,
  } as unknown as SessionServices; // the parts that a login and commands without shards need
  const session = new Session(client, services);
  session.greet();
  return { clock, client, registry, counters, session };
}

function login(
  client: ScriptedClient,
  more: { password?: string; database?: string; user?: string; collationId?: number } = {},
): Buffer {
  const { nonce } = decodeHandshakeV10(client.packets()[0]?.payload ?? Buffer.alloc(0));
  const writer = new PacketWriter().startPacket(1);
  encodeHandshakeResponse41(
    {
      capabilities:
        PROTOCOL_41 | SECURE_CONNECTION | (more.database === undefined ? 0 : CONNECT_WITH_DB),
      packetBytesMax: 1 << 24,
      collationId: more.collationId ?? 45,
      user: more.user ?? 'app',
      authResponse: nativeAnswer(more.password ?? 'pw', nonce),
      database: more.database,
      authPlugin: undefined,
      attributes: new Map(),
    },
    writer,
  );
  writer.endPacket();
  return writer.take();
}

function last(client: ScriptedClient): { sequence: number; payload: Buffer } {
  return client.packets().at(-1) ?? expect.fail('nothing was sent');
}

describe('the login', () => {
  test('greets, and lets in who answers the nonce', () => {
    const { client, session, registry } = start();
    session.onBytes(login(client, { database: 'shop' }));

    expect(decodeHandshakeV10(client.packets()[0]?.payload ?? Buffer.alloc(0))).toMatchObject({
      serverVersion: '8.0.39-shardgate',
      threadId: session.id,
      authPlugin: 'caching_sha2_password',
    });
    expect(decodeOk(last(client).payload).statusFlags).toBe(2);
    expect(last(client).sequence).toBe(2);
    expect(registry.list()).toMatchObject([{ user: 'app', database: 'shop', command: 'Sleep' }]);
  });

  test('takes the first command that came behind it, in the same chunk', () => {
    const { client, session } = start();
    session.onBytes(Buffer.concat([login(client), packet(0, '\x0e')]));

    expect(client.packets().map((sent) => sent.sequence)).toEqual([0, 2, 1]);
  });

  test.each([
    [{ password: 'other' }, 1045],
    [{ user: 'nobody' }, 1045],
    [{ database: 'nosuch' }, 1049],
    [{ collationId: 28 }, 1043],
  ])('refuses %j with %d and closes', (more, errno) => {
    const { client, session } = start();
    session.onBytes(login(client, more));

    expect(decodeErr(last(client).payload).errno).toBe(errno);
    expect(last(client).sequence).toBe(2);
    expect(client.state).toBe('ended');
  });

  test('counts denied logins, and not unknown databases', () => {
    const { client, session, counters } = start();
    session.onBytes(login(client, { password: 'other' }));
    expect(counters.loginsFailed).toBe(1);

    const second = start();
    second.session.onBytes(login(second.client, { database: 'nosuch' }));
    expect(second.counters.loginsFailed).toBe(0);
  });

  test('nothing is looked at behind a refusal', () => {
    const { client, session } = start();
    session.onBytes(Buffer.concat([login(client, { password: 'x' }), packet(0, '\x0e')]));

    expect(client.packets()).toHaveLength(2);
  });

  test.each([
    ['garbage', packet(1, Buffer.from('ffffffff', 'hex'))],
    ['the protocol of before 4.1', packet(1, Buffer.alloc(40))],
    [
      'TLS that was not offered',
      packet(1, Buffer.concat([Buffer.from('000a0000', 'hex'), Buffer.alloc(28)])),
    ],
    ['a packet out of order', packet(7, 'x')],
    ['a packet of a megabyte', Buffer.from([0, 0, 0x10, 1])],
  ])('%s is answered with an error, and the connection is closed', (_title, bytes) => {
    const { client, session } = start();
    session.onBytes(bytes);

    expect(last(client).payload[0]).toBe(0xff);
    expect(client.state).toBe('ended');
  });

  test('has its time', () => {
    const { clock, client, session } = start();
    clock.advance(DEFAULT_LIMITS.handshake_timeout_ms - 1);
    expect(client.state).toBe('open');
    clock.advance(1);
    expect(client.state).toBe('destroyed');
    session.onClosed();

    const slow = start();
    slow.session.onBytes(login(slow.client));
    slow.clock.advance(DEFAULT_LIMITS.handshake_timeout_ms * 2);
    expect(slow.client.state).toBe('open');
  });
});

describe('the end', () => {
  test('an idle client is disconnected', () => {
    const { clock, client, session } = start();
    session.onBytes(login(client));
    session.tick(clock.monotonicMs() + DEFAULT_LIMITS.idle_timeout_ms);
    expect(client.state).toBe('open');
    session.tick(clock.monotonicMs() + DEFAULT_LIMITS.idle_timeout_ms + 1);
    expect(client.state).toBe('ended');
  });

  test('a stopping proxy lets idle sessions go and waits for none that are left', async () => {
    const { clock, client, session, registry } = start();
    session.onBytes(login(client));
    const drained = registry.drain(1000);
    expect(client.state).toBe('ended');
    clock.advance(1000);
    expect(client.state).toBe('destroyed');
    session.onClosed();

    await drained;
    expect(registry.size).toBe(0);
  });

  test('ids are not given twice while their session lives', () => {
    const { registry, session } = start();

    expect(registry.get(session.id)).toBe(session);
    expect(registry.nextId()).not.toBe(session.id);
    session.onClosed();
    expect(registry.get(session.id)).toBeUndefined();
  });
});
