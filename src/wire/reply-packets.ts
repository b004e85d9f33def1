import { EOF_MARKER, EOF_PAYLOAD_LIMIT, ERR_MARKER, OK_MARKER } from './flags.ts';
import { PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

const SQL_STATE_MARKER = 0x23;
const SQL_STATE_BYTES = 5;
/** What clients assume when an ERR carries no SQLSTATE. */
const GENERAL_ERROR_STATE = 'HY000';

/** The end of a statement that returned no rows. */
export interface OkPacket {
  /** 64 bits on the wire; `bigint` only beyond 2^53. */
  readonly affectedRows: number | bigint;
  readonly lastInsertId: number | bigint;
  readonly statusFlags: number;
  readonly warningCount: number;
  readonly info: string;
}

export interface ErrPacket {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

/** The end of column definitions or rows. */
export interface EofPacket {
  readonly warningCount: number;
  readonly statusFlags: number;
}

export function encodeOk(ok: OkPacket, writer: PacketWriter): void {
  writer.uint8(OK_MARKER).lengthEncoded(ok.affectedRows).lengthEncoded(ok.lastInsertId);
  writer.uint16(ok.statusFlags).uint16(ok.warningCount);
  // The manual says string<EOF>, but servers write a length first and clients read one.
  if (ok.info !== '') writer.lengthEncodedBytes(ok.info);
}

export function decodeOk(payload: Buffer): OkPacket {
  const reader = new PacketReader(payload, 1);
  const affectedRows = reader.lengthEncoded();
  const lastInsertId = reader.lengthEncoded();
  const statusFlags = reader.uint16();
  const warningCount = reader.uint16();
  const info = reader.remaining > 0 ? reader.lengthEncodedBytes().toString() : '';
  return { affectedRows, lastInsertId, statusFlags, warningCount, info };
}

/**
 * `beforeLogin` leaves out the SQLSTATE: a client that has not yet heard which protocol is spoken
 * would show it as part of the message.
 */
export function encodeErr(
  err: ErrPacket,
  writer: PacketWriter,
  options: { readonly beforeLogin?: boolean } = {},
): void {
  writer.uint8(ERR_MARKER).uint16(err.errno);
  if (options.beforeLogin !== true) writer.uint8(SQL_STATE_MARKER).text(err.sqlState);
  writer.text(err.message);
}

export function decodeErr(payload: Buffer): ErrPacket {
  const reader = new PacketReader(payload, 1);
  const errno = reader.uint16();
  if (reader.remaining === 0 || payload[reader.position] !== SQL_STATE_MARKER) {
    return { errno, sqlState: GENERAL_ERROR_STATE, message: reader.rest().toString() };
  }
  const sqlState = reader.skip(1).bytes(SQL_STATE_BYTES).toString('latin1');
  return { errno, sqlState, message: reader.rest().toString() };
}

export function encodeEof(eof: EofPacket, writer: PacketWriter): void {
  writer.uint8(EOF_MARKER).uint16(eof.warningCount).uint16(eof.statusFlags);
}

export function decodeEof(payload: Buffer): EofPacket {
  const reader = new PacketReader(payload, 1);
  return { warningCount: reader.uint16(), statusFlags: reader.uint16() };
}

export function isOk(payload: Buffer): boolean {
  return payload[0] === OK_MARKER;
}

export function isErr(payload: Buffer): boolean {
  return payload[0] === ERR_MARKER;
}

/** A row whose first field is 16 MiB or longer begins with the same byte but is never this short. */
export function isEof(payload: Buffer): boolean {
  return payload[0] === EOF_MARKER && payload.length < EOF_PAYLOAD_LIMIT;
}
