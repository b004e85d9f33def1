import { connect, type Socket } from 'node:net';
import {
  CLIENT_CONNECT_WITH_DB,
  CLIENT_LONG_PASSWORD,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_TRANSACTIONS,
} from '../../src/wire/flags.ts';
import { Framer } from '../../src/wire/framer.ts';
import { decodeHandshakeV10, encodeHandshakeResponse41 } from '../../src/wire/handshake-packets.ts';
import { PacketWriter } from '../../src/wire/packet-writer.ts';
import { nativeAnswer } from '../../src/wire/scramble.ts';

export interface RawPacket {
  readonly sequence: number;
  readonly payload: Buffer;
}

/** A client at the level of packets, for what drivers do not let a test say. */
export class RawClient {
  readonly socket: Socket;
  readonly #framer = new Framer({ packetBytesMax: 2 ** 26 });
  readonly #packets: RawPacket[] = [];
  readonly #waiting: ((packet: RawPacket | undefined) => void)[] = [];
  #closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#closed = true;
      for (const give of this.#waiting.splice(0)) give(undefined);
    });
  }

  static async connect(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<RawClient> {
    const socket = connect({ ...address, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawClient(socket);
  }

  /** With mysql_native_password and the fewest flags that work. */
  async logIn(login: {
    user: string;
    password: string;
    database?: string;
  }): Promise<RawPacket | undefined> {
    const greeting = await this.next();
    if (greeting === undefined) return undefined;
    const { nonce } = decodeHandshakeV10(greeting.payload);
    const withDatabase = login.database === undefined ? 0 : CLIENT_CONNECT_WITH_DB;
    const writer = new PacketWriter().startPacket(1);
    encodeHandshakeResponse41(
      {
        capabilities:
          CLIENT_LONG_PASSWORD |
          CLIENT_PROTOCOL_41 |
          CLIENT_TRANSACTIONS |
          CLIENT_SECURE_CONNECTION |
          CLIENT_PLUGIN_AUTH |
          withDatabase,
        packetBytesMax: 2 ** 24,
        collationId: 45,
        user: login.user,
        authResponse: nativeAnswer(login.password, nonce),
        database: login.database,
        authPlugin: 'mysql_native_password',
        attributes: new Map(),
      },
      writer,
    );
    writer.endPacket();
    this.socket.write(writer.take());
    return this.next();
  }

  send(payload: Buffer, sequence = 0): void {
    const writer = new PacketWriter();
    writer.packet(sequence, payload);
    this.socket.write(writer.take());
  }

  /** The next packet; undefined when the peer has closed instead. */
  next(): Promise<RawPacket | undefined> {
    const packet = this.#packets.shift();
    if (packet !== undefined || this.#closed) return Promise.resolve(packet);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when the peer has closed; what it sent before is dropped. */
  async closed(): Promise<void> {
    while ((await this.next()) !== undefined);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#framer.push(chunk);
    for (let payload = this.#framer.next(); payload !== undefined; payload = this.#framer.next()) {
      const packet = { sequence: this.#framer.sequence, payload };
      const give = this.#waiting.shift();
      if (give === undefined) this.#packets.push(packet);
      else give(packet);
    }
  }
}
