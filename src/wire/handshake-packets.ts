import { assert } from '../runtime/assert.ts';
import {
  AUTH_MORE_DATA_MARKER,
  CLIENT_CONNECT_ATTRS,
  CLIENT_CONNECT_WITH_DB,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SSL,
  CLIENT_ZSTD_COMPRESSION_ALGORITHM,
  COM_CHANGE_USER,
  EOF_MARKER,
} from './flags.ts';
import { MalformedPacket, PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

export const NATIVE_PASSWORD_PLUGIN = 'mysql_native_password';
export const CACHING_SHA2_PLUGIN = 'caching_sha2_password';
/** Bytes of random that a server sends, without the NUL that follows them. */
export const NONCE_BYTES = 20;

const PROTOCOL_VERSION_10 = 10;
const NONCE_PART_1_BYTES = 8;
const FILLER_BYTES = 10;
const RESPONSE_FILLER_BYTES = 23;
/** The fixed part of HandshakeResponse41, which is all of an SSLRequest. */
const SSL_REQUEST_BYTES = 32;
const ONE_BYTE_MAX = 255;

/** The server's greeting (Protocol::HandshakeV10). */
export interface HandshakeV10 {
  readonly serverVersion: string;
  readonly threadId: number;
  /** `NONCE_BYTES` bytes without NUL. */
  readonly nonce: Buffer;
  readonly capabilities: number;
  /** The packet has one byte: of a larger id the low eight bits are sent, as servers do. */
  readonly collationId: number;
  readonly statusFlags: number;
  readonly authPlugin: string;
}

/** Fixed part of the login, sent alone when the client goes on in TLS (Protocol::SSLRequest). */
export interface SslRequest {
  readonly capabilities: number;
  readonly packetBytesMax: number;
  /** At most 255: the packet has one byte. Larger ids need SET NAMES after the login. */
  readonly collationId: number;
}

/** Protocol::HandshakeResponse41. */
export interface HandshakeResponse41 extends SslRequest {
  readonly user: string;
  readonly authResponse: Buffer;
  /** Undefined when not sent; some clients send an empty name, which means the same. */
  readonly database: string | undefined;
  readonly authPlugin: string | undefined;
  readonly attributes: ReadonlyMap<string, string>;
}

/** COM_CHANGE_USER. Its collation id has two bytes. */
export interface ChangeUser {
  readonly user: string;
  readonly authResponse: Buffer;
  readonly database: string | undefined;
  readonly collationId: number | undefined;
  readonly authPlugin: string | undefined;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Protocol::AuthSwitchRequest. */
export interface AuthSwitchRequest {
  readonly authPlugin: string;
  /** The nonce, without its closing NUL. */
  readonly nonce: Buffer;
}

export function encodeHandshakeV10(greeting: HandshakeV10, writer: PacketWriter): void {
  assert(greeting.nonce.length === NONCE_BYTES, 'a nonce has 20 bytes');
  writer.uint8(PROTOCOL_VERSION_10).nullTerminated(greeting.serverVersion);
  writer.uint32(greeting.threadId).bytes(greeting.nonce.subarray(0, NONCE_PART_1_BYTES)).uint8(0);
  writer.uint16(greeting.capabilities & 0xffff).uint8(greeting.collationId & 0xff);
  writer.uint16(greeting.statusFlags).uint16(greeting.capabilities >>> 16);
  const withPlugin = (greeting.capabilities & CLIENT_PLUGIN_AUTH) !== 0;
  writer.uint8(withPlugin ? NONCE_BYTES + 1 : 0).zeros(FILLER_BYTES);
  writer.bytes(greeting.nonce.subarray(NONCE_PART_1_BYTES)).uint8(0);
  if (withPlugin) writer.nullTerminated(greeting.authPlugin);
}

export function decodeHandshakeV10(payload: Buffer): HandshakeV10 {
  const reader = new PacketReader(payload);
  const version = reader.uint8();
  if (version !== PROTOCOL_VERSION_10) {
    throw new MalformedPacket(`the greeting has protocol version ${version}, not 10`);
  }
  const serverVersion = reader.nullTerminated().toString();
  const threadId = reader.uint32();
  const noncePart1 = reader.bytes(NONCE_PART_1_BYTES);
  const capabilitiesLow = reader.skip(1).uint16();
  const collationId = reader.uint8();
  const statusFlags = reader.uint16();
  const capabilities = (capabilitiesLow | (reader.uint16() << 16)) >>> 0;
  reader.skip(1 + FILLER_BYTES);
  const noncePart2 = reader.bytes(NONCE_BYTES - NONCE_PART_1_BYTES);
  // Old servers leave away the closing NUL of the name, some also that of the nonce.
  if (reader.remaining > 0) reader.skip(1);
  const authPlugin =
    (capabilities & CLIENT_PLUGIN_AUTH) !== 0
      ? reader.nullTerminatedOrRest().toString()
      : NATIVE_PASSWORD_PLUGIN;
  const nonce = Buffer.concat([noncePart1, noncePart2]);
  return { serverVersion, threadId, nonce, capabilities, collationId, statusFlags, authPlugin };
}

/** True for a login that stops after its fixed part because the client wants TLS first. */
export function isSslRequest(payload: Buffer): boolean {
  return (
    payload.length === SSL_REQUEST_BYTES &&
    (payload.readUInt32LE(0) & (CLIENT_SSL | CLIENT_PROTOCOL_41)) ===
      (CLIENT_SSL | CLIENT_PROTOCOL_41)
  );
}

export function encodeSslRequest(request: SslRequest, writer: PacketWriter): void {
  assert(request.collationId <= ONE_BYTE_MAX, 'a login names collations up to 255');
  writer.uint32(request.capabilities).uint32(request.packetBytesMax);
  writer.uint8(request.collationId).zeros(RESPONSE_FILLER_BYTES);
}

export function decodeSslRequest(payload: Buffer): SslRequest {
  return decodeFixedPart(new PacketReader(payload));
}

export function encodeHandshakeResponse41(
  response: HandshakeResponse41,
  writer: PacketWriter,
): void {
  const { capabilities } = response;
  encodeSslRequest(response, writer);
  writer.nullTerminated(response.user);
  encodeAuthResponse(response.authResponse, capabilities, writer);
  if ((capabilities & CLIENT_CONNECT_WITH_DB) !== 0) writer.nullTerminated(response.database ?? '');
  if ((capabilities & CLIENT_PLUGIN_AUTH) !== 0) writer.nullTerminated(response.authPlugin ?? '');
  if ((capabilities & CLIENT_CONNECT_ATTRS) !== 0) encodeAttributes(response.attributes, writer);
}

/** Follows the flags the client set, and like servers forgives fields missing at the end. */
export function decodeHandshakeResponse41(payload: Buffer): HandshakeResponse41 {
  const reader = new PacketReader(payload);
  const fixed = decodeFixedPart(reader);
  const { capabilities } = fixed;
  const user = reader.nullTerminatedOrRest().toString();
  const authResponse = decodeAuthResponse(reader, capabilities);
  const database =
    (capabilities & CLIENT_CONNECT_WITH_DB) !== 0 ? nameOrNothing(reader) : undefined;
  const authPlugin = (capabilities & CLIENT_PLUGIN_AUTH) !== 0 ? nameOrNothing(reader) : undefined;
  const attributes =
    (capabilities & CLIENT_CONNECT_ATTRS) !== 0 ? decodeAttributes(reader) : NO_ATTRIBUTES;
  // The level of compression, present even when the server offered none.
  if ((capabilities & CLIENT_ZSTD_COMPRESSION_ALGORITHM) !== 0 && reader.remaining > 0) {
    reader.skip(1);
  }
  return { ...fixed, user, authResponse, database, authPlugin, attributes };
}

/** `capabilities` are those of the login: they decide which fields the command has. */
export function decodeChangeUser(payload: Buffer, capabilities: number): ChangeUser {
  const reader = new PacketReader(payload).skip(1);
  const user = reader.nullTerminated().toString();
  const authResponse =
    (capabilities & CLIENT_SECURE_CONNECTION) !== 0
      ? reader.bytes(reader.uint8())
      : reader.nullTerminated();
  const database = nameOrNothing(reader);
  const collationId = reader.remaining >= 2 ? reader.uint16() : undefined;
  const authPlugin = (capabilities & CLIENT_PLUGIN_AUTH) !== 0 ? nameOrNothing(reader) : undefined;
  const attributes =
    (capabilities & CLIENT_CONNECT_ATTRS) !== 0 ? decodeAttributes(reader) : NO_ATTRIBUTES;
  return { user, authResponse, database, collationId, authPlugin, attributes };
}

export function encodeChangeUser(
  change: ChangeUser & { readonly collationId: number },
  capabilities: number,
  writer: PacketWriter,
): void {
  writer.uint8(COM_CHANGE_USER).nullTerminated(change.user);
  writer.uint8(change.authResponse.length).bytes(change.authResponse);
  writer.nullTerminated(change.database ?? '').uint16(change.collationId);
  if ((capabilities & CLIENT_PLUGIN_AUTH) !== 0) writer.nullTerminated(change.authPlugin ?? '');
  if ((capabilities & CLIENT_CONNECT_ATTRS) !== 0) encodeAttributes(change.attributes, writer);
}

export function encodeAuthSwitchRequest(request: AuthSwitchRequest, writer: PacketWriter): void {
  writer.uint8(EOF_MARKER).nullTerminated(request.authPlugin).bytes(request.nonce).uint8(0);
}

/** A packet of one byte 0xFE asks for the scramble of MySQL 3.23 and is refused. */
export function decodeAuthSwitchRequest(payload: Buffer): AuthSwitchRequest {
  const reader = new PacketReader(payload).skip(1);
  const authPlugin = reader.nullTerminatedOrRest().toString();
  if (authPlugin === '') throw new MalformedPacket('the server asks for an old password');
  const data = reader.rest();
  const nonce = data.at(-1) === 0 ? data.subarray(0, -1) : data;
  return { authPlugin, nonce };
}

export function encodeAuthMoreData(data: Buffer, writer: PacketWriter): void {
  writer.uint8(AUTH_MORE_DATA_MARKER).bytes(data);
}

export function decodeAuthMoreData(payload: Buffer): Buffer {
  return new PacketReader(payload).skip(1).rest();
}

const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function decodeFixedPart(reader: PacketReader): SslRequest {
  const capabilities = reader.uint32();
  if ((capabilities & CLIENT_PROTOCOL_41) === 0) {
    throw new MalformedPacket('the client speaks the protocol of before MySQL 4.1');
  }
  const packetBytesMax = reader.uint32();
  const collationId = reader.uint8();
  reader.skip(RESPONSE_FILLER_BYTES);
  return { capabilities, packetBytesMax, collationId };
}

function encodeAuthResponse(response: Buffer, capabilities: number, writer: PacketWriter): void {
  if ((capabilities & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) !== 0) {
    writer.lengthEncodedBytes(response);
  } else if ((capabilities & CLIENT_SECURE_CONNECTION) !== 0) {
    assert(response.length <= ONE_BYTE_MAX, 'the answer fits its one byte of length');
    writer.uint8(response.length).bytes(response);
  } else {
    writer.nullTerminated(response);
  }
}

function decodeAuthResponse(reader: PacketReader, capabilities: number): Buffer {
  if (reader.remaining === 0) return reader.rest();
  if ((capabilities & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) !== 0) {
    return reader.lengthEncodedBytes();
  }
  if ((capabilities & CLIENT_SECURE_CONNECTION) !== 0) return reader.bytes(reader.uint8());
  return reader.nullTerminatedOrRest();
}

function nameOrNothing(reader: PacketReader): string | undefined {
  const name = reader.nullTerminatedOrRest().toString();
  return name === '' ? undefined : name;
}

function encodeAttributes(attributes: ReadonlyMap<string, string>, writer: PacketWriter): void {
  let length = 0;
  for (const pair of attributes) for (const text of pair) length += lengthEncodedSize(text);
  writer.lengthEncoded(length);
  for (const pair of attributes) for (const text of pair) writer.lengthEncodedBytes(text);
}

function lengthEncodedSize(text: string): number {
  const length = Buffer.byteLength(text);
  if (length < 0xfb) return length + 1;
  return length + (length <= 0xffff ? 3 : 4);
}

// Their number is bounded by the length of the login packet, which the reader of logins limits.
function decodeAttributes(reader: PacketReader): ReadonlyMap<string, string> {
  if (reader.remaining === 0) return NO_ATTRIBUTES;
  const fields = new PacketReader(reader.lengthEncodedBytes());
  const attributes = new Map<string, string>();
  while (fields.remaining > 0) {
    const name = fields.lengthEncodedBytes().toString();
    attributes.set(name, fields.lengthEncodedBytes().toString());
  }
  return attributes;
}
