import {
  MYSQL_TYPE_DATE,
  MYSQL_TYPE_DATETIME,
  MYSQL_TYPE_DOUBLE,
  MYSQL_TYPE_FLOAT,
  MYSQL_TYPE_INT24,
  MYSQL_TYPE_LONG,
  MYSQL_TYPE_LONGLONG,
  MYSQL_TYPE_NULL,
  MYSQL_TYPE_SHORT,
  MYSQL_TYPE_TIME,
  MYSQL_TYPE_TIMESTAMP,
  MYSQL_TYPE_TINY,
  MYSQL_TYPE_VAR_STRING,
  MYSQL_TYPE_YEAR,
} from './column-types.ts';
import { COM_STMT_EXECUTE, OK_MARKER } from './flags.ts';
import { MalformedPacket, PacketReader } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/** Beside the type, in COM_STMT_EXECUTE: "0x80: unsigned". */
const UNSIGNED_PARAMETER = 0x80;
/** Command, statement, flags, iteration count. */
const EXECUTE_HEADER_BYTES = 10;

/** COM_STMT_PREPARE_OK. */
export interface PrepareOk {
  readonly statementId: number;
  readonly columnCount: number;
  readonly parameterCount: number;
  readonly warningCount: number;
}

export function decodePrepareOk(payload: Buffer): PrepareOk {
  const reader = new PacketReader(payload);
  if (reader.uint8() !== OK_MARKER) throw new MalformedPacket('no answer to COM_STMT_PREPARE');
  const statementId = reader.uint32();
  const columnCount = reader.uint16();
  const parameterCount = reader.uint16();
  const warningCount = reader.remaining >= 3 ? reader.skip(1).uint16() : 0;
  return { statementId, columnCount, parameterCount, warningCount };
}

export function encodePrepareOk(ok: PrepareOk, writer: PacketWriter): void {
  writer.uint8(OK_MARKER).uint32(ok.statementId).uint16(ok.columnCount);
  writer.uint16(ok.parameterCount).zeros(1).uint16(ok.warningCount);
}

export interface ParameterType {
  /** MYSQL_TYPE_…. */
  readonly type: number;
  readonly unsigned: boolean;
}

/** A value as the client sent it: numbers little-endian, the rest without its length. */
export interface Parameter extends ParameterType {
  /** Undefined is NULL. */
  readonly bytes: Buffer | undefined;
}

export interface ExecuteCommand {
  readonly flags: number;
  /** For the next execution, which may come without. */
  readonly types: readonly ParameterType[];
  readonly parameters: readonly Parameter[];
}

export interface KnownParameters {
  readonly count: number;
  /** Of the execution before: a client sends them once. */
  readonly types: readonly ParameterType[] | undefined;
  /** Values that came by COM_STMT_SEND_LONG_DATA; the command leaves them out. */
  readonly longData: ReadonlyMap<number, Buffer>;
}

/** The statement that COM_STMT_EXECUTE, RESET, CLOSE, FETCH and SEND_LONG_DATA speak of. */
export function statementIdOf(payload: Buffer): number {
  return new PacketReader(payload, 1).uint32();
}

/** COM_STMT_EXECUTE. Throws `MalformedPacket` when values are missing or of no known type. */
export function decodeExecute(payload: Buffer, known: KnownParameters): ExecuteCommand {
  const reader = new PacketReader(payload, 5);
  const flags = reader.uint8();
  reader.skip(4);
  const { count, longData } = known;
  if (count === 0) return { flags, types: [], parameters: [] };
  const nulls = reader.bytes((count + 7) >> 3);
  const types = reader.uint8() === 1 ? readTypes(reader, count) : known.types;
  if (types === undefined) throw new MalformedPacket('parameters without their types');
  const parameters = types.map((type, index): Parameter => {
    const long = longData.get(index);
    if (long !== undefined) return { type: stringType(type.type), unsigned: false, bytes: long };
    const isNull = (((nulls[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
    if (isNull || type.type === MYSQL_TYPE_NULL) return { ...type, bytes: undefined };
    return { ...type, bytes: readValue(reader, type.type) };
  });
  return { flags, types, parameters };
}

/**
 * The command for a statement of a shard. The types are always with it: that connection may never
 * have seen them. No cursor is asked for, so that all rows come at once.
 */
export function encodeExecute(statementId: number, parameters: readonly Parameter[]): Buffer {
  const parts: Buffer[] = [];
  const count = parameters.length;
  const bitmapBytes = (count + 7) >> 3;
  const head = Buffer.alloc(EXECUTE_HEADER_BYTES + (count === 0 ? 0 : bitmapBytes + 1 + 2 * count));
  head[0] = COM_STMT_EXECUTE;
  head.writeUInt32LE(statementId, 1);
  head.writeUInt32LE(1, 6);
  parts.push(head);
  if (count > 0) head[EXECUTE_HEADER_BYTES + bitmapBytes] = 1;
  for (let index = 0; index < count; index++) {
    const { type, unsigned, bytes } = parameters[index] as Parameter;
    const typeAt = EXECUTE_HEADER_BYTES + bitmapBytes + 1 + 2 * index;
    head[typeAt] = type;
    head[typeAt + 1] = unsigned ? UNSIGNED_PARAMETER : 0;
    if (bytes === undefined) {
      const at = EXECUTE_HEADER_BYTES + (index >> 3);
      head[at] = (head[at] ?? 0) | (1 << (index & 7));
    } else {
      if (fixedLength(type) === undefined) parts.push(lengthPrefix(bytes.length));
      parts.push(bytes);
    }
  }
  return Buffer.concat(parts);
}

/** COM_STMT_SEND_LONG_DATA: a piece of a parameter's value. */
export interface LongData {
  readonly statementId: number;
  readonly parameter: number;
  readonly data: Buffer;
}

export function decodeLongData(payload: Buffer): LongData {
  const reader = new PacketReader(payload, 1);
  return { statementId: reader.uint32(), parameter: reader.uint16(), data: reader.rest() };
}

/** COM_STMT_CLOSE and COM_STMT_RESET. */
export function statementCommand(command: number, statementId: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = command;
  bytes.writeUInt32LE(statementId, 1);
  return bytes;
}

function readTypes(reader: PacketReader, count: number): readonly ParameterType[] {
  const types: ParameterType[] = [];
  for (let index = 0; index < count; index++) {
    const type = reader.uint8();
    types.push({ type, unsigned: (reader.uint8() & UNSIGNED_PARAMETER) !== 0 });
  }
  return types;
}

function readValue(reader: PacketReader, type: number): Buffer {
  const length = fixedLength(type);
  return length === undefined ? reader.lengthEncodedBytes() : reader.bytes(length);
}

/** Undefined for values that bear their length. */
function fixedLength(type: number): number | undefined {
  switch (type) {
    case MYSQL_TYPE_TINY:
      return 1;
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
      return 2;
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_FLOAT:
      return 4;
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_DOUBLE:
      return 8;
    default:
      return undefined;
  }
}

/** Long data is text or bytes, whatever the type says. */
function stringType(type: number): number {
  const isTemporal =
    type === MYSQL_TYPE_DATE ||
    type === MYSQL_TYPE_DATETIME ||
    type === MYSQL_TYPE_TIME ||
    type === MYSQL_TYPE_TIMESTAMP;
  const isString = fixedLength(type) === undefined && type !== MYSQL_TYPE_NULL && !isTemporal;
  return isString ? type : MYSQL_TYPE_VAR_STRING;
}

/** int<lenenc>. */
function lengthPrefix(length: number): Buffer {
  if (length < 0xfb) return Buffer.from([length]);
  if (length <= 0xffff) return Buffer.from([0xfc, length & 0xff, length >> 8]);
  const bytes = Buffer.alloc(length <= 0xffffff ? 4 : 9);
  if (length <= 0xffffff) {
    bytes[0] = 0xfd;
    bytes.writeUIntLE(length, 1, 3);
  } else {
    bytes[0] = 0xfe;
    bytes.writeBigUInt64LE(BigInt(length), 1);
  }
  return bytes;
}
