import { describe, expect, test } from 'vitest';
import { PacketReader } from '../../../src/wire/packet-reader.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';

describe('length-encoded integers at every boundary', () => {
  test.each<[number | bigint, string]>([
    [0, '00'],
    [250, 'fa'],
    [251, 'fcfb00'],
    [255, 'fcff00'],
    [256, 'fc0001'],
    [65_535, 'fcffff'],
    [65_536, 'fd000001'],
    [0xffffff, 'fdffffff'],
    [0x1000000, 'fe0000000100000000'],
    [Number.MAX_SAFE_INTEGER, 'feffffffffffff1f00'],
    [2n ** 53n, 'fe0000000000002000'],
    [2n ** 64n - 1n, 'feffffffffffffffff'],
  ])('%s', (value, bytes) => {
    const written = new PacketWriter().lengthEncoded(value).take();

    expect(written.toString('hex')).toBe(bytes);
    expect(new PacketReader(written).lengthEncoded()).toBe(value);
    for (let cut = 0; cut < written.length; cut++) {
      expect(() => new PacketReader(written.subarray(0, cut)).lengthEncoded()).toThrow(
        expect.objectContaining({ name: 'MalformedPacket' }),
      );
    }
  });

  test.each(['fb', 'ff'])('0x%s begins none', (bytes) => {
    expect(() => new PacketReader(Buffer.from(bytes, 'hex')).lengthEncoded()).toThrow('begins no');
  });

  test('a string never reads past its packet, whatever length it claims', () => {
    for (const claim of ['05', 'fc0500', 'feffffffffffff1f00', 'feffffffffffffffff']) {
      const reader = new PacketReader(Buffer.from(`${claim}61626364`, 'hex'));
      expect(() => reader.lengthEncodedBytes()).toThrow(
        expect.objectContaining({ name: 'MalformedPacket' }),
      );
    }
  });
});

test('fixed-width fields mirror each other', () => {
  const written = new PacketWriter()
    .uint8(255)
    .uint16(0xfffe)
    .uint24(0xfffffd)
    .uint32(0xfffffffc)
    .uint64(2n ** 63n)
    .nullTerminated('naïve')
    .zeros(3)
    .text('rest')
    .take();
  const reader = new PacketReader(written);

  expect([reader.uint8(), reader.uint16(), reader.uint24(), reader.uint32()]).toEqual([
    255, 0xfffe, 0xfffffd, 0xfffffffc,
  ]);
  expect(reader.uint64()).toBe(2n ** 63n);
  expect(reader.nullTerminated().toString()).toBe('naïve');
  expect(reader.skip(3).rest().toString()).toBe('rest');
  expect(reader.remaining).toBe(0);
});

test('a writer grows, and bytes it gave away stay as they were', () => {
  const writer = new PacketWriter();
  const taken: Buffer[] = [];
  for (let index = 0; index < 200; index++) {
    writer.packet(index, Buffer.alloc(index * 7, index));
    if (index % 3 === 0) taken.push(writer.take());
  }
  taken.push(writer.take());
  const reader = new PacketReader(Buffer.concat(taken));

  for (let index = 0; index < 200; index++) {
    expect([reader.uint24(), reader.uint8()]).toEqual([index * 7, index]);
    expect(reader.bytes(index * 7).every((byte) => byte === index)).toBe(true);
  }
  expect(reader.remaining).toBe(0);
});
