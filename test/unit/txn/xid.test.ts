import { expect, test } from 'vitest';
import {
  GtridSource,
  parseGtrid,
  parsePreparedBranch,
  shardOfToken,
  shardToken,
  XID_FORMAT,
  xidSql,
} from '../../../src/txn/xid.ts';
import { shardId } from './fake-shards.ts';

const LONG = shardId('a-shard-with-quite-a-long-name-of-64-bytes-and-some.more.in.it-x');

function recoverRow(gtrid: string, branch: string, formatID: number = XID_FORMAT) {
  const data = `${gtrid}${branch}`;
  return { formatID, gtrid_length: gtrid.length, bqual_length: branch.length, data };
}

test.each(['s1', 'eu.west-1_b', LONG, 'ünïcode'])('a name tells its decision shard %s', (name) => {
  const gtrid = new GtridSource('0123456789abcdef').next(shardId(name));

  expect(Buffer.byteLength(gtrid)).toBeLessThanOrEqual(64);
  const parts = parseGtrid(gtrid);
  expect(parts?.deployment).toBe('0123456789abcdef');
  const shards = [shardId('other'), shardId(name)];
  expect(shardOfToken(parts?.decisionShard ?? '', shards)).toBe(name);
});

test('no two names are alike, not even of two proxies', () => {
  const sources = [new GtridSource('d'), new GtridSource('d')];
  const names = sources.flatMap((one) => [one.next(shardId('s')), one.next(shardId('s'))]);
  expect(new Set(names).size).toBe(4);
});

test('a branch is read back from XA RECOVER, as text and as bytes', () => {
  const gtrid = new GtridSource('d').next(shardId('s.1'));
  const row = recoverRow(gtrid, shardToken(shardId('s2')));

  expect(parsePreparedBranch(row, 'd')).toEqual({ gtrid, branch: 's2' });
  expect(parsePreparedBranch({ ...row, data: Buffer.from(row.data) }, 'd')?.branch).toBe('s2');
  expect(xidSql(gtrid, 's2')).toBe(`'${gtrid}','s2',1397178708`);
});

test.each([
  ['another format', recoverRow('sg1.d.s1.abc', 's2', 1)],
  ['another deployment', recoverRow('sg1.e.s1.abc', 's2')],
  ['another prefix', recoverRow('sg2.d.s1.abc', 's2')],
  ['no branch', recoverRow('sg1.d.s1.abc', '')],
  ['quotes', recoverRow("sg1.d.s'1.abc", 's2')],
  ['quotes in the branch', recoverRow('sg1.d.s1.abc', "s'2")],
  ['bytes', { ...recoverRow('\u0001\u0002', 'x'), data: Buffer.from([1, 2, 0xff]) }],
])('%s: not ours', (_, row) => {
  expect(parsePreparedBranch(row, 'd')).toBeUndefined();
});

test.each(['', 'with.dot', "quo'te", 'longer-than-16-bytes'])(
  'the deployment id %s is refused',
  (id) => {
    expect(() => new GtridSource(id)).toThrow('deployment');
  },
);
