import { createServer, type Server, type Socket } from 'node:net';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import {
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  COM_QUERY,
  SERVER_STATUS_AUTOCOMMIT,
} from '../../src/wire/flags.ts';
import { Framer } from '../../src/wire/framer.ts';
import { encodeHandshakeV10, type HandshakeV10 } from '../../src/wire/handshake-packets.ts';
import { PacketWriter } from '../../src/wire/packet-writer.ts';
import { encodeEof, encodeErr, encodeOk } from '../../src/wire/reply-packets.ts';
import {
  encodeColumnCount,
  encodeColumnDefinition,
  encodeTextRow,
} from '../../src/wire/result-set-packets.ts';

export const GREETING: HandshakeV10 = {
  serverVersion: '8.0.39-scripted',
  threadId: 1,
  nonce: Buffer.from('01234567890123456789'),
  capabilities: CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH,
  collationId: 45,
  statusFlags: SERVER_STATUS_AUTOCOMMIT,
  authPlugin: 'mysql_native_password',
};

export interface Script {
  /** Instead of the greeting; the peer then does nothing by itself. */
  readonly onConnect?: (socket: Socket) => void;
  /** Instead of an OK to the login; `takeRest` gives what came behind it. */
  readonly onLogin?: (socket: Socket, payload: Buffer, takeRest: () => Buffer) => void;
  /** Instead of an OK to a statement; true when it was answered (or meant to be left alone). */
  readonly onQuery?: (sql: string, socket: Socket) => boolean;
}

/** A peer on loopback that does what a test tells it, at the level of packets. */
export class ScriptedShard {
  /** May be exchanged while it runs. */
  script: Script;
  /** Statements and other commands (as hex) in the order they came. */
  readonly commands: string[] = [];
  readonly sockets: Socket[] = [];
  readonly #server: Server;
  #port = 0;

  static async start(script: Script = {}, port = 0): Promise<ScriptedShard> {
    const shard = new ScriptedShard(script);
    await new Promise<void>((resolve) => shard.#server.listen(port, '127.0.0.1', resolve));
    const address = shard.#server.address();
    shard.#port = typeof address === 'object' && address !== null ? address.port : 0;
    return shard;
  }

  private constructor(script: Script) {
    this.script = script;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      this.#serve(socket),
    );
  }

  get config(): ShardConfig {
    const account = { user: 'proxy', password: 'secret' };
    return { host: '127.0.0.1', port: this.#port, ...account, replicas: [], connections_max: 2 };
  }

  /** Statements that are not the pool's own SET. */
  get statements(): readonly string[] {
    return this.commands.filter((command) => !/^SET (?:@@session\.|NAMES )/.test(command));
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.sockets.push(socket);
    const framer = new Framer({ packetBytesMax: 1 << 26 });
    let isLoggedIn = false;
    // The other side closes hard in many tests.
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let payload = framer.next(); payload !== undefined; payload = framer.next()) {
        if (isLoggedIn) this.#command(socket, payload);
        else if (this.script.onLogin) {
          this.script.onLogin(socket, payload, () => framer.takeRemainder());
        } else socket.write(okPacket(2));
        isLoggedIn = true;
      }
    });
    if (this.script.onConnect) this.script.onConnect(socket);
    else socket.write(greetingPacket({ threadId: this.sockets.length }));
  }

  #command(socket: Socket, payload: Buffer): void {
    const isQuery = payload[0] === COM_QUERY;
    const command = isQuery ? payload.toString('utf8', 1) : payload.toString('hex');
    this.commands.push(command);
    if (isQuery && this.script.onQuery?.(command, socket)) return;
    socket.write(okPacket());
  }
}

export function greetingPacket(changes: Partial<HandshakeV10> = {}): Buffer {
  return packets(0, [(writer) => encodeHandshakeV10({ ...GREETING, ...changes }, writer)]);
}

export function okPacket(
  sequence = 1,
  changes: Partial<Parameters<typeof encodeOk>[0]> = {},
): Buffer {
  const statusFlags = SERVER_STATUS_AUTOCOMMIT;
  const ok = { affectedRows: 0, lastInsertId: 0, statusFlags, warningCount: 0, info: '' };
  return packets(sequence, [(writer) => encodeOk({ ...ok, ...changes }, writer)]);
}

export function errPacket(
  err: { readonly errno: number; readonly sqlState: string; readonly message: string },
  sequence = 1,
): Buffer {
  return packets(sequence, [(writer) => encodeErr(err, writer)]);
}

/** A result of text columns. */
export function rowsReply(
  names: readonly string[],
  rows: readonly (readonly (string | undefined)[])[],
): Buffer {
  const eof = { warningCount: 0, statusFlags: SERVER_STATUS_AUTOCOMMIT };
  return packets(1, [
    (writer) => encodeColumnCount(names.length, writer),
    ...names.map(
      (name) => (writer: PacketWriter) => encodeColumnDefinition(columnOf(name), writer),
    ),
    (writer) => encodeEof(eof, writer),
    ...rows.map((row) => (writer: PacketWriter) => encodeTextRow(row, writer)),
    (writer) => encodeEof(eof, writer),
  ]);
}

export function packets(
  first: number,
  encodes: readonly ((writer: PacketWriter) => void)[],
): Buffer {
  const writer = new PacketWriter();
  let sequence = first;
  for (const encode of encodes) {
    encode(writer.startPacket(sequence));
    sequence = writer.endPacket();
  }
  return writer.take();
}

function columnOf(name: string): Parameters<typeof encodeColumnDefinition>[0] {
  const from = { catalog: 'def', schema: 'd', table: 't', orgTable: 't', name, orgName: name };
  return { ...from, collationId: 45, columnLength: 400, type: 0xfd, flags: 0, decimals: 0 };
}
