import { afterAll, beforeAll, expect, test } from 'vitest';
import { CollationWeights } from '../../src/backend/collation-weights.ts';
import { ControlConnections } from '../../src/backend/control-connection.ts';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import { keyOrder, padOfKeys } from '../../src/topology/key-order.ts';
import { keyTypeOf } from '../../src/topology/key-type.ts';
import { keyOfEqual } from '../../src/topology/key-value.ts';
import type { KeyType, RoutingKey, ShardId } from '../../src/topology/strategy.ts';
import { describeServers, useServers } from '../support/mysql-servers.ts';

const shard = 's1' as ShardId;
const TEXTS = [
  ...[
    '',
    ' ',
    '  ',
    'a',
    'A',
    'a ',
    'a  ',
    'a\t',
    'a\0',
    'ab',
    'a b',
    ' a',
    'b',
    'B ',
    'ch',
    'cz',
    'h',
  ],
  ...[
    'll',
    'lz',
    'ss',
    's',
    'i',
    'I',
    '0',
    '00',
    '-',
    "'",
    'zz',
    'ä',
    'Ä',
    'ae',
    'ß',
    'é',
    'e',
    'ñ',
  ],
  ...[
    'n',
    'ö',
    'o',
    'å',
    'aa',
    'æ',
    '\u00a0',
    'a\u00a0',
    'ı',
    'İ',
    'ﬃ',
    'ffi',
    'ก',
    'เก',
    '中',
    'あ',
    'ア',
    '😀',
  ],
];

/** Every collation that could be a shard key's, with the pairs that the server calls equal or ordered. */
await describeServers('all collations of the server', (flavour) => {
  let control: ControlConnections;
  let weights: CollationWeights;

  beforeAll(async () => {
    const [server] = await useServers({ count: 1, flavour });
    const shards = new Map([
      [shard, { ...server, replicas: [], connections_max: 4 } as ShardConfig],
    ]);
    control = new ControlConnections({ shards, connectTimeoutMs: 5_000 });
    weights = new CollationWeights(control, { entriesMax: 1_000_000 });
  });
  afterAll(() => control.close());

  test('texts that are equal have equal keys, and keys are ordered as texts are', async () => {
    const { rows } = await control.query(
      shard,
      `SELECT COLLATION_NAME AS collation, CHARACTER_SET_NAME AS charset
       FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY
       WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1, 2`,
    );
    const wrong: string[] = [];
    let checked = 0;
    for (const row of rows) {
      const charset = String(row.charset);
      const name = String(row.collation);
      // MariaDB 10.10 lists uca1400 collations without their character set.
      const collation = name.startsWith('uca1400') ? `${charset}_${name}` : name;
      const type = keyTypeOf({
        dataType: 'varchar',
        columnType: 'varchar(20)',
        charset,
        collation,
        lengthMax: 20,
        numericPrecision: undefined,
        numericScale: undefined,
        datetimePrecision: undefined,
      });
      if (type?.kind !== 'text') continue;
      checked++;
      wrong.push(...(await disagreements(control, weights, type)));
    }

    expect(checked).toBeGreaterThan(100);
    expect(wrong).toEqual([]);
  });
});

async function disagreements(
  control: ControlConnections,
  weights: CollationWeights,
  type: Extract<KeyType, { kind: 'text' }>,
): Promise<readonly string[]> {
  const { charset, collation } = type;
  const keys = new Map<number, RoutingKey>();
  await weights.load(
    TEXTS.map((text) => ({ kind: 'weight', charset, collation, text })),
    [shard],
  );
  for (const [i, text] of TEXTS.entries()) {
    const result = keyOfEqual({ type: 'string', text }, type, weights);
    if (result.kind === 'key') keys.set(i, result.key);
  }
  const list = (alias: string) =>
    [...keys.keys()]
      .map((i) => `SELECT ${i} AS ${alias}, CONVERT(? USING ${charset}) COLLATE ${collation} AS t`)
      .join(' UNION ALL ');
  const texts = [...keys.keys()].map((i) => TEXTS[i]);
  const { rows } = await control.query(
    shard,
    `SELECT a.i, b.j, a.t = b.t AS same, a.t < b.t AS less FROM (${list('i')}) a JOIN (${list('j')}) b`,
    [...texts, ...texts],
  );
  const order = keyOrder(type, padOfKeys(type, weights));
  const wrong: string[] = [];
  for (const row of rows) {
    const [i, j] = [Number(row.i), Number(row.j)];
    const [a, b] = [keys.get(i) as RoutingKey, keys.get(j) as RoutingKey];
    const pair = `${collation}: ${JSON.stringify(TEXTS[i])} and ${JSON.stringify(TEXTS[j])}`;
    if (Number(row.same) === 1 && a !== b) wrong.push(`${pair} are equal`);
    if (Number(row.less) === 1 && order(a, b) > 0) wrong.push(`${pair} ascend`);
  }
  return wrong;
}
