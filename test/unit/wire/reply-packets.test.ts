import { describe, expect, test } from 'vitest';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import {
  decodeEof,
  decodeErr,
  decodeOk,
  encodeEof,
  encodeErr,
  encodeOk,
  isEof,
} from '../../../src/wire/reply-packets.ts';

describe('OK', () => {
  test.each([
    [
      { affectedRows: 0, lastInsertId: 0, statusFlags: 2, warningCount: 0, info: '' },
      '00000002000000',
    ],
    [
      {
        affectedRows: 251,
        lastInsertId: 2n ** 63n,
        statusFlags: 0x4003,
        warningCount: 1,
        info: 'hi',
      },
      '00fcfb00fe00000000000000800340010002' + '6869',
    ],
  ])('%o', (ok, bytes) => {
    const payload = written((writer) => encodeOk(ok, writer));

    expect(payload.toString('hex')).toBe(bytes);
    expect(decodeOk(payload)).toEqual(ok);
  });
});

describe('ERR', () => {
  const err = { errno: 1045, sqlState: '28000', message: 'Access denied für anna' };

  test('comes back as it was written', () => {
    const payload = written((writer) => encodeErr(err, writer));
    expect(payload.toString('hex', 0, 9)).toBe('ff1504233238303030');
    expect(decodeErr(payload)).toEqual(err);
  });

  test('before the login it has no SQLSTATE', () => {
    const payload = written((writer) => encodeErr(err, writer, { beforeLogin: true }));
    expect(payload.toString('utf8', 3)).toBe(err.message);
    expect(decodeErr(payload)).toEqual({ ...err, sqlState: 'HY000' });
  });
});

test('EOF is told from a row that begins with the same byte', () => {
  const payload = written((writer) => encodeEof({ warningCount: 258, statusFlags: 34 }, writer));

  expect(payload.toString('hex')).toBe('fe02012200');
  expect(decodeEof(payload)).toEqual({ warningCount: 258, statusFlags: 34 });
  expect(isEof(payload)).toBe(true);
  expect(isEof(Buffer.from([0xfe, 0, 0, 0, 1, 0, 0, 0, 0]))).toBe(false);
});

function written(encode: (writer: PacketWriter) => void): Buffer {
  const writer = new PacketWriter();
  encode(writer);
  return writer.take();
}
