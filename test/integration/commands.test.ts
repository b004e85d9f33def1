/** The commands of the protocol, packet by packet, as drivers would not send them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeErr, decodeOk, isEof, isErr, isOk } from '../../src/wire/reply-packets.ts';
import { decodeColumnDefinition } from '../../src/wire/result-set-packets.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { RawClient, type RawPacket } from '../support/raw-client.ts';
import { startTestProxy, TEST_PASSWORD, TEST_USER, type TestProxy } from '../support/test-proxy.ts';

const DATABASE = 'commands_test';
const DATABASES = `
  ${DATABASE}:
    default: s1`;

await describeServers('commands', (flavour) => {
  let proxy: TestProxy;

  beforeAll(async () => {
    const servers = await useServers({ count: 1, flavour });
    proxy = await startTestProxy({
      servers,
      databases: DATABASES,
      createDatabases: [DATABASE],
      extra:
        'limits: { packet_bytes_max: 1048576, connections_max: 20, statement_timeout_ms: 1000 }',
    });
    const client = await proxy.connect({ database: DATABASE });
    await client.query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(10))');
    await client.end();
  });
  afterAll(async () => {
    await proxy?.stop();
  });

  async function session(): Promise<RawClient> {
    const client = await RawClient.connect(proxy.proxy.address);
    const answer = await client.logIn({
      user: TEST_USER,
      password: TEST_PASSWORD,
      database: DATABASE,
    });
    expect(isOk(payloadOf(answer))).toBe(true);
    expect(answer?.sequence).toBe(2);
    return client;
  }

  test('PING, STATISTICS, INIT_DB and SET_OPTION', async () => {
    const client = await session();
    client.send(Buffer.from([0x0e]));
    expect(isOk(payloadOf(await client.next()))).toBe(true);
    client.send(Buffer.from([0x09]));
    expect(payloadOf(await client.next()).toString()).toMatch(
      /^Uptime: \d+ {2}Threads: \d+ {2}Questions: /,
    );
    client.send(Buffer.from(`\x02${DATABASE}`));
    expect(isOk(payloadOf(await client.next()))).toBe(true);
    client.send(Buffer.from('\x02nosuch'));
    expect(decodeErr(payloadOf(await client.next()))).toMatchObject({
      errno: 1049,
      sqlState: '42000',
    });
    client.send(Buffer.from([0x1b, 0, 0]));
    expect(isEof(payloadOf(await client.next()))).toBe(true);
    client.send(Buffer.from([0x1b, 9, 0]));
    expect(decodeErr(payloadOf(await client.next())).errno).toBe(1047);
    client.destroy();
  });

  test('FIELD_LIST gives definitions and an EOF', async () => {
    const client = await session();
    client.send(Buffer.from('\x04t\0'));
    const [id, name, end] = [await client.next(), await client.next(), await client.next()];

    expect(decodeColumnDefinition(payloadOf(id)).name).toBe('id');
    expect(decodeColumnDefinition(payloadOf(name)).name).toBe('name');
    expect(isEof(payloadOf(end))).toBe(true);
    client.destroy();
  });

  test('RESET_CONNECTION rolls back and clears, pipelined with what follows', async () => {
    const client = await session();
    for (const sql of ['BEGIN', 'INSERT INTO t VALUES (1, NULL)'])
      client.send(Buffer.from(`\x03${sql}`));
    client.send(Buffer.from([0x1f]));
    client.send(Buffer.from('\x03SET NAMES utf8mb4'));
    client.send(Buffer.from('\x03SELECT COUNT(*) FROM t'));

    const began = decodeOk(payloadOf(await client.next()));
    expect(began.statusFlags & 1).toBe(1);
    expect(decodeOk(payloadOf(await client.next())).statusFlags & 1).toBe(1);
    expect(decodeOk(payloadOf(await client.next())).statusFlags & 3).toBe(2);
    expect(isOk(payloadOf(await client.next()))).toBe(true);
    for (let skipped = 0; skipped < 3; skipped++) await client.next();
    expect(payloadOf(await client.next()).toString()).toBe('\x010');
    client.destroy();
  });

  test.each([0x05, 0x06, 0x07, 0x08, 0x0a, 0x0d, 0x12, 0x15, 0x1d, 0x7f])(
    'command %d is answered with 1047',
    async (command) => {
      const client = await session();
      client.send(Buffer.from([command, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
      expect(decodeErr(payloadOf(await client.next())).errno).toBe(1047);
      client.send(Buffer.from([0x0e]));
      expect(isOk(payloadOf(await client.next()))).toBe(true);
      client.destroy();
    },
  );

  test('QUIT closes without an answer', async () => {
    const client = await session();
    client.send(Buffer.from([0x01]));
    expect(await client.next()).toBeUndefined();
  });

  test('a packet above max_allowed_packet is 1153, then the connection is closed', async () => {
    const client = await session();
    client.send(Buffer.concat([Buffer.from([0x03]), Buffer.alloc(1_048_577, 0x20)]));
    expect(decodeErr(payloadOf(await client.next()))).toMatchObject({
      errno: 1153,
      sqlState: '08S01',
    });
    expect(await client.next()).toBeUndefined();
  });

  test('packets out of order are 1156, then the connection is closed', async () => {
    const client = await session();
    client.send(Buffer.from([0x0e]), 5);
    expect(decodeErr(payloadOf(await client.next())).errno).toBe(1156);
    expect(await client.next()).toBeUndefined();
  });

  test('a statement that takes too long is ended with 3024', async () => {
    const client = await proxy.connect({ database: DATABASE });
    await client.query('INSERT INTO t VALUES (7, NULL)');
    await expect(client.query('SELECT SLEEP(20) FROM t')).rejects.toMatchObject({ errno: 3024 });
    expect((await client.query('SELECT id FROM t WHERE id = 7'))[0]).toEqual([{ id: 7 }]);
  });

  test('clients beyond the limit read 1040 before any greeting; then others may come again', async () => {
    const clients: RawClient[] = [];
    let refusal: RawPacket | undefined;
    for (let count = 0; count < 30 && refusal === undefined; count++) {
      const client = await RawClient.connect(proxy.proxy.address);
      clients.push(client);
      const first = await client.next();
      if (isErr(payloadOf(first))) refusal = first;
    }

    expect(refusal?.sequence).toBe(0);
    expect(decodeErr(payloadOf(refusal))).toMatchObject({
      errno: 1040,
      message: 'Too many connections',
    });
    for (const client of clients) client.destroy();
    await expect
      .poll(async () => {
        const client = await RawClient.connect(proxy.proxy.address);
        const first = payloadOf(await client.next());
        client.destroy();
        return isErr(first);
      })
      .toBe(false);
  });
});

function payloadOf(packet: RawPacket | undefined): Buffer {
  if (packet === undefined) throw new Error('the connection was closed instead');
  return packet.payload;
}
