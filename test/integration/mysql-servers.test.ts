import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { expect, test } from 'vitest';
import {
  describeServers,
  type ServerAddress,
  startOwnServer,
  useServers,
} from '../support/mysql-servers.ts';

await describeServers('test servers', (flavour) => {
  test('four servers come up, each with its own data', async () => {
    const servers = await useServers({ count: 4, flavour });

    expect(new Set(servers.map(({ port }) => port)).size).toBe(4);
    expect(new Set(await Promise.all(servers.map(homeOf))).size).toBe(4);
  });

  test('a second request is given the same servers', async () => {
    const first = await useServers({ count: 2, flavour });
    const second = await useServers({ count: 1, flavour });

    expect(second).toEqual(first.slice(0, 1));
  });

  test('a server says the version that its address promises', async () => {
    const [server] = await useServers({ count: 1, flavour });
    if (server === undefined) throw new Error('no server');

    expect(await valueFrom(server, 'VERSION()')).toBe(server.version);
  });

  test('an own server keeps its rows over a kill', async () => {
    const server = await startOwnServer({ flavour });
    try {
      await run(server.address, 'CREATE DATABASE kept');
      await run(server.address, 'CREATE TABLE kept.t (id INT PRIMARY KEY)');
      await run(server.address, 'INSERT INTO kept.t VALUES (7)');
      await server.kill();
      await expect(run(server.address, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
      await server.restart();

      expect(await valueFrom(server.address, '(SELECT id FROM kept.t)')).toBe(7);
    } finally {
      await server.stop();
    }
  });
});

const homeOf = (server: ServerAddress): Promise<unknown> =>
  valueFrom(server, 'CONCAT(@@hostname, @@datadir)');

async function valueFrom(server: ServerAddress, expression: string): Promise<unknown> {
  const [row] = await run(server, `SELECT ${expression} AS value`);
  return row?.value;
}

async function run(server: ServerAddress, sql: string): Promise<RowDataPacket[]> {
  const { host, port, user, password } = server;
  const connection = await createConnection({ host, port, user, password });
  try {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  } finally {
    await connection.end();
  }
}
