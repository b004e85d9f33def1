import { expect, test } from 'vitest';
import * as types from '../../../src/wire/column-types.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import {
  decodeExecute,
  decodePrepareOk,
  encodeExecute,
  encodePrepareOk,
  type Parameter,
} from '../../../src/wire/statement-packets.ts';

const NONE = { types: undefined, longData: new Map<number, Buffer>() };

const PARAMETERS: readonly Parameter[] = [
  { type: types.MYSQL_TYPE_TINY, unsigned: true, bytes: Buffer.from([200]) },
  { type: types.MYSQL_TYPE_LONGLONG, unsigned: false, bytes: Buffer.alloc(8, 1) },
  { type: types.MYSQL_TYPE_VAR_STRING, unsigned: false, bytes: undefined },
  { type: types.MYSQL_TYPE_DOUBLE, unsigned: false, bytes: Buffer.alloc(8, 2) },
  { type: types.MYSQL_TYPE_DATETIME, unsigned: false, bytes: Buffer.from([0xe8, 7, 2, 29]) },
  { type: types.MYSQL_TYPE_TIME, unsigned: false, bytes: Buffer.alloc(0) },
  { type: types.MYSQL_TYPE_BLOB, unsigned: false, bytes: Buffer.alloc(250, 7) },
  { type: types.MYSQL_TYPE_BLOB, unsigned: false, bytes: Buffer.alloc(251, 7) },
  { type: types.MYSQL_TYPE_BLOB, unsigned: false, bytes: Buffer.alloc(70_000, 7) },
];

test('an execution comes back as it was written', () => {
  const command = encodeExecute(7, PARAMETERS);
  const decoded = decodeExecute(command, { count: PARAMETERS.length, ...NONE });

  expect(command.readUInt32LE(1)).toBe(7);
  expect(decoded.parameters).toEqual(PARAMETERS);
  expect(encodeExecute(7, []).length).toBe(10);
  expect(decodeExecute(encodeExecute(7, []), { count: 0, ...NONE }).parameters).toEqual([]);
});

test('types of before serve an execution without', () => {
  const [first] = PARAMETERS as [Parameter];
  const command = encodeExecute(1, [first]);
  const untyped = Buffer.concat([command.subarray(0, 11), Buffer.from([0]), command.subarray(14)]);

  const again = decodeExecute(untyped, { ...NONE, count: 1, types: [first] });

  expect(again.parameters).toEqual([first]);
  expect(() => decodeExecute(untyped, { count: 1, ...NONE })).toThrow('without their types');
});

test('long data stands for a value that is not in the command', () => {
  const long = Buffer.from('long');
  const [first] = PARAMETERS as [Parameter];
  const command = encodeExecute(1, [first, { ...first, bytes: undefined }]);

  const { parameters } = decodeExecute(command, {
    ...NONE,
    count: 2,
    longData: new Map([[1, long]]),
  });

  expect(parameters[1]).toEqual({
    type: types.MYSQL_TYPE_VAR_STRING,
    unsigned: false,
    bytes: long,
  });
});

test('a command that is cut anywhere is malformed', () => {
  const command = encodeExecute(1, PARAMETERS.slice(0, 7));
  for (let length = 1; length < command.length; length++) {
    expect(
      () => decodeExecute(command.subarray(0, length), { count: 7, ...NONE }),
      `${length}`,
    ).toThrow();
  }
});

test('the answer to PREPARE comes back as it was written', () => {
  const ok = { statementId: 0x01020304, columnCount: 300, parameterCount: 2, warningCount: 1 };
  const writer = new PacketWriter();
  encodePrepareOk(ok, writer);
  const payload = writer.take();

  expect(payload.toString('hex')).toBe('00040302012c01020000' + '0100');
  expect(decodePrepareOk(payload)).toEqual(ok);
});
