import { describe, expect, test } from 'vitest';
import { BinaryRows, writeBinaryValue } from '../../../src/wire/binary-row.ts';
import * as types from '../../../src/wire/column-types.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import { encodeTextRow } from '../../../src/wire/result-set-packets.ts';

describe('a value of the binary protocol', () => {
  test.each<[string, number, string]>([
    ['-128', types.MYSQL_TYPE_TINY, '80'],
    ['255', types.MYSQL_TYPE_TINY, 'ff'],
    ['-1', types.MYSQL_TYPE_SHORT, 'ffff'],
    ['2024', types.MYSQL_TYPE_YEAR, 'e807'],
    ['00007', types.MYSQL_TYPE_LONG, '07000000'],
    ['-8388608', types.MYSQL_TYPE_INT24, '000080ff'],
    ['-9223372036854775808', types.MYSQL_TYPE_LONGLONG, '0000000000000080'],
    ['18446744073709551615', types.MYSQL_TYPE_LONGLONG, 'ffffffffffffffff'],
    ['0.1', types.MYSQL_TYPE_DOUBLE, '9a9999999999b93f'],
    ['10.50', types.MYSQL_TYPE_NEWDECIMAL, '0531302e3530'],
    ['0000-00-00', types.MYSQL_TYPE_DATE, '00'],
    ['2024-02-29', types.MYSQL_TYPE_DATE, '04e807021d'],
    ['0000-00-00 00:00:00', types.MYSQL_TYPE_DATETIME, '00'],
    ['2024-02-29 00:00:00', types.MYSQL_TYPE_DATETIME, '04e807021d'],
    ['2024-02-29 00:00:00.000000', types.MYSQL_TYPE_TIMESTAMP, '04e807021d'],
    ['2024-02-29 01:02:03', types.MYSQL_TYPE_DATETIME, '07e807021d010203'],
    ['2024-02-29 00:00:00.5', types.MYSQL_TYPE_DATETIME, '0be807021d00000020a10700'],
    ['00:00:00', types.MYSQL_TYPE_TIME, '00'],
    ['-00:00:01', types.MYSQL_TYPE_TIME, '08010000000000' + '0001'],
    ['838:59:59', types.MYSQL_TYPE_TIME, '080022000000163b3b'],
    ['-838:59:58.000001', types.MYSQL_TYPE_TIME, '0c0122000000163b3a01000000'],
    ['häß', types.MYSQL_TYPE_VAR_STRING, '0568c3a4c39f'],
  ])('%s of type %d', (text, type, hex) => {
    const writer = new PacketWriter();

    writeBinaryValue(type, Buffer.from(text), writer);

    expect(writer.take().toString('hex')).toBe(hex);
  });

  test.each<[string, number]>([
    ['1.5', types.MYSQL_TYPE_LONG],
    ['', types.MYSQL_TYPE_LONGLONG],
    ['29.2.2024', types.MYSQL_TYPE_DATE],
    ['noon', types.MYSQL_TYPE_TIME],
  ])('%s is none of type %d', (text, type) => {
    expect(() => writeBinaryValue(type, Buffer.from(text), new PacketWriter())).toThrow('none');
  });
});

test('NULLs are bits from the third on', () => {
  const columns = Array.from({ length: 9 }, () => ({ type: types.MYSQL_TYPE_TINY }));
  const rows = new BinaryRows(columns);
  const text = (values: readonly (string | undefined)[]): Buffer => {
    const writer = new PacketWriter();
    encodeTextRow(values, writer);
    return writer.take();
  };

  const all = rows.row(text(columns.map(() => undefined)));
  const some = rows.row(text([undefined, '1', '1', '1', '1', '1', undefined, '1', '2']));

  expect(all.toString('hex')).toBe('00fc07');
  expect(some.toString('hex')).toBe('000401' + '01010101010102');
  expect(() => rows.row(text(['1']))).toThrow('no field 1');
});
