/** The shards count by new maps what the proxy would route by them. */
import { expect, test } from 'vitest';
import { CollationWeights } from '../../src/backend/collation-weights.ts';
import { ControlConnections } from '../../src/backend/control-connection.ts';
import { ensureMetadataSchema } from '../../src/backend/metadata-schema.ts';
import { countMisplaced } from '../../src/backend/rehoming-count.ts';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import { HashRing } from '../../src/topology/hash-ring.ts';
import { shardIds } from '../../src/topology/strategy.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';

const DATABASE = 'rehoming_count';
const ROWS = 20_000;

await describeServers('counting rows by a new ring', (flavour) => {
  test('agrees with the ring for every row, and is quick', async () => {
    const [server] = await useServers({ count: 1, flavour });
    const [one, two, three] = shardIds(['s1', 's2', 's3']) as [never, never, never];
    const control = new ControlConnections({
      shards: new Map([[one, server as unknown as ShardConfig]]),
      connectTimeoutMs: 5_000,
    });
    await ensureMetadataSchema(control, [one]);
    await control.query(one, `DROP DATABASE IF EXISTS ${DATABASE}`);
    await control.query(one, `CREATE DATABASE ${DATABASE}`);
    await control.query(one, `CREATE TABLE ${DATABASE}.t (id INT PRIMARY KEY, k INT)`);
    const rows = Array.from({ length: ROWS }, (_, id) => [id, id % 10 === 0 ? null : id * 7]);
    await control.query(one, `INSERT INTO ${DATABASE}.t VALUES ?`, [rows]);
    const ring = new HashRing({
      name: 'r',
      shards: [one, two, three],
      virtualNodes: 1_024,
      weights: new Map([[three, 20]]),
    });
    const keyType = { kind: 'integer', unsigned: false, bytes: 4 } as const;
    const startedAt = performance.now();
    const counted = await countMisplaced(
      control,
      new CollationWeights(control, { entriesMax: 1_000 }),
      [
        {
          database: DATABASE,
          table: 't',
          shard: one,
          path: [],
          rule: { kind: 'hash', column: 'k', keyType, ring },
        },
      ],
    );
    const tookMs = performance.now() - startedAt;

    const expected = new Map<string, number>();
    for (const [, key] of rows) {
      const home = ring.shardOf(key ?? null);
      if (home !== one) expected.set(home, (expected.get(home) ?? 0) + 1);
    }
    expect(new Map(counted.map((found) => [found.to, found.rows]))).toEqual(expected);
    console.log(`${flavour}: ${ROWS} rows counted in ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(20_000);
    await control.query(one, `DROP DATABASE ${DATABASE}`);
    await control.close();
  });
});
