import { describe, expect, test } from 'vitest';
import { HeldReply } from '../../../src/session/held-reply.ts';
import { integerColumn, textColumn } from '../../../src/session/local-rows.ts';
import { ResultWriter } from '../../../src/session/result-writer.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import { decodeErr, decodeOk, encodeOk } from '../../../src/wire/reply-packets.ts';
import { decodeTextRow } from '../../../src/wire/result-set-packets.ts';
import { packet, ScriptedClient } from './scripted-client.ts';

const ERROR = { errno: 1317, sqlState: '70100', message: 'interrupted' };

function writer(statusFlags = 2) {
  const client = new ScriptedClient();
  const reply = new ResultWriter(client, () => statusFlags);
  reply.begin(1);
  return { client, reply };
}

/** Column count, two definitions, EOF, rows, EOF: only headers matter here. */
const RELAYED = Buffer.concat([
  packet(1, Buffer.from([2])),
  packet(2, 'def1'),
  packet(3, 'def2'),
  packet(4, Buffer.from('fe00000200', 'hex')),
  packet(5, '\x01a\x01b'),
  packet(6, '\x01c\x01d'),
  packet(7, Buffer.from('fe00000200', 'hex')),
]);

test('an OK bears the session status and the number of the reply', () => {
  const { client, reply } = writer(3);
  reply.ok({ affectedRows: 5, lastInsertId: 2n ** 60n, warningCount: 1, info: 'Records: 5' });

  const [sent] = client.packets();
  expect(sent?.sequence).toBe(1);
  expect(decodeOk(sent?.payload ?? Buffer.alloc(0))).toEqual({
    affectedRows: 5,
    lastInsertId: 2n ** 60n,
    statusFlags: 3,
    warningCount: 1,
    info: 'Records: 5',
  });
});

test('a result of our own is one write, numbered through', () => {
  const { client, reply } = writer();
  reply.localRows({
    columns: [textColumn('name'), integerColumn('n')],
    rows: [
      ['ä', '1'],
      [undefined, '2'],
    ],
  });

  expect(client.writes).toBe(1);
  expect(client.packets().map((sent) => sent.sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(decodeTextRow(client.packets()[4]?.payload ?? Buffer.alloc(0))).toEqual([
    Buffer.from('ä'),
    Buffer.from('1'),
  ]);
  expect(decodeTextRow(client.packets()[5]?.payload ?? Buffer.alloc(0))[0]).toBeUndefined();
});

describe('relayed bytes', () => {
  test('pass as they are, and their rows are counted, wherever they are cut', () => {
    for (let cut = 0; cut <= RELAYED.length; cut++) {
      const { client, reply } = writer();
      reply.relay(RELAYED.subarray(0, cut));
      reply.relay(RELAYED.subarray(cut));
      expect(client.written.equals(RELAYED)).toBe(true);
      expect(reply.relayedRows, `cut at ${cut}`).toBe(2);
    }
  });

  test('an ERR ends them between two packets with the next number, and never within one', () => {
    const boundaries = new Map<number, number>();
    for (let at = 0, sequence = 1; at < RELAYED.length; sequence++) {
      at += 4 + RELAYED.readUIntLE(at, 3);
      boundaries.set(at, sequence + 1);
    }
    for (let cut = 1; cut <= RELAYED.length; cut++) {
      const { client, reply } = writer();
      for (let at = 0; at < cut; at++) reply.relay(RELAYED.subarray(at, at + 1));
      const expected = boundaries.get(cut);
      expect(reply.err(ERROR), `cut at ${cut}`).toBe(expected !== undefined);
      if (expected === undefined) continue;
      expect(client.packets().at(-1)?.sequence).toBe(expected);
      expect(decodeErr(client.packets().at(-1)?.payload ?? Buffer.alloc(0))).toEqual(ERROR);
    }
  });

  test('nor behind a packet of 16 MiB, whose continuation is to come', () => {
    const { reply } = writer();
    reply.relay(Buffer.concat([Buffer.from('ffffff01', 'hex'), Buffer.alloc(0xffffff)]));

    expect(reply.err(ERROR)).toBe(false);
  });
});

describe('an error of a shard that is told in other words', () => {
  const other = { errno: 3024, sqlState: 'HY000', message: 'too long' };
  const interrupted = Buffer.concat([Buffer.from('ff2505', 'hex'), Buffer.from('#70100stop')]);

  test.each([
    ['alone', Buffer.alloc(0), 1],
    ['behind rows in the same chunk', RELAYED.subarray(0, -9), 7],
  ])('%s', (_title, before, sequence) => {
    const { client, reply } = writer();
    reply.replaceError(1317, other);
    reply.relay(Buffer.concat([before, packet(sequence, interrupted)]));

    expect(client.written.subarray(0, before.length).equals(before)).toBe(true);
    expect(client.packets().at(-1)?.sequence).toBe(sequence);
    expect(decodeErr(client.packets().at(-1)?.payload ?? Buffer.alloc(0))).toEqual(other);
  });

  test('leaves every other reply alone, and the next statement too', () => {
    const { client, reply } = writer();
    reply.replaceError(1317, other);
    reply.relay(RELAYED);
    expect(client.written.equals(RELAYED)).toBe(true);
    reply.begin(1);
    reply.relay(packet(1, interrupted));
    expect(decodeErr(client.packets().at(-1)?.payload ?? Buffer.alloc(0)).errno).toBe(1317);
  });
});

test('sequence numbers wrap at 255', () => {
  const { client, reply } = writer();
  reply.begin(255);
  reply.localRows({ columns: [integerColumn('n')], rows: [] });

  expect(client.packets().map((sent) => sent.sequence)).toEqual([255, 0, 1, 2]);
});

describe('a reply that is held back', () => {
  test('is sent only after the commit, with the status of the session instead of the shard', () => {
    const { client, reply } = writer(2);
    const held = new HeldReply(reply);
    const ok = { affectedRows: 3, lastInsertId: 0, warningCount: 0, info: '' };
    const shard = new PacketWriter().startPacket(1);
    encodeOk({ ...ok, statusFlags: 3 }, shard);
    shard.endPacket();
    held.relay(shard.take());

    expect(client.written).toHaveLength(0);
    held.send();
    expect(decodeOk(client.packets()[0]?.payload ?? Buffer.alloc(0))).toEqual({
      ...ok,
      statusFlags: 2,
    });
  });

  test('that is an error of the shard goes out unchanged', () => {
    const { client, reply } = writer();
    const held = new HeldReply(reply);
    const error = packet(
      1,
      Buffer.concat([Buffer.from([0xff, 0x26, 0x04]), Buffer.from('#23000dup')]),
    );
    held.relay(error);

    expect(held.sendError()).toBe(true);
    expect(client.written.equals(error)).toBe(true);
  });

  test('that is no error is not sent as one', () => {
    const { client, reply } = writer();
    const held = new HeldReply(reply);
    held.ok({ affectedRows: 1, lastInsertId: 0, warningCount: 0, info: '' });

    expect(held.sendError()).toBe(false);
    expect(client.written).toHaveLength(0);
  });
});
