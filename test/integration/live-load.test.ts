/** Valid edits under load, seen by no client; re-homing edits, after which every row is where its key says. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';
import { describeServers, useServers } from '../support/mysql-servers.ts';
import { type ProxyProcess, startProxyProcess } from '../support/proxy-process.ts';

const DATABASE = 'live_load';
const CLIENTS = 32;
/** `EDITS=200` for the full measure. */
const EDITS = Number(process.env.EDITS ?? 40);
const ROWS = 2_000;
const EFFECT_MS_MAX = 1_000;

const databases = (bystander: string, strategies: string): string => `
  ${DATABASE}:
    default: s1
    strategies:
      by_id: { type: hash, shards: [s1, s2] }
${strategies}
    tables:
      users: { key: id, strategy: by_id }
${bystander}`;

await describeServers('under load', (flavour) => {
  let proxy: ProxyProcess;
  const open: Connection[] = [];

  afterEach(async () => {
    for (const connection of open.splice(0)) connection.destroy();
    await proxy?.stop();
  });

  async function start(): Promise<{ text: string; connect: () => Promise<Connection> }> {
    const servers = await useServers({ count: 3, flavour });
    for (const server of servers) {
      const { host, port, user, password } = server;
      const direct = await createConnection({ host, port, user, password });
      await direct.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await direct.query(`CREATE DATABASE ${DATABASE}`);
      await direct.end();
    }
    proxy = await startProxyProcess({ servers: servers.slice(0, 2), databases: databases('', '') });
    const third = servers[2];
    const text = (await readFile(proxy.configPath, 'utf8')).replace(
      'databases:',
      `#third s3: { host: ${third?.host}, port: ${third?.port}, user: ${third?.user}, password: "${third?.password}" }\ndatabases:`,
    );
    const connect = async (): Promise<Connection> => {
      const connection = await createConnection({ ...proxy.login, database: DATABASE });
      open.push(connection);
      return connection;
    };
    const client = await connect();
    await client.query('CREATE TABLE users (id INT NOT NULL PRIMARY KEY, n INT NOT NULL)');
    await client.query('CREATE TABLE other (id INT NOT NULL PRIMARY KEY)');
    const rows = Array.from({ length: ROWS }, (_, id) => `(${id}, 0)`);
    await client.query(`INSERT INTO users VALUES ${rows}`);
    await client.query('INSERT INTO other VALUES (1)');
    return { text, connect };
  }

  /** Tables, users, limits, an empty shard that is added and removed: one after the other. */
  function edit(text: string, index: number): string {
    switch (index % 4) {
      case 0:
        return text.replace(
          databases('', ''),
          databases(`      t${index}: { key: id, strategy: by_id }`, ''),
        );
      case 1:
        return text.replace('users:\n', `users:\n  user${index}: { password: x }\n`);
      case 2:
        return `${text}limits: { sequence_block: ${1_000 + index} }\n`;
      default:
        return text
          .replace('#third', ' ')
          .replace(
            databases('', ''),
            databases(
              `      t${index}: { key: id, strategy: wide }`,
              '      wide: { type: hash, shards: [s1, s2, s3] }',
            ),
          );
    }
  }

  /** The least of several looks, since garbage comes and goes. */
  async function heapBytes(): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let look = 0; look < 20; look++) {
      const reply = await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`);
      const used = /^nodejs_heap_size_used_bytes (\S+)/m.exec(await reply.text())?.[1];
      least = Math.min(least, Number(used));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return least;
  }

  const versionOf = async (client: Connection): Promise<number> => {
    const [rows] = await client.query<RowDataPacket[]>('SHOW CONFIG');
    return Number(rows[0]?.version);
  };

  test(`${EDITS} valid edits with ${CLIENTS} clients at work`, { timeout: 300_000 }, async () => {
    const { text, connect } = await start();
    const errors: unknown[] = [];
    let isOver = false;
    let statements = 0;
    const clients = await Promise.all(Array.from({ length: CLIENTS }, connect));
    const work = clients.map(async (client, index) => {
      for (let round = 0; !isOver; round++) {
        const id = (round * CLIENTS + index) % ROWS;
        try {
          const [[row]] = await client.query<RowDataPacket[]>(
            `SELECT n FROM users WHERE id = ${id}`,
          );
          if (row === undefined) errors.push(`row ${id} is not found`);
          await client.query(`UPDATE users SET n = n + 1 WHERE id = ${id}`);
          if (round % 8 === 0) {
            await client.query('BEGIN');
            await client.query(`UPDATE users SET n = n + 1 WHERE id IN (${index}, ${index + 100})`);
            await client.query('COMMIT');
            await client.query('SELECT COUNT(*) FROM users');
            await client.query('SELECT * FROM other');
          }
          statements += 3;
        } catch (error) {
          errors.push(error);
        }
      }
    });
    const observer = await connect();
    const latencies: number[] = [];
    let memoryMidway = 0;
    for (let index = 0; index < EDITS; index++) {
      const before = await versionOf(observer);
      const savedAt = performance.now();
      await writeFile(proxy.configPath, edit(text, index));
      while ((await versionOf(observer)) === before) {
        if (performance.now() - savedAt > 10_000) {
          throw new Error(
            `edit ${index} has no effect: ${JSON.stringify((await observer.query('SHOW CONFIG'))[0])}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      latencies.push(performance.now() - savedAt);
      if (index === Math.floor(EDITS / 2)) memoryMidway = await heapBytes();
    }
    isOver = true;
    await Promise.all(work);
    const grown = (await heapBytes()) - memoryMidway;
    latencies.sort((a, b) => a - b);
    const [p50, most] = [latencies[Math.floor(EDITS / 2)] as number, latencies.at(-1) as number];
    console.log(
      `${flavour}: ${EDITS} edits, p50 ${p50.toFixed(0)} ms, max ${most.toFixed(0)} ms, ${statements} statements, ` +
        `${errors.length} errors, heap ${(memoryMidway / 2 ** 20).toFixed(0)} MiB + ${(grown / 2 ** 20).toFixed(1)} MiB in the second half`,
    );

    expect(errors).toEqual([]);
    expect(p50).toBeLessThan(EFFECT_MS_MAX);
    expect(grown).toBeLessThan(64 * 2 ** 20);
  });

  test(`${EDITS} re-homing edits are refused, and every row is found`, {
    timeout: 300_000,
  }, async () => {
    const { text, connect } = await start();
    const client = await connect();
    const before = await versionOf(client);
    const ring = 'by_id: { type: hash, shards: [s1, s2] }';
    for (let index = 0; index < EDITS; index++) {
      const edits = [
        text.replace(ring, `by_id: { type: hash, shards: [s1, s2], virtual_nodes: ${10 + index} }`),
        text.replace(
          ring,
          `by_id: { type: hash, shards: [s1, s2], weights: { s2: ${2 + (index % 10)} } }`,
        ),
        text.replace(
          ring,
          `by_id: { type: range, ranges: [{ below: ${index + 1}, shard: s1 }, { shard: s2 }] }`,
        ),
        text.replace(
          'users: { key: id, strategy: by_id }',
          `users: { shard: s${1 + (index % 2)} }`,
        ),
        text.replace('default: s1', 'default: s2'),
        text.replace('#third', ' ').replace(ring, 'by_id: { type: hash, shards: [s1, s2, s3] }'),
      ];
      await writeFile(proxy.configPath, `${edits[index % edits.length]}# ${index}\n`);
      const refused = async () => {
        const [rows] = await client.query<RowDataPacket[]>('SHOW CONFIG');
        return { edit: index, version: rows[0]?.version, problems: rows.length > 1 };
      };
      await expect
        .poll(refused, { timeout: 10_000, interval: 10 })
        .toEqual({ edit: index, version: before, problems: true });
      await writeFile(proxy.configPath, text);
      await expect
        .poll(refused, { timeout: 10_000, interval: 10 })
        .toEqual({ edit: index, version: before, problems: false });
    }
    for (let id = 0; id < ROWS; id++) {
      const [rows] = await client.query<RowDataPacket[]>(`SELECT id FROM users WHERE id = ${id}`);
      expect(rows).toHaveLength(1);
    }
    const [other] = await client.query<RowDataPacket[]>('SELECT * FROM other');
    expect(other).toHaveLength(1);
  });
});
