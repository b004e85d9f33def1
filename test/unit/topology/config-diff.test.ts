import { expect, test } from 'vitest';
import { configDifference, isSameMap } from '../../../src/topology/config-diff.ts';
import { readConfig } from '../../../src/topology/config-file.ts';

const TEXT = `
listen: 127.0.0.1:3307
users: { app: { password: hidden }, env: { password: "\${APP}" } }
shards: { s1: { host: a }, s2: { host: b } }
databases: { shop: { default: s1 } }
`;

function written(text: string) {
  const file = readConfig(text, { APP: 'a', OTHER: 'b' });
  if (!file.ok) throw new Error(JSON.stringify(file.problems));
  return file.written;
}

test('comments, white space, styles and settings of one proxy make no other map', () => {
  const same = `# words\n${TEXT}`
    .replace('127.0.0.1:3307', '0.0.0.0:1')
    .replace('host: a', 'host:  "a"');

  expect(isSameMap(written(TEXT), written(same))).toBe(true);
  expect(configDifference(written(TEXT), written(same))).toEqual([]);
});

test('what differs is named, secrets are not', () => {
  const other = TEXT.replace('hidden', 'other-secret')
    .replace('host: b', 'host: c')
    .replace('${APP}', '${OTHER}');
  const lines = configDifference(written(TEXT), written(other));

  expect(isSameMap(written(TEXT), written(other))).toBe(false);
  expect(lines).toEqual([
    '~ users.app.password: *** → ***',
    '~ users.env.password: ${APP} → ${OTHER}',
    '~ shards.s2.host: b → c',
  ]);
});

test('the order of shards counts: the first is the metadata shard', () => {
  const other = TEXT.replace(
    's1: { host: a }, s2: { host: b }',
    's2: { host: b }, s1: { host: a }',
  );

  expect(isSameMap(written(TEXT), written(other))).toBe(false);
});
