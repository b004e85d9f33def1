import { describe, expect, test } from 'vitest';
import * as flags from '../../../src/wire/flags.ts';
import { framePayload } from '../../../src/wire/framer.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';
import { encodeEof, encodeErr, encodeOk } from '../../../src/wire/reply-packets.ts';
import {
  REPLY_GOES_ON,
  type ReplyFacts,
  ReplyScanner,
  type ReplyShape,
  replyShapeOf,
} from '../../../src/wire/reply-scanner.ts';

type Encode = (writer: PacketWriter) => void;

const AUTOCOMMIT = flags.SERVER_STATUS_AUTOCOMMIT;
const MORE = AUTOCOMMIT | flags.SERVER_MORE_RESULTS_EXISTS;

describe('the end of a reply is found wherever the chunks are cut', () => {
  const replies: readonly {
    readonly title: string;
    readonly shape?: ReplyShape;
    readonly packets: readonly Encode[];
    readonly facts: Partial<ReplyFacts>;
  }[] = [
    {
      title: 'OK',
      packets: [okPacket({ affectedRows: 3, lastInsertId: 70_000, warningCount: 2, info: 'Rows' })],
      facts: { kind: 'ok', affectedRows: 3, lastInsertId: 70_000, warningCount: 2, info: 'Rows' },
    },
    {
      title: 'ERR',
      packets: [errPacket(1146, '42S02', "Table 'a.b' doesn't exist")],
      facts: {
        kind: 'error',
        error: { errno: 1146, sqlState: '42S02', message: "Table 'a.b' doesn't exist" },
      },
    },
    { title: 'EOF alone', packets: [eofPacket()], facts: { kind: 'ok', statusFlags: AUTOCOMMIT } },
    {
      title: 'rows',
      packets: [
        raw([1]),
        raw([3, 100, 101, 102]),
        eofPacket(),
        raw([1, 65]),
        raw([0xfb]),
        eofPacket(7),
      ],
      facts: { kind: 'rows', warningCount: 7, statusFlags: AUTOCOMMIT },
    },
    {
      title: 'no rows',
      packets: [raw([1]), raw([3, 100, 101, 102]), eofPacket(), eofPacket()],
      facts: { kind: 'rows' },
    },
    {
      title: 'an error among rows',
      packets: [
        raw([1]),
        raw([3, 1, 1, 1]),
        eofPacket(),
        raw([1, 65]),
        errPacket(1317, '70100', 'x'),
      ],
      facts: { kind: 'error' },
    },
    {
      title: 'several results',
      packets: [
        okPacket({ statusFlags: MORE }),
        raw([1]),
        raw([3, 1, 1, 1]),
        eofPacket(0, MORE),
        raw([1, 65]),
        eofPacket(0, MORE),
        okPacket({ affectedRows: 5 }),
      ],
      facts: { kind: 'ok', affectedRows: 5 },
    },
    {
      title: 'a row that begins like an EOF and is longer',
      packets: [
        raw([1]),
        raw([3]),
        eofPacket(),
        raw([0xfe, 1, 0, 0, 0, 0, 0, 0, 0, 65]),
        eofPacket(),
      ],
      facts: { kind: 'rows' },
    },
    {
      title: 'COM_FIELD_LIST',
      shape: 'field-list',
      packets: [raw([3, 1, 1, 1]), raw([3, 2, 2, 2]), eofPacket()],
      facts: { kind: 'rows' },
    },
    { title: 'COM_STATISTICS', shape: 'text', packets: [raw([85])], facts: { kind: 'ok' } },
    {
      title: 'a prepared statement with parameters and columns',
      shape: 'prepare',
      packets: [
        raw([0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 3, 0]),
        raw([3, 1]),
        raw([3, 2]),
        eofPacket(),
        raw([3, 3]),
        eofPacket(),
      ],
      facts: { kind: 'ok', warningCount: 3 },
    },
    {
      title: 'a prepared statement with neither',
      shape: 'prepare',
      packets: [raw([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
      facts: { kind: 'ok' },
    },
    {
      title: 'a statement that cannot be prepared',
      shape: 'prepare',
      packets: [errPacket(1064, '42000', 'syntax')],
      facts: { kind: 'error' },
    },
  ];

  test.each(replies)('$title', ({ shape = 'result', packets, facts }) => {
    const reply = numbered(packets);
    // What follows belongs to the next reply and must not be looked at.
    const stream = Buffer.concat([reply, Buffer.from([0xde, 0xad, 0xbe, 0xef, 0xff])]);
    const scanner = new ReplyScanner();

    for (let first = 0; first <= reply.length; first++) {
      for (let second = first; second <= reply.length; second++) {
        const cuts = [
          stream.subarray(0, first),
          stream.subarray(first, second),
          stream.subarray(second),
        ];
        scanner.start(shape);
        expect([first, second, consumed(scanner, cuts)]).toEqual([first, second, reply.length]);
        expect(scanner.facts).toMatchObject(facts);
      }
    }
  });

  test('byte by byte', () => {
    for (const { shape = 'result', packets, facts } of replies) {
      const reply = numbered(packets);
      const scanner = new ReplyScanner();
      scanner.start(shape);

      expect(
        consumed(
          scanner,
          [...reply].map((byte) => Buffer.from([byte])),
        ),
      ).toBe(reply.length);
      expect(scanner.facts).toMatchObject(facts);
    }
  });
});

describe('packets of 16 MiB', () => {
  const head = numbered([raw([1]), raw([3, 1, 1, 1]), eofPacket()]);

  test.each([
    ['one byte less than a full packet', 0xfffffe],
    ['exactly one full packet and an empty one', 0xffffff],
    ['two full packets and a rest that looks like an error', 2 * 0xffffff + 5],
  ])('%s is one row', (_title, length) => {
    const frames = framePayload(Buffer.alloc(length, 0xff).fill(0xfe, 0, 1), 4);
    const eof = numbered([eofPacket(1)], 4 + frames.length / 2);
    const reply = Buffer.concat([head, ...frames, eof]);
    const scanner = new ReplyScanner();

    for (const chunkBytes of [reply.length, 65_536, 1_000_003]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < reply.length; at += chunkBytes) {
        chunks.push(reply.subarray(at, at + chunkBytes));
      }
      scanner.start('result');
      expect(consumed(scanner, chunks)).toBe(reply.length);
      expect(scanner.facts).toMatchObject({ kind: 'rows', warningCount: 1 });
    }
  });
});

test('the reply to a command of several packets goes on numbering behind them', () => {
  const reply = numbered([raw([1]), raw([3, 1, 1, 1]), eofPacket(), eofPacket()], 2);
  const scanner = new ReplyScanner();
  scanner.start('result', 2);

  expect(scanner.feed(reply, 0)).toBe(reply.length);
});

describe('bytes that are no reply are refused', () => {
  test.each([
    ['a packet out of order', Buffer.from([1, 0, 0, 2, 1])],
    ['a request for a local file', Buffer.from([2, 0, 0, 1, 0xfb, 65])],
    ['an empty packet', Buffer.from([0, 0, 0, 1, 0])],
    ['an OK that ends within a field', Buffer.from([3, 0, 0, 1, 0, 0, 0])],
    ['an error of a megabyte', Buffer.from([0, 0, 16, 1, 0xff, 1])],
  ])('%s', (_title, bytes) => {
    const scanner = new ReplyScanner();
    scanner.start('result');

    expect(() => scanner.feed(bytes, 0)).toThrow(
      expect.objectContaining({ name: 'MalformedPacket' }),
    );
  });
});

test('a scanner serves the replies of pipelined commands one after the other', () => {
  const stream = Buffer.concat([numbered([okPacket({})]), numbered([errPacket(1, 'HY000', 'no')])]);
  const scanner = new ReplyScanner();

  scanner.start('result');
  const first = scanner.feed(stream, 0);
  expect(scanner.facts.kind).toBe('ok');
  scanner.start('result');
  expect(scanner.feed(stream, first)).toBe(stream.length);
  expect(scanner.facts.kind).toBe('error');
});

test('only commands that have an answer await one', () => {
  expect(replyShapeOf(flags.COM_QUERY)).toBe('result');
  expect(replyShapeOf(flags.COM_STMT_CLOSE)).toBe('none');
  expect(replyShapeOf(flags.COM_STATISTICS)).toBe('text');
});

function consumed(scanner: ReplyScanner, chunks: readonly Buffer[]): number {
  let before = 0;
  for (const chunk of chunks) {
    const end = scanner.feed(chunk, 0);
    if (end !== REPLY_GOES_ON) return before + end;
    before += chunk.length;
  }
  return REPLY_GOES_ON;
}

function numbered(packets: readonly Encode[], first = 1): Buffer {
  const writer = new PacketWriter();
  let sequence = first;
  for (const encode of packets) {
    encode(writer.startPacket(sequence));
    sequence = writer.endPacket();
  }
  return writer.take();
}

function raw(bytes: readonly number[]): Encode {
  return (writer) => writer.bytes(Buffer.from(bytes));
}

function okPacket(ok: Partial<Parameters<typeof encodeOk>[0]>): Encode {
  const plain = {
    affectedRows: 0,
    lastInsertId: 0,
    statusFlags: AUTOCOMMIT,
    warningCount: 0,
    info: '',
  };
  return (writer) => encodeOk({ ...plain, ...ok }, writer);
}

function errPacket(errno: number, sqlState: string, message: string): Encode {
  return (writer) => encodeErr({ errno, sqlState, message }, writer);
}

function eofPacket(warningCount = 0, statusFlags = AUTOCOMMIT): Encode {
  return (writer) => encodeEof({ warningCount, statusFlags }, writer);
}
