import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { readGreeting } from '../../../src/cli/server-greeting.ts';

/** A peer that sends these bytes, one write each, and closes. */
async function greetingOf(writes: readonly Buffer[]) {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    for (const bytes of writes) socket.write(bytes);
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
    return await readGreeting({ host: '127.0.0.1', port }, 5_000);
  } finally {
    server.close();
  }
}

function greeting(version: string): Buffer {
  const payload = Buffer.from(`\x0a${version}\0rest`, 'latin1');
  return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]);
}

test('the version says which kind of server it is', async () => {
  expect(await greetingOf([greeting('9.7.0')])).toEqual({ flavour: 'mysql', version: '9.7.0' });
});

test('a greeting in single bytes is the same greeting', async () => {
  const bytes = [...greeting('5.5.5-10.11.19-MariaDB')].map((byte) => Buffer.from([byte]));

  expect(await greetingOf(bytes)).toEqual({ flavour: 'mariadb', version: '10.11.19-MariaDB' });
});

test('MariaDB 11 does not pretend to be 5.5.5', async () => {
  expect(await greetingOf([greeting('11.4.2-MariaDB')])).toMatchObject({
    version: '11.4.2-MariaDB',
  });
});

test.each([
  ['an error packet', Buffer.from('\x17\0\0\0\xff\x10\x04Too many connections', 'latin1')],
  ['another protocol', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['nothing', Buffer.alloc(0)],
  ['half a greeting', greeting('9.7.0').subarray(0, 8)],
])('%s is no greeting', async (_title, bytes) => {
  expect(await greetingOf([bytes])).toBeUndefined();
});
