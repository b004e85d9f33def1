import { describe, expect, test } from 'vitest';
import {
  COLLATION_BINARY,
  MYSQL_TYPE_LONGLONG,
  NOT_NULL_FLAG,
  PRI_KEY_FLAG,
} from '../../../src/wire/column-types.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import {
  decodeColumnCount,
  decodeColumnDefinition,
  decodeTextRow,
  encodeColumnCount,
  encodeColumnDefinition,
  encodeTextRow,
  TextRowCursor,
  textRowField,
} from '../../../src/wire/result-set-packets.ts';

const LENGTHS = [0, 1, 250, 251, 65_535, 65_536, 0x1000000];

test('a column definition comes back as it was written', () => {
  const column = {
    catalog: 'def',
    schema: 'shop',
    table: 'u',
    orgTable: 'users',
    name: 'größe',
    orgName: 'id',
    collationId: COLLATION_BINARY,
    columnLength: 20,
    type: MYSQL_TYPE_LONGLONG,
    flags: NOT_NULL_FLAG | PRI_KEY_FLAG,
    decimals: 0,
  };
  const payload = written((writer) => encodeColumnDefinition(column, writer));

  expect(payload.toString('hex')).toBe(
    '03646566' +
      '0473686f70' +
      '0175' +
      '057573657273' +
      '076772c3b6c39f65' +
      '026964' +
      '0c' +
      '3f00' +
      '14000000' +
      '08' +
      '0300' +
      '00' +
      '0000',
  );
  expect(decodeColumnDefinition(payload)).toEqual(column);
  for (let cut = 0; cut < payload.length - 2; cut++) {
    expect(() => decodeColumnDefinition(payload.subarray(0, cut))).toThrow(
      expect.objectContaining({ name: 'MalformedPacket' }),
    );
  }
});

test.each([1, 250, 251, 4096])('a count of %i columns', (count) => {
  expect(decodeColumnCount(written((writer) => encodeColumnCount(count, writer)))).toBe(count);
});

describe('text rows', () => {
  test.each(LENGTHS)('a field of %i bytes between others', (length) => {
    const value = Buffer.alloc(length, 0xfb);
    const row = written((writer) => encodeTextRow(['é', undefined, value, ''], writer));

    const fields = decodeTextRow(row);

    // Buffer.equals, since comparing 16 MiB element by element exhausts the test runner.
    expect(fields.map((field) => field?.length)).toEqual([2, undefined, length, 0]);
    expect(fields[2]?.equals(value)).toBe(true);
    expect(textRowField(row, 1)).toBeUndefined();
    expect(textRowField(row, 2)?.equals(value)).toBe(true);
    expect(textRowField(row, 3)).toEqual(Buffer.alloc(0));
    expect(() => textRowField(row, 4)).toThrow('no field 4');
  });

  test('a cursor gives positions from which a row can be cut', () => {
    const row = written((writer) => encodeTextRow(['a', undefined, 'x'.repeat(300), 'z'], writer));
    const cursor = new TextRowCursor(Buffer.alloc(0)).open(row);
    const seen: (readonly [number, number, number, boolean])[] = [];
    while (cursor.advance()) {
      seen.push([cursor.fieldStart, cursor.start, cursor.end, cursor.isNull]);
    }

    expect(seen).toEqual([
      [0, 1, 2, false],
      [2, 3, 3, true],
      [3, 6, 306, false],
      [306, 307, 308, false],
    ]);
  });

  test('a row that ends within a field is refused', () => {
    const row = written((writer) => encodeTextRow(['x'.repeat(300)], writer));
    for (let cut = 1; cut < row.length; cut += 7) {
      expect(() => textRowField(row.subarray(0, cut), 0)).toThrow(
        expect.objectContaining({ name: 'MalformedPacket' }),
      );
    }
  });
});

function written(encode: (writer: PacketWriter) => void): Buffer {
  const writer = new PacketWriter();
  encode(writer);
  return writer.take();
}
