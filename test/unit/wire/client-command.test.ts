import { expect, test } from 'vitest';
import { type ClientCommand, decodeClientCommand } from '../../../src/wire/client-command.ts';

test.each<[string, ClientCommand]>([
  ['0353454c', { kind: 'query', text: Buffer.from('SEL') }],
  ['03', { kind: 'query', text: Buffer.alloc(0) }],
  ['0e', { kind: 'ping' }],
  ['01', { kind: 'quit' }],
  ['09', { kind: 'statistics' }],
  ['1f', { kind: 'reset-connection' }],
  ['0273686f70', { kind: 'init-db', database: Buffer.from('shop') }],
  ['047500', { kind: 'field-list', table: Buffer.from('u'), wildcard: Buffer.alloc(0) }],
  ['04750025', { kind: 'field-list', table: Buffer.from('u'), wildcard: Buffer.from('%') }],
  ['1b0100', { kind: 'set-option', option: 1 }],
  ['0c01020000', { kind: 'process-kill', threadId: 513 }],
  ['1100', { kind: 'change-user', payload: Buffer.from([0x11, 0]) }],
  ['1653454c', { kind: 'prepare', text: Buffer.from('SEL') }],
  ['170201000000', { kind: 'execute', statementId: 258 }],
  [
    '180100000002006869',
    { kind: 'long-data', statementId: 1, parameter: 2, data: Buffer.from('hi') },
  ],
  ['1901000000', { kind: 'close-statement', statementId: 1 }],
  ['1a01000000', { kind: 'reset-statement', statementId: 1 }],
  ['1c0100000005000000', { kind: 'fetch', statementId: 1 }],
  ['1d', { kind: 'unknown', command: 0x1d }],
  ['fe', { kind: 'unknown', command: 0xfe }],
])('%s', (payload, command) => {
  expect(decodeClientCommand(Buffer.from(payload, 'hex'))).toEqual(command);
});

test.each(['', '1b01', '0c0102', '0475', '17010000', '180100000001'])(
  '"%s" is refused',
  (payload) => {
    expect(() => decodeClientCommand(Buffer.from(payload, 'hex'))).toThrow(
      expect.objectContaining({ name: 'MalformedPacket' }),
    );
  },
);
