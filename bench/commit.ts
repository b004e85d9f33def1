/**
 * What atomicity over shards costs: one transaction on two (or four) shards beside the same writes
 * as plain transactions one after the other, all through the same proxy and in turns, since only
 * ratios within a run mean anything.
 *
 *   node bench/commit.ts [--rounds N]
 */

import { parseArgs } from 'node:util';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { median } from './statistics.ts';
import { BenchRig } from './targets.ts';

const SHARDS = 4;
const IDS = 256;
const WARM_UP = 50;
const WRITERS = 16;
const THROUGHPUT_ROUNDS = 5;
const THROUGHPUT_MS = 2_000;

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '400' } } });
const rounds = Number(options.rounds);
let startedAt = 0;

const rig = await BenchRig.create();
try {
  await run(rig);
} finally {
  await rig.stop();
}

async function run(bench: BenchRig): Promise<void> {
  const servers = (await bench.startServers(SHARDS)).map(({ address }) => address);
  for (const address of servers) {
    const shard = await createConnection({ ...loginOf(address) });
    await shard.query('CREATE DATABASE sbtest');
    await shard.query('CREATE TABLE sbtest.sbtest1 (id BIGINT PRIMARY KEY, k INT NOT NULL)');
    await shard.end();
  }
  const proxy = await bench.startShardgate('shardgate', servers);
  const clients = await Promise.all(
    Array.from({ length: 4 }, () => createConnection({ ...loginOf(proxy), database: 'sbtest' })),
  );
  const [first, second] = clients;
  if (first === undefined || second === undefined) throw new Error('no client');
  const rows = Array.from({ length: IDS }, (_, id) => `(${id + 1}, 0)`);
  await first.query(`INSERT INTO sbtest1 VALUES ${rows.join(', ')}`);
  const ids = (await idsOnEach(servers)).map(([id = 0]) => id);
  const [one = 0, two = 0] = ids;

  const works: Readonly<Record<string, () => Promise<void>>> = {
    'autocommit, one shard': () => update(first, one),
    'BEGIN … COMMIT, one shard': () => transaction(first, [one]),
    'two transactions in a row': async () => {
      await transaction(first, [one]);
      await transaction(second, [two]);
    },
    'one transaction, two shards': () => transaction(first, [one, two]),
    'four transactions in a row': async () => {
      for (const [at, client] of clients.entries()) await transaction(client, [ids[at] ?? 0]);
    },
    'one transaction, four shards': () => transaction(first, ids),
    'COMMIT alone, one shard': () =>
      untimed(
        () => begun(first, [one]),
        () => commit(first),
      ),
    'COMMIT alone, two shards': () =>
      untimed(
        () => begun(first, [one, two]),
        () => commit(first),
      ),
  };
  const samples = await measure(works);
  report(samples, [
    ['one transaction, two shards', 'two transactions in a row'],
    ['one transaction, four shards', 'four transactions in a row'],
    ['BEGIN … COMMIT, one shard', 'autocommit, one shard'],
    ['COMMIT alone, two shards', 'COMMIT alone, one shard'],
  ]);
  for (const client of clients) await client.end();
  await compareThroughput(
    () => createConnection({ ...loginOf(proxy), database: 'sbtest' }),
    servers,
  );
}

/**
 * The same two rows written by 16 clients as one atomic transaction and as two plain ones sent in
 * parallel, which is what an application without atomicity would do. In turns.
 */
async function compareThroughput(
  connect: () => Promise<Connection>,
  servers: readonly Login[],
): Promise<void> {
  const [onFirst = [], onSecond = []] = await idsOnEach(servers);
  const writers = await Promise.all(
    Array.from({ length: WRITERS }, async (_, at) => ({
      clients: [await connect(), await connect()] as const,
      ids: [onFirst[at] ?? 0, onSecond[at] ?? 0] as const,
    })),
  );
  const rates = { atomic: [] as number[], parallel: [] as number[] };
  for (let round = 0; round < THROUGHPUT_ROUNDS; round++) {
    rates.atomic.push(await perSecond(writers, ({ clients, ids }) => transaction(clients[0], ids)));
    rates.parallel.push(
      await perSecond(writers, async ({ clients, ids }) => {
        await Promise.all([transaction(clients[0], [ids[0]]), transaction(clients[1], [ids[1]])]);
      }),
    );
  }
  const [atomic, parallel] = [median(rates.atomic), median(rates.parallel)];
  console.table([
    { name: `two-shard transactions/s, ${WRITERS} clients`, 'per second': Math.round(atomic) },
    { name: 'the same as two in parallel, not atomic', 'per second': Math.round(parallel) },
    { name: 'ratio', 'per second': (atomic / parallel).toFixed(2) },
  ]);
  for (const { clients } of writers) for (const client of clients) await client.end();
}

async function perSecond<Writer>(
  writers: readonly Writer[],
  work: (writer: Writer) => Promise<void>,
): Promise<number> {
  let done = 0;
  const begin = performance.now();
  await Promise.all(
    writers.map(async (writer) => {
      while (performance.now() - begin < THROUGHPUT_MS) {
        await work(writer);
        done += 1;
      }
    }),
  );
  return (done * 1000) / (performance.now() - begin);
}

/** Only the second part counts. */
async function untimed(before: () => Promise<void>, work: () => Promise<void>): Promise<void> {
  await before();
  startedAt = performance.now();
  await work();
}

async function measure(
  works: Readonly<Record<string, () => Promise<void>>>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const samples = new Map<string, number[]>(Object.keys(works).map((name) => [name, []]));
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      startedAt = performance.now();
      await work();
      if (round >= 0) samples.get(name)?.push(performance.now() - startedAt);
    }
  }
  return samples;
}

function report(
  samples: ReadonlyMap<string, readonly number[]>,
  ratios: readonly (readonly [string, string])[],
): void {
  const of = (name: string): number => median([...(samples.get(name) ?? [])]);
  console.table([...samples.keys()].map((name) => ({ name, 'median ms': of(name).toFixed(3) })));
  console.table(
    ratios.map(([name, base]) => ({ name, base, ratio: (of(name) / of(base)).toFixed(2) })),
  );
}

async function transaction(client: Connection, ids: readonly number[]): Promise<void> {
  await begun(client, ids);
  await commit(client);
}

async function begun(client: Connection, ids: readonly number[]): Promise<void> {
  await client.query('BEGIN');
  for (const id of ids) await update(client, id);
}

async function commit(client: Connection): Promise<void> {
  await client.query('COMMIT');
}

async function update(client: Connection, id: number): Promise<void> {
  await client.query(`UPDATE sbtest1 SET k = k + 1 WHERE id = ${id}`);
}

interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** The ids that live on each of the servers. */
async function idsOnEach(servers: readonly Login[]): Promise<readonly (readonly number[])[]> {
  return Promise.all(
    servers.map(async (address) => {
      const shard = await createConnection({ ...loginOf(address), database: 'sbtest' });
      const [rows] = await shard.query<RowDataPacket[]>('SELECT id FROM sbtest1 ORDER BY id');
      await shard.end();
      return rows.map((row) => Number(row.id));
    }),
  );
}

function loginOf({ host, port, user, password }: Login): Login {
  return { host, port, user, password };
}
