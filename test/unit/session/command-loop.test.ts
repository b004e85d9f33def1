import { expect, test } from 'vitest';
import { CommandLoop } from '../../../src/session/command-loop.ts';
import { packet, ScriptedClient } from './scripted-client.ts';

function loop() {
  const client = new ScriptedClient();
  const handled: string[] = [];
  const broken: string[] = [];
  const commands = new CommandLoop({
    transport: client,
    handle: (payload, sequence) => handled.push(`${payload.toString()}/${sequence}`),
    broken: (error) => broken.push(String(error)),
  });
  commands.expectCommands({ packetBytesMax: 1 << 20 });
  return { client, commands, handled, broken };
}

test('a command waits for the reply of the one before, however many were sent ahead', () => {
  const { commands, handled } = loop();
  commands.onBytes(Buffer.concat([packet(0, 'a'), packet(0, 'b'), packet(0, 'c')]));

  expect(handled).toEqual(['a/1']);
  commands.done();
  expect(handled).toEqual(['a/1', 'b/1']);
  commands.done();
  commands.done();
  expect(handled).toEqual(['a/1', 'b/1', 'c/1']);
});

test('bytes cut anywhere make the same commands', () => {
  const bytes = Buffer.concat([packet(0, 'first'), packet(0, 'second')]);
  for (let cut = 1; cut < bytes.length; cut++) {
    const { commands, handled } = loop();
    commands.onBytes(bytes.subarray(0, cut));
    commands.onBytes(bytes.subarray(cut));
    commands.done();
    expect(handled).toEqual(['first/1', 'second/1']);
  }
});

test('a thousand commands answered at once do not pile up on the stack', () => {
  const client = new ScriptedClient();
  let count = 0;
  const commands: CommandLoop = new CommandLoop({
    transport: client,
    handle: () => {
      count++;
      commands.done();
    },
    broken: () => {},
  });
  commands.expectCommands({ packetBytesMax: 1 << 20 });

  commands.onBytes(Buffer.concat(Array.from({ length: 20_000 }, () => packet(0, 'x'))));
  expect(count).toBe(20_000);
});

test('a command that is not numbered 0 breaks the connection, and nothing after it is handled', () => {
  const { commands, handled, broken } = loop();
  commands.onBytes(Buffer.concat([packet(3, 'a'), packet(0, 'b')]));

  expect(handled).toEqual([]);
  expect(broken).toEqual(['ProxyError: Got packets out of order']);
  commands.onBytes(packet(0, 'c'));
  expect(handled).toEqual([]);
});

test('a packet longer than allowed is refused as soon as its header claims it', () => {
  const { commands, broken } = loop();
  const header = Buffer.from([0x01, 0x00, 0x20, 0x00]);
  commands.onBytes(header);

  expect(broken).toEqual(["ProxyError: Got a packet bigger than 'max_allowed_packet' bytes"]);
});

test('before the login less is allowed', () => {
  const broken: string[] = [];
  const commands = new CommandLoop({
    transport: new ScriptedClient(),
    handle: () => {},
    broken: (error) => broken.push(String(error)),
  });
  commands.onBytes(Buffer.from([0x00, 0x00, 0x10, 0x01]));

  expect(broken).toHaveLength(1);
});

test('a client that sends far ahead is read no further until its replies are done', () => {
  const { client, commands, handled } = loop();
  commands.onBytes(packet(0, 'a'));
  commands.onBytes(packet(0, Buffer.alloc(300 * 1024)));

  expect(client.paused).toBe(true);
  commands.done();
  expect(handled).toHaveLength(2);
  commands.done();
  expect(client.paused).toBe(false);
});
