import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { ReplyEnd } from '../../src/backend/lease.ts';
import { queryRows } from '../../src/backend/row-reply.ts';
import {
  connectToShard,
  queryCommand,
  type ShardConnection,
} from '../../src/backend/shard-connection.ts';
import { makeSelfSignedCertificate } from '../../src/listener/self-signed-certificate.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import { CLIENT_PROTOCOL_41, CLIENT_SSL } from '../../src/wire/flags.ts';
import { decodeHandshakeResponse41 } from '../../src/wire/handshake-packets.ts';
import { decodeTextRow } from '../../src/wire/result-set-packets.ts';
import { isNativeAnswer, nativeVerifier } from '../../src/wire/scramble.ts';
import { freePort } from '../support/free-port.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  errPacket,
  GREETING,
  greetingPacket,
  okPacket,
  rowsReply,
  type Script,
  ScriptedShard,
} from '../support/scripted-shard.ts';

let shard: ScriptedShard;
let clock: ManualClock;

afterEach(() => shard.stop());

describe('the login', () => {
  test('answers the nonce with the password and asks for the dialect that clients speak', async () => {
    let login: Buffer = Buffer.alloc(0);
    const connection = await connectTo({
      onLogin: (socket, payload) => {
        login = payload;
        socket.write(okPacket(2));
      },
    });
    const response = decodeHandshakeResponse41(login);

    expect(response).toMatchObject({ user: 'proxy', collationId: 45, database: undefined });
    expect(isNativeAnswer(response.authResponse, GREETING.nonce, nativeVerifier('secret'))).toBe(
      true,
    );
    expect(connection.serverThreadId).toBe(1);
    connection.destroy();
  });

  test.each<[string, Script, string]>([
    ['a server that hangs up', { onConnect: (socket) => socket.end() }, 'closed the connection'],
    ['a server that resets', { onConnect: (socket) => socket.resetAndDestroy() }, 'ECONNRESET'],
    [
      'a server that is full',
      {
        onConnect: (socket) =>
          socket.write(errPacket({ errno: 1040, sqlState: '08004', message: 'Too many' }, 0)),
      },
      'Too many',
    ],
    [
      'a server of another kind',
      { onConnect: (socket) => socket.write('SSH-2.0-x\r\n') },
      'bigger',
    ],
    [
      'a server of long ago',
      {
        onConnect: (socket) => socket.write(greetingPacket({ capabilities: CLIENT_PROTOCOL_41 })),
      },
      'does not speak',
    ],
    [
      'a plugin we do not have',
      {
        onLogin: (socket) =>
          socket.write(
            Buffer.concat([Buffer.from([14, 0, 0, 2, 0xfe]), Buffer.from('client_gssx\0n')]),
          ),
      },
      'client_gssx',
    ],
    [
      'a refused account',
      {
        onLogin: (socket) =>
          socket.write(errPacket({ errno: 1045, sqlState: '28000', message: 'Access denied' }, 2)),
      },
      'Access denied',
    ],
    [
      'an unknown step of caching_sha2_password',
      { onLogin: (socket) => socket.write(Buffer.from([2, 0, 0, 2, 1, 9])) },
      'caching_sha2_password',
    ],
  ])('%s is an error that names the shard', async (_title, script, reason) => {
    await expect(connectTo(script)).rejects.toMatchObject({
      code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      message: expect.stringMatching(
        new RegExp(`shard s1 \\(127\\.0\\.0\\.1:\\d+\\): .*${reason}`),
      ),
    });
  });

  test('TLS is asked for and the server has none: no clear text instead', async () => {
    let isAsked = false;
    const connecting = connectTo(
      {
        onLogin: () => {
          isAsked = true;
        },
      },
      { tls: { verify: false } },
    );

    await expect(connecting).rejects.toThrow('asks for TLS, which the server does not offer');
    expect(isAsked).toBe(false);
  });

  test('what came in clear text is not taken for an answer through TLS', async () => {
    const capabilities = GREETING.capabilities | CLIENT_SSL;
    const { certificatePem: cert, keyPem: key } = makeSelfSignedCertificate({ now: Date.now() });
    const connecting = connectTo(
      {
        // Somebody on the line adds the OK of a login.
        onConnect: (socket) =>
          socket.write(Buffer.concat([greetingPacket({ capabilities }), okPacket(2)])),
        onLogin: (socket, _request, takeRest) => {
          socket.removeAllListeners('data').pause().unshift(takeRest());
          new TLSSocket(socket, { isServer: true, cert, key }).on('error', () => {}).resume();
        },
      },
      { tls: { verify: false } },
    );

    await expect(connecting).rejects.toThrow('in clear text after it was asked for TLS');
  });

  test('a server that says nothing is given up after the connect timeout', async () => {
    const said = Promise.withResolvers<void>();
    const connecting = connectTo({ onConnect: () => said.resolve() });
    await said.promise;
    clock.advance(999);
    await settled();
    clock.advance(1);

    await expect(connecting).rejects.toThrow('no answer within 1000 ms');
    expect(clock.alarms).toBe(0);
  });

  test('nobody at the port', async () => {
    shard = await ScriptedShard.start();
    const config = { ...shard.config, port: await freePort() };
    const connecting = connectToShard({
      address: { shard: 's1' as ShardId, config },
      foundRows: false,
      connectTimeoutMs: 1_000,
      clock: systemClock,
    });

    await expect(connecting).rejects.toThrow(
      `shard s1 (127.0.0.1:${config.port}): connect ECONNREFUSED`,
    );
  });
});

describe('replies', () => {
  const reply = rowsReply(['a'], [['1'], [undefined], ['x'.repeat(300)]]);

  test('a reply that comes byte by byte is one reply', async () => {
    const connection = await connectTo({
      onQuery: (_sql, socket) => {
        void trickle(socket, reply);
        return true;
      },
    });
    const result = await queryRows(leaseOf(connection), 'SELECT a');
    const rows: (string | undefined)[][] = [];
    if (result.kind === 'rows') {
      for await (const batch of result.batches) {
        for (const row of batch) rows.push(decodeTextRow(row).map((field) => field?.toString()));
      }
    }

    expect(rows).toEqual([['1'], [undefined], ['x'.repeat(300)]]);
    connection.destroy();
  });

  test('replies of pipelined commands in one segment go each to their own sink', async () => {
    const waiting: Buffer[] = [];
    const connection = await connectTo({
      onQuery: (sql, socket) => {
        waiting.push(sql === 'rows' ? reply : okPacket(1, { affectedRows: Number(sql) }));
        if (waiting.length === 3) socket.write(Buffer.concat(waiting));
        return true;
      },
    });
    const ends = await Promise.all(['7', 'rows', '9'].map((sql) => collect(connection, sql)));

    expect(ends.map(({ end }) => [end.kind, end.affectedRows])).toEqual([
      ['ok', 7],
      ['rows', 0],
      ['ok', 9],
    ]);
    expect(ends[1]?.bytes.equals(reply)).toBe(true);
    connection.destroy();
  });

  test.each<[string, (socket: Socket) => void, string]>([
    ['the server hangs up before a byte', (socket) => socket.end(), 'closed the connection'],
    [
      'the server hangs up within the reply',
      (socket) => socket.end(reply.subarray(0, 20)),
      'closed',
    ],
    ['the server resets', (socket) => socket.resetAndDestroy(), 'ECONNRESET'],
    ['bytes that are no reply', (socket) => socket.write(Buffer.from([1, 0, 0, 9, 0])), 'number 9'],
  ])('%s: the sink hears of it once', async (_title, misbehave, reason) => {
    const connection = await connectTo({
      onQuery: (_sql, socket) => {
        misbehave(socket);
        return true;
      },
    });
    const lost: Error[] = [];
    await new Promise<void>((resolve) => {
      connection.whenClosed(resolve);
      connection.send(queryCommand('SELECT 1'), {
        onReplyBytes: () => {},
        onReplyEnd: () => lost.push(new Error('ended')),
        onReplyLost: (error) => lost.push(error),
      });
    });

    expect(lost).toMatchObject([
      {
        code: 'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
        message: expect.stringMatching(new RegExp(`Lost connection to shard s1.*${reason}`)),
      },
    ]);
    await expect(collect(connection, 'SELECT 2')).rejects.toThrow('Lost connection');
  });

  test('a sink that throws loses its own connection, and nothing else breaks', async () => {
    const connection = await connectTo({});
    const closed = new Promise<void>((resolve) => connection.whenClosed(resolve));
    connection.send(queryCommand('SELECT 1'), {
      onReplyBytes: () => {
        throw new Error('a bug');
      },
      onReplyEnd: () => {},
      onReplyLost: () => {},
    });

    await closed;
    expect(connection.closed).toBe(true);
  });

  test('a paused reply leaves the rest with the shard until it is resumed', async () => {
    const row = 'y'.repeat(60_000);
    const large = rowsReply(
      ['a'],
      Array.from({ length: 1_000 }, () => [row]),
    );
    const sent = Promise.withResolvers<Socket>();
    const connection = await connectTo({
      onQuery: (_sql, socket) => {
        socket.write(large);
        sent.resolve(socket);
        return true;
      },
    });
    let bytes = 0;
    const done = new Promise<ReplyEnd>((resolve, reject) => {
      connection.send(queryCommand('SELECT a'), {
        onReplyBytes: (chunk) => {
          if (bytes === 0) connection.pause();
          bytes += chunk.length;
        },
        onReplyEnd: resolve,
        onReplyLost: reject,
      });
    });
    const socket = await sent.promise;
    // What the kernel's buffers do not take stays with the sender.
    await expect.poll(() => socket.writableLength > 1_000_000 && bytes > 0).toBe(true);
    await settled();
    const whilePaused = bytes;
    connection.resume();

    expect((await done).kind).toBe('rows');
    expect(whilePaused).toBeLessThan(1_000_000);
    expect(bytes).toBe(large.length);
    connection.destroy();
  });
});

describe('rows of a reply', () => {
  const large = rowsReply(
    ['a'],
    Array.from({ length: 1_000 }, () => ['z'.repeat(60_000)]),
  );

  test('that nobody reads stay with the shard; those of a reader who left are thrown away', async () => {
    const { connection, socket, result } = await largeReply();
    // Turns enough for all of it to pass, if it could.
    for (let turn = 0; turn < 5_000; turn++) await settled();
    expect(socket.writableLength).toBeGreaterThan(1_000_000);
    if (result.kind !== 'rows') throw new Error('no rows');
    for await (const batch of result.batches) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }

    expect(connection.repliesAwaited).toBe(0);
    expect(result.end().kind).toBe('rows');
    connection.destroy();
  });

  test('end with the reason of an abort, which closes the connection', async () => {
    const abort = new AbortController();
    const { connection, result } = await largeReply(abort.signal);
    const read = async (): Promise<void> => {
      if (result.kind !== 'rows') return;
      for await (const _batch of result.batches) abort.abort(new Error('enough'));
    };

    await expect(read()).rejects.toThrow('enough');
    expect(connection.closed).toBe(true);
  });

  async function largeReply(signal?: AbortSignal) {
    const sent = Promise.withResolvers<Socket>();
    const connection = await connectTo({
      onQuery: (_sql, socket) => {
        socket.write(large);
        sent.resolve(socket);
        return true;
      },
    });
    const result = await queryRows(leaseOf(connection), 'SELECT a', signal);
    return { connection, socket: await sent.promise, result };
  }
});

async function connectTo(
  script: Script,
  changes: Partial<ShardConfig> = {},
): Promise<ShardConnection> {
  shard = await ScriptedShard.start(script);
  clock = new ManualClock();
  return connectToShard({
    address: { shard: 's1' as ShardId, config: { ...shard.config, ...changes } },
    foundRows: false,
    connectTimeoutMs: 1_000,
    clock,
  });
}

async function collect(connection: ShardConnection, sql: string) {
  const chunks: Buffer[] = [];
  return new Promise<{ end: ReplyEnd; bytes: Buffer }>((resolve, reject) =>
    connection.send(queryCommand(sql), {
      onReplyBytes: (bytes) => chunks.push(bytes),
      onReplyEnd: (end) => resolve({ end, bytes: Buffer.concat(chunks) }),
      onReplyLost: reject,
    }),
  );
}

function leaseOf(connection: ShardConnection) {
  return {
    shard: connection.shard,
    serverThreadId: connection.serverThreadId,
    send: connection.send.bind(connection),
    pause: connection.pause.bind(connection),
    resume: connection.resume.bind(connection),
    release: () => {},
    destroy: () => connection.destroy(),
  };
}

async function trickle(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    await settled();
  }
}

/** Lets everything happen that is ready to. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
