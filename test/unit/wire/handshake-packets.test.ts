import { describe, expect, test } from 'vitest';
import * as flags from '../../../src/wire/flags.ts';
import {
  decodeAuthMoreData,
  decodeAuthSwitchRequest,
  decodeChangeUser,
  decodeHandshakeResponse41,
  decodeHandshakeV10,
  decodeSslRequest,
  encodeAuthMoreData,
  encodeAuthSwitchRequest,
  encodeChangeUser,
  encodeHandshakeResponse41,
  encodeHandshakeV10,
  encodeSslRequest,
  isSslRequest,
} from '../../../src/wire/handshake-packets.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';

const NONCE = Buffer.from('abcdefghijklmnopqrst');
const BASE = flags.CLIENT_PROTOCOL_41 | flags.CLIENT_SECURE_CONNECTION;
const ALL =
  BASE |
  flags.CLIENT_CONNECT_WITH_DB |
  flags.CLIENT_PLUGIN_AUTH |
  flags.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA |
  flags.CLIENT_CONNECT_ATTRS;

const login = {
  capabilities: ALL,
  packetBytesMax: 0x1000000,
  collationId: 45,
  user: 'anna',
  authResponse: Buffer.alloc(32, 7),
  database: 'shop',
  authPlugin: 'caching_sha2_password',
  attributes: new Map([
    ['_client_name', 'test'],
    ['long', 'x'.repeat(300)],
  ]),
};

test('the greeting of MariaDB 10.11 is read', () => {
  const payload = Buffer.from(
    '0a352e352e352d31302e31312e31342d4d617269614442000c000000' +
      '4e3c4c655b662e5c00fef72d0200ff81150000000000001d0000' +
      '003e573c42304b365a6c3a78390' +
      '06d7973716c5f6e61746976655f70617373776f726400',
    'hex',
  );
  const greeting = decodeHandshakeV10(payload);

  expect(greeting).toMatchObject({
    serverVersion: '5.5.5-10.11.14-MariaDB',
    threadId: 12,
    collationId: 45,
    statusFlags: 2,
    authPlugin: 'mysql_native_password',
  });
  expect(greeting.nonce.toString('latin1')).toBe('N<Le[f.\\>W<B0K6Zl:x9');
  expect(greeting.capabilities >>> 0).toBe(0x81fff7fe);
});

test('our own greeting comes back as it was written', () => {
  const greeting = {
    serverVersion: '8.0.39-shardgate',
    threadId: 0xfffffffe,
    nonce: NONCE,
    capabilities: (ALL | 0x80000000) >>> 0,
    collationId: 255,
    statusFlags: flags.SERVER_STATUS_AUTOCOMMIT,
    authPlugin: 'caching_sha2_password',
  };

  expect(decodeHandshakeV10(written((writer) => encodeHandshakeV10(greeting, writer)))).toEqual(
    greeting,
  );
});

test('only a protocol of version 10 is a greeting', () => {
  expect(() => decodeHandshakeV10(Buffer.from([9, 0]))).toThrow('protocol version 9');
});

test('a login comes back as it was written, and is refused when cut within a field', () => {
  const payload = written((writer) => encodeHandshakeResponse41(login, writer));

  expect(decodeHandshakeResponse41(payload)).toEqual(login);
  for (let cut = 0; cut < payload.length; cut++) {
    const decoded = attempt(() => decodeHandshakeResponse41(payload.subarray(0, cut)));
    expect(decoded).not.toEqual(login);
  }
});

test('a login without plugin names and database is read as clients of MySQL 5 send it', () => {
  const bare = { ...login, capabilities: BASE, database: undefined, authPlugin: undefined };
  const payload = written((writer) => encodeHandshakeResponse41(bare, writer));

  expect(decodeHandshakeResponse41(payload)).toEqual({ ...bare, attributes: new Map() });
});

test('fields that a client announced but left away at the end are empty', () => {
  const upToAnswer = { ...login, capabilities: BASE, authResponse: Buffer.alloc(20, 1) };
  const payload = written((writer) => encodeHandshakeResponse41(upToAnswer, writer));
  payload.writeUInt32LE(BASE | flags.CLIENT_PLUGIN_AUTH | flags.CLIENT_CONNECT_ATTRS, 0);

  expect(decodeHandshakeResponse41(payload)).toMatchObject({
    user: 'anna',
    authPlugin: undefined,
    attributes: new Map(),
  });
});

test('a client of before 4.1 is refused', () => {
  expect(() => decodeHandshakeResponse41(Buffer.alloc(40))).toThrow('before MySQL 4.1');
});

test('a login cannot name a collation beyond one byte', () => {
  expect(() => encodeSslRequest({ ...login, collationId: 309 }, new PacketWriter())).toThrow();
});

test('an SSLRequest is told from a login', () => {
  const asking = { capabilities: ALL | flags.CLIENT_SSL, packetBytesMax: 1 << 24, collationId: 45 };
  const payload = written((writer) => encodeSslRequest(asking, writer));

  expect(payload.length).toBe(32);
  expect(isSslRequest(payload)).toBe(true);
  expect(decodeSslRequest(payload)).toEqual(asking);
  expect(isSslRequest(written((writer) => encodeHandshakeResponse41(login, writer)))).toBe(false);
});

describe('COM_CHANGE_USER', () => {
  const change = {
    user: 'bert',
    authResponse: Buffer.alloc(20, 9),
    database: undefined,
    collationId: 309,
    authPlugin: 'mysql_native_password',
    attributes: new Map([['a', 'b']]),
  };

  test('comes back as it was written, with a collation of two bytes', () => {
    const payload = written((writer) => encodeChangeUser(change, ALL, writer));
    expect(decodeChangeUser(payload, ALL)).toEqual(change);
  });

  test('may end after the database', () => {
    const payload = written((writer) => encodeChangeUser(change, BASE, writer)).subarray(0, -2);
    expect(decodeChangeUser(payload, BASE)).toMatchObject({ user: 'bert', collationId: undefined });
  });
});

test('an auth switch loses the NUL behind its nonce only', () => {
  const request = { authPlugin: 'mysql_native_password', nonce: NONCE };
  const payload = written((writer) => encodeAuthSwitchRequest(request, writer));

  expect(payload.at(-1)).toBe(0);
  expect(decodeAuthSwitchRequest(payload)).toEqual(request);
  expect(() => decodeAuthSwitchRequest(Buffer.from([0xfe]))).toThrow('old password');
});

test('more authentication data passes through', () => {
  const payload = written((writer) => encodeAuthMoreData(Buffer.from([4]), writer));
  expect(payload.toString('hex')).toBe('0104');
  expect(decodeAuthMoreData(payload)).toEqual(Buffer.from([4]));
});

function written(encode: (writer: PacketWriter) => void): Buffer {
  const writer = new PacketWriter();
  encode(writer);
  return writer.take();
}

function attempt<Value>(decode: () => Value): Value | undefined {
  try {
    return decode();
  } catch {
    // A packet that ends within a field is refused, which is what the test hopes for.
    return undefined;
  }
}
