import type { ShardConfig } from '../topology/config-schema.ts';
import { COLLATION_UTF8MB4_GENERAL_CI } from '../wire/column-types.ts';
import {
  AUTH_MORE_DATA_MARKER,
  CLIENT_FOUND_ROWS,
  CLIENT_LONG_FLAG,
  CLIENT_LONG_PASSWORD,
  CLIENT_MULTI_RESULTS,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SSL,
  CLIENT_TRANSACTIONS,
  EOF_MARKER,
  PACKET_PAYLOAD_MAX,
} from '../wire/flags.ts';
import { Framer, framePayload } from '../wire/framer.ts';
import {
  CACHING_SHA2_PLUGIN,
  decodeAuthMoreData,
  decodeAuthSwitchRequest,
  decodeHandshakeV10,
  encodeHandshakeResponse41,
  encodeSslRequest,
  type HandshakeV10,
  NATIVE_PASSWORD_PLUGIN,
} from '../wire/handshake-packets.ts';
import { MalformedPacket } from '../wire/packet-reader.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import { decodeErr, decodeOk, isErr, isOk } from '../wire/reply-packets.ts';
import { clearAnswer, encryptPassword, nativeAnswer, sha2Answer } from '../wire/scramble.ts';
import { asShardError, type ShardAddress } from './shard-address.ts';
import type { ShardSocket, SocketOwner } from './shard-socket.ts';

/** The dialect that client and shard share; what neither side of Shardgate speaks is not asked for. */
const CAPABILITIES =
  CLIENT_LONG_PASSWORD |
  CLIENT_LONG_FLAG |
  CLIENT_PROTOCOL_41 |
  CLIENT_TRANSACTIONS |
  CLIENT_SECURE_CONNECTION |
  CLIENT_MULTI_RESULTS |
  CLIENT_PLUGIN_AUTH;
const REQUIRED = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION;
/** A login has a few small packets; a server that sends more is none. */
const LOGIN_PACKET_BYTES_MAX = 65_536;

// caching_sha2_password: the bytes of its AuthMoreData packets.
const REQUEST_PUBLIC_KEY = 2;
const FAST_AUTH_SUCCESS = 3;
const PERFORM_FULL_AUTHENTICATION = 4;

/** What the server told about itself. */
export interface LoginResult {
  readonly serverVersion: string;
  readonly serverThreadId: number;
  readonly statusFlags: number;
}

/** The packets of a login in turn, on a socket that has no other reader yet. */
export class LoginPackets implements SocketOwner {
  readonly #framer = new Framer({ packetBytesMax: LOGIN_PACKET_BYTES_MAX });
  #waiting: { resolve: (payload: Buffer) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  /** Of the packet read last; the answer has the next one. */
  get sequence(): number {
    return this.#framer.sequence;
  }

  /** Nothing that came in clear text may be taken for the answer to something sent through TLS. */
  assertNothingWaits(): void {
    if (this.#framer.bufferedBytes > 0) {
      throw new MalformedPacket('the server went on in clear text after it was asked for TLS');
    }
  }

  onBytes(chunk: Buffer): void {
    this.#framer.push(chunk);
    this.#serve();
  }

  onClosed(error: Error | undefined): void {
    this.fail(error ?? new Error('the server closed the connection during the login'));
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  read(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#waiting === undefined) return;
    const { resolve, reject } = this.#waiting;
    try {
      const payload = this.#framer.next();
      if (payload !== undefined) {
        this.#waiting = undefined;
        resolve(payload);
      } else if (this.#failure !== undefined) {
        reject(this.#failure);
      }
    } catch (error) {
      // The bytes are no packets: whoever waits for one must hear of it.
      this.#waiting = undefined;
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

/** Logs in on a fresh socket. Throws a `ShardError` when the server refuses. */
export async function logIn(
  socket: ShardSocket,
  packets: LoginPackets,
  options: { readonly address: ShardAddress; readonly foundRows: boolean },
): Promise<LoginResult> {
  const { config } = options.address;
  const greeting = await readGreeting(packets, options.address);
  const capabilities = capabilitiesFor(greeting, config, options.foundRows);
  let sequence = 1;
  if (config.tls !== undefined) {
    const request = {
      capabilities,
      packetBytesMax: PACKET_PAYLOAD_MAX,
      collationId: LOGIN_COLLATION,
    };
    socket.write(packet(sequence++, (writer) => encodeSslRequest(request, writer)));
    await socket.secure(config.tls, config.host);
    packets.assertNothingWaits();
  }
  const authPlugin = supported(greeting.authPlugin) ? greeting.authPlugin : NATIVE_PASSWORD_PLUGIN;
  const response = {
    capabilities,
    packetBytesMax: 2 ** 30,
    collationId: LOGIN_COLLATION,
    user: config.user,
    authResponse: answerFor(authPlugin, config.password, greeting.nonce),
    database: undefined,
    authPlugin,
    attributes: new Map<string, string>(),
  };
  socket.write(packet(sequence, (writer) => encodeHandshakeResponse41(response, writer)));
  const exchange = { socket, packets, config, nonce: greeting.nonce };
  const statusFlags = await authenticate(exchange, options.address);
  return {
    serverVersion: greeting.serverVersion,
    serverThreadId: greeting.threadId,
    statusFlags,
  };
}

/** Known to MySQL 5.7, 8, 9 and MariaDB; the base state of a connection sets it again by name. */
const LOGIN_COLLATION = COLLATION_UTF8MB4_GENERAL_CI;

async function readGreeting(packets: LoginPackets, address: ShardAddress): Promise<HandshakeV10> {
  const payload = await packets.read();
  if (isErr(payload)) throw asShardError(decodeErr(payload), address.shard);
  return decodeHandshakeV10(payload);
}

function capabilitiesFor(greeting: HandshakeV10, config: ShardConfig, foundRows: boolean): number {
  if ((greeting.capabilities & REQUIRED) !== REQUIRED) {
    throw new MalformedPacket('the server does not speak the protocol of MySQL 4.1 and later');
  }
  if (config.tls !== undefined && (greeting.capabilities & CLIENT_SSL) === 0) {
    throw new Error('the configuration asks for TLS, which the server does not offer');
  }
  const wanted =
    CAPABILITIES |
    (foundRows ? CLIENT_FOUND_ROWS : 0) |
    (config.tls !== undefined ? CLIENT_SSL : 0);
  // MariaDB clears CLIENT_LONG_PASSWORD (there it means CLIENT_MYSQL); the rest is an intersection.
  return (wanted & (greeting.capabilities | CLIENT_LONG_PASSWORD)) >>> 0;
}

interface Exchange {
  readonly socket: ShardSocket;
  readonly packets: LoginPackets;
  readonly config: ShardConfig;
  nonce: Buffer;
}

async function authenticate(exchange: Exchange, address: ShardAddress): Promise<number> {
  const { packets, config } = exchange;
  for (;;) {
    const payload = await packets.read();
    if (isOk(payload)) return decodeOk(payload).statusFlags;
    if (isErr(payload)) throw asShardError(decodeErr(payload), address.shard);
    if (payload[0] === EOF_MARKER) {
      const request = decodeAuthSwitchRequest(payload);
      if (!supported(request.authPlugin)) {
        throw new Error(
          `the account logs in with ${request.authPlugin}, which Shardgate does not know; ` +
            'use caching_sha2_password or mysql_native_password',
        );
      }
      exchange.nonce = Buffer.from(request.nonce);
      answer(exchange, answerFor(request.authPlugin, config.password, request.nonce));
    } else if (payload[0] === AUTH_MORE_DATA_MARKER) {
      await continueSha2(exchange, decodeAuthMoreData(payload));
    } else {
      throw new MalformedPacket('a packet that belongs to no login');
    }
  }
}

async function continueSha2(exchange: Exchange, data: Buffer): Promise<void> {
  const { packets, config } = exchange;
  if (data[0] === FAST_AUTH_SUCCESS) return;
  if (data[0] !== PERFORM_FULL_AUTHENTICATION) {
    throw new MalformedPacket('an unknown step of caching_sha2_password');
  }
  if (exchange.socket.encrypted) {
    answer(exchange, clearAnswer(config.password));
    return;
  }
  answer(exchange, Buffer.from([REQUEST_PUBLIC_KEY]));
  const publicKey = decodeAuthMoreData(await packets.read()).toString();
  answer(exchange, encryptPassword(config.password, exchange.nonce, publicKey));
}

function answer(exchange: Exchange, payload: Buffer): void {
  const frames = framePayload(payload, (exchange.packets.sequence + 1) & 0xff);
  exchange.socket.write(Buffer.concat(frames));
}

function packet(sequence: number, encode: (writer: PacketWriter) => void): Buffer {
  const writer = new PacketWriter().startPacket(sequence);
  encode(writer);
  writer.endPacket();
  return writer.take();
}

function supported(plugin: string): boolean {
  return plugin === NATIVE_PASSWORD_PLUGIN || plugin === CACHING_SHA2_PLUGIN;
}

function answerFor(plugin: string, password: string, nonce: Buffer): Buffer {
  return plugin === CACHING_SHA2_PLUGIN
    ? sha2Answer(password, nonce)
    : nativeAnswer(password, nonce);
}
