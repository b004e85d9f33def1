import { describe, expect, test } from 'vitest';
import { Framer, framePayload } from '../../../src/wire/framer.ts';
import { PacketWriter } from '../../../src/wire/packet-writer.ts';

const LIMIT = { packetBytesMax: 64 * 1024 * 1024 };

describe('framing', () => {
  test.each([
    [0, ['000000 05']],
    [1, ['010000 05']],
    [0xfffffe, ['feffff 05']],
    [0xffffff, ['ffffff 05', '000000 06']],
    [0x1000000, ['ffffff 05', '010000 06']],
    [2 * 0xffffff, ['ffffff 05', 'ffffff 06', '000000 07']],
  ])('a payload of %i bytes', (length, headers) => {
    const payload = Buffer.alloc(length, 0x61);
    const frames = framePayload(payload, 5);
    const framer = new Framer(LIMIT);
    framer.push(Buffer.concat(frames));

    expect(frames.filter((_, index) => index % 2 === 0).map(hex)).toEqual(headers);
    expect(framer.next()?.equals(payload)).toBe(true);
    expect([framer.firstSequence, framer.sequence]).toEqual([5, 4 + headers.length]);
    expect(framer.next()).toBeUndefined();
  });

  test('a writer splits a long packet the same way', () => {
    const payload = Buffer.alloc(0xffffff + 3, 0x62);
    const writer = new PacketWriter();
    writer.packet(0, Buffer.from('before'));
    const next = writer.packet(255, payload);
    const framer = new Framer(LIMIT);
    framer.push(writer.take());

    expect(next).toBe(1);
    expect(framer.next()?.toString()).toBe('before');
    expect(framer.next()?.equals(payload)).toBe(true);
  });

  test('payloads come out whole wherever the stream is cut', () => {
    const writer = new PacketWriter();
    const payloads = ['', 'a', 'bcd', 'x'.repeat(300)];
    for (const [index, text] of payloads.entries()) writer.packet(index, Buffer.from(text));
    const stream = writer.take();

    for (let cut = 0; cut <= stream.length; cut++) {
      const framer = new Framer(LIMIT);
      const seen: string[] = [];
      for (const chunk of [stream.subarray(0, cut), stream.subarray(cut)]) {
        framer.push(chunk);
        for (let next = framer.next(); next; next = framer.next()) seen.push(next.toString());
      }
      expect(seen).toEqual(payloads);
    }
  });

  test('a payload that was handed out is not overwritten by later chunks', () => {
    const writer = new PacketWriter();
    for (let index = 0; index < 50; index++) writer.packet(0, Buffer.from(`payload ${index}`));
    const framer = new Framer(LIMIT);
    const seen: Buffer[] = [];
    for (const byte of writer.take()) {
      framer.push(Buffer.from([byte]));
      const next = framer.next();
      if (next) seen.push(next);
    }

    expect(seen.map(String)).toEqual(Array.from({ length: 50 }, (_, index) => `payload ${index}`));
  });

  test('a claimed length beyond the limit is refused from its header alone', () => {
    const framer = new Framer({ packetBytesMax: 100 });
    framer.push(Buffer.from([101, 0, 0, 0]));

    expect(() => framer.next()).toThrow(
      expect.objectContaining({ code: 'ER_NET_PACKET_TOO_LARGE' }),
    );
  });

  test('continuations count towards the limit', () => {
    const framer = new Framer({ packetBytesMax: 0xffffff + 9 });
    framer.push(Buffer.concat([Buffer.from([255, 255, 255, 0]), Buffer.alloc(0xffffff)]));
    expect(framer.next()).toBeUndefined();
    framer.push(Buffer.from([10, 0, 0, 1]));

    expect(() => framer.next()).toThrow(
      expect.objectContaining({ code: 'ER_NET_PACKET_TOO_LARGE' }),
    );
  });

  test('a continuation with the wrong number is refused', () => {
    const framer = new Framer(LIMIT);
    framer.push(Buffer.concat([Buffer.from([255, 255, 255, 0]), Buffer.alloc(0xffffff)]));
    framer.push(Buffer.from([0, 0, 0, 2]));

    expect(() => framer.next()).toThrow(
      expect.objectContaining({ code: 'ER_NET_PACKETS_OUT_OF_ORDER' }),
    );
  });

  test('a large claim costs no memory until its bytes come', () => {
    const framer = new Framer(LIMIT);
    framer.push(Buffer.from([0xfe, 0xff, 0xff, 0, 1]));

    expect(framer.next()).toBeUndefined();
    expect(framer.bufferedBytes).toBe(5);
  });

  test('what follows an SSLRequest is left for TLS', () => {
    const framer = new Framer(LIMIT);
    framer.push(Buffer.from([1, 0, 0, 1, 0x41, 0x16, 0x03]));

    expect(framer.next()?.toString()).toBe('A');
    expect(framer.takeRemainder()).toEqual(Buffer.from([0x16, 0x03]));
    expect(framer.bufferedBytes).toBe(0);
  });
});

function hex(header: Buffer): string {
  return `${header.toString('hex', 0, 3)} ${header.toString('hex', 3)}`;
}
