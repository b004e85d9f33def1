import type { ClientReply } from '../execute/execution.ts';
import { COLLATION_UTF8MB4_GENERAL_CI } from '../wire/column-types.ts';
import {
  ERR_MARKER,
  PACKET_HEADER_BYTES,
  PACKET_PAYLOAD_MAX,
  SERVER_MORE_RESULTS_EXISTS,
} from '../wire/flags.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import { type ErrPacket, encodeEof, encodeErr, encodeOk, isErr } from '../wire/reply-packets.ts';
import {
  encodeColumnCount,
  encodeColumnDefinition,
  encodeTextRow,
} from '../wire/result-set-packets.ts';
import { encodePrepareOk, type PrepareOk } from '../wire/statement-packets.ts';
import { BinaryResult, textRowPayload } from './binary-result.ts';
import type { ClientTransport } from './client-transport.ts';
import { columnDefinition, type LocalRows } from './local-rows.ts';
import { RelayedPackets } from './relayed-packets.ts';

/** Rows are collected up to this before they are written, so that a row is not a system call. */
const FLUSH_BYTES = 32 * 1024;

/** One that a session has laid down, empty. It has one owner at a time: who takes it takes it away. */
let spareWriter: PacketWriter | undefined;

/**
 * The client's side of one command after the other: numbers packets, encodes replies, passes a
 * shard's bytes through and keeps count of them, so that an ERR can end a stream that has begun.
 */
export class ResultWriter implements ClientReply {
  readonly #transport: ClientTransport;
  /** SERVER_STATUS_… of the session, asked when a packet that bears them is made. */
  readonly #statusFlags: () => number;
  /** Of text that the proxy itself sends. */
  readonly #collationId: () => number;
  #writer: PacketWriter | undefined;
  #binary: BinaryResult | undefined;
  /** Replies that have to be looked through on their way. */
  #relayed: RelayedPackets | undefined;
  /** More results come behind the one in hand. */
  #moreFollow = false;
  #sequence = 1;
  #started = false;
  /** Payload bytes of the relayed packet in hand that have not come yet. */
  #toPass = 0;
  /** The packet in hand is full, so the next one continues it. */
  #continues = false;
  #replaced: { readonly errno: number; readonly error: ErrPacket } | undefined;
  /** Packets of the reply so far, and how many columns its first one announced. */
  #packets = 0;
  #columnCount: number | undefined;
  /** A header that a chunk cut in two. */
  #header = 0;
  #headerBytes = 0;

  constructor(
    transport: ClientTransport,
    statusFlags: () => number,
    collationId = () => COLLATION_UTF8MB4_GENERAL_CI,
  ) {
    this.#transport = transport;
    this.#collationId = collationId;
    this.#statusFlags = statusFlags;
  }

  get started(): boolean {
    return this.#started;
  }

  /** A new reply; its first packet bears `sequence`. */
  begin(sequence: number): void {
    this.#sequence = sequence;
    this.#started = false;
    this.#toPass = 0;
    this.#continues = false;
    this.#headerBytes = 0;
    this.#packets = 0;
    this.#columnCount = undefined;
    this.#replaced = undefined;
    this.#binary = undefined;
    this.#relayed = undefined;
    this.#moreFollow = false;
  }

  /** The next of several results of one command: its packets are numbered on from those before. */
  beginResult(options: { readonly moreFollow: boolean }): void {
    this.begin(this.#sequence);
    this.#moreFollow = options.moreFollow;
    this.#relayed = new RelayedPackets(undefined);
  }

  /** The statement is over: what was kept back of its reply leaves. */
  endResult(): void {
    const last = this.#relayed?.end({ moreFollow: this.#moreFollow });
    if (last === undefined) return;
    const replaced = this.#replaced;
    if (replaced !== undefined && isErr(last) && last.readUInt16LE(1) === replaced.errno) {
      this.err(replaced.error);
    } else {
      this.packet(last);
    }
  }

  /**
   * Rows that are handed over as text leave in the binary protocol, as COM_STMT_EXECUTE is answered.
   * `prepared` are the definitions that PREPARE was answered with.
   */
  sendBinary(prepared: readonly Buffer[]): void {
    this.#binary = new BinaryResult(prepared);
    this.#relayed = new RelayedPackets(this.#binary);
  }

  /** The shard's own reply is in the binary protocol already, and passes as it comes. */
  relayBinary(): void {
    this.#relayed = undefined;
  }

  /**
   * Rows of the one result set that was relayed; undefined when that cannot be told. The other
   * packets are the column count, the definitions and two EOFs.
   */
  get relayedRows(): number | undefined {
    if (this.#relayed !== undefined) return this.#relayed.rows;
    return this.#columnCount === undefined ? undefined : this.#packets - this.#columnCount - 3;
  }

  /** Should the reply end with this error of a shard, the client reads `error` instead. */
  replaceError(errno: number, error: ErrPacket): void {
    this.#replaced = { errno, error };
  }

  relay(bytes: Buffer): boolean {
    if (this.#relayed !== undefined) return this.#relayPackets(this.#relayed, bytes);
    if (this.#replaced !== undefined) return this.#relayReplacing(bytes, this.#replaced);
    this.#started = true;
    this.#count(bytes);
    if (this.#writer !== undefined) this.flush();
    return this.#transport.write(bytes);
  }

  onceDrained(resume: () => void): void {
    this.#transport.onceDrained(resume);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => this.#transport.onceDrained(resolve));
  }

  columns(shardDefinitions: readonly Buffer[]): void {
    const definitions = this.#binary?.columns(shardDefinitions) ?? shardDefinitions;
    const writer = this.#begun();
    writer.startPacket(this.#sequence);
    encodeColumnCount(definitions.length, writer);
    this.#sequence = writer.endPacket();
    for (const definition of definitions) {
      this.#sequence = writer.packet(this.#sequence, definition);
    }
    this.#eof(0);
  }

  rows(rows: readonly Buffer[]): boolean {
    const writer = this.#begun();
    let fast = true;
    for (const row of rows) {
      this.#sequence = writer.packet(this.#sequence, this.#binary?.row(row) ?? row);
      if (writer.length >= FLUSH_BYTES) fast = this.flush();
    }
    return fast;
  }

  endOfRows(end: { readonly warningCount: number }): void {
    this.#eof(end.warningCount);
    this.flush();
  }

  ok(ok: Parameters<ClientReply['ok']>[0]): void {
    const writer = this.#begun();
    writer.startPacket(this.#sequence);
    encodeOk({ ...ok, statusFlags: this.#ownStatusFlags() }, writer);
    this.#sequence = writer.endPacket();
    this.flush();
  }

  /** OK of a statement that changed nothing. */
  plainOk(): void {
    this.ok({ affectedRows: 0, lastInsertId: 0, warningCount: 0, info: '' });
  }

  localRows(result: LocalRows, warningCount = 0): void {
    const writer = this.#begun();
    const definitions = result.columns.map((one) => columnDefinition(one, this.#collationId()));
    const binary = this.#binary;
    binary?.begin(definitions);
    writer.startPacket(this.#sequence);
    encodeColumnCount(definitions.length, writer);
    this.#sequence = writer.endPacket();
    for (const definition of definitions) {
      writer.startPacket(this.#sequence);
      encodeColumnDefinition(definition, writer);
      this.#sequence = writer.endPacket();
    }
    this.#eof(0);
    for (const row of result.rows) {
      writer.startPacket(this.#sequence);
      if (binary === undefined) encodeTextRow(row, writer);
      else writer.bytes(binary.row(textRowPayload((payload) => encodeTextRow(row, payload))));
      this.#sequence = writer.endPacket();
      if (writer.length >= FLUSH_BYTES) this.flush();
    }
    this.endOfRows({ warningCount });
  }

  /** The answer to COM_FIELD_LIST: definitions and an EOF, without a count before. */
  fieldList(definitions: readonly Buffer[]): void {
    const writer = this.#begun();
    for (const definition of definitions) {
      this.#sequence = writer.packet(this.#sequence, definition);
    }
    this.endOfRows({ warningCount: 0 });
  }

  /** The answer to COM_STMT_PREPARE. */
  prepared(
    ok: PrepareOk,
    definitions: { readonly parameters: readonly Buffer[]; readonly columns: readonly Buffer[] },
  ): void {
    const writer = this.#begun();
    writer.startPacket(this.#sequence);
    encodePrepareOk(ok, writer);
    this.#sequence = writer.endPacket();
    for (const list of [definitions.parameters, definitions.columns]) {
      for (const one of list) this.#sequence = writer.packet(this.#sequence, one);
      if (list.length > 0) this.#eof(0);
    }
    this.flush();
  }

  /** The lone EOF that answers COM_SET_OPTION. */
  eof(): void {
    this.endOfRows({ warningCount: 0 });
  }

  /** One packet with a ready payload. */
  packet(payload: Buffer): void {
    this.#sequence = this.#begun().packet(this.#sequence, payload);
    this.flush();
  }

  /**
   * Ends the reply with ERR, also in the middle of rows. Returns false when that cannot be said
   * since a packet was cut off half way: only closing the connection tells the client then.
   */
  err(error: ErrPacket): boolean {
    if (this.#toPass > 0 || this.#headerBytes > 0 || this.#continues) return false;
    const writer = this.#begun();
    writer.startPacket(this.#sequence);
    encodeErr(error, writer);
    this.#sequence = writer.endPacket();
    this.flush();
    return true;
  }

  /** Sends what was collected. Returns false when the client is slow. */
  flush(): boolean {
    if (this.#writer === undefined || this.#writer.length === 0) return true;
    const bytes = this.#writer.take();
    return this.#transport.write(bytes);
  }

  /** Between commands: most sessions are idle most of the time, and need no buffer then. */
  rest(): void {
    this.flush();
    if (this.#writer !== undefined) spareWriter = this.#writer;
    this.#writer = undefined;
  }

  #ownStatusFlags(): number {
    return this.#statusFlags() | (this.#moreFollow ? SERVER_MORE_RESULTS_EXISTS : 0);
  }

  #begun(): PacketWriter {
    this.#started = true;
    if (this.#writer === undefined) {
      this.#writer = spareWriter ?? new PacketWriter();
      spareWriter = undefined;
    }
    return this.#writer;
  }

  #eof(warningCount: number): void {
    const writer = this.#begun();
    writer.startPacket(this.#sequence);
    encodeEof({ warningCount, statusFlags: this.#ownStatusFlags() }, writer);
    this.#sequence = writer.endPacket();
  }

  #relayPackets(relayed: RelayedPackets, bytes: Buffer): boolean {
    const writer = this.#begun();
    for (const payload of relayed.push(bytes)) {
      this.#sequence = writer.packet(this.#sequence, payload);
    }
    return this.flush();
  }

  /** The ERR is the last packet of a chunk, behind whatever rows the server had collected. */
  #relayReplacing(
    bytes: Buffer,
    { errno, error }: { readonly errno: number; readonly error: ErrPacket },
  ): boolean {
    this.#replaced = undefined;
    let last = this.#headerBytes > 0 ? bytes.length : this.#toPass;
    while (last + PACKET_HEADER_BYTES < bytes.length) {
      const next = last + PACKET_HEADER_BYTES + bytes.readUIntLE(last, 3);
      if (next >= bytes.length) break;
      last = next;
    }
    if (!isWholeErr(bytes.subarray(last), errno)) {
      const fast = this.relay(bytes);
      this.#replaced = { errno, error };
      return fast;
    }
    if (last > 0) this.relay(bytes.subarray(0, last));
    return this.err(error);
  }

  /** Walks the packet headers of relayed bytes. */
  #count(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      if (this.#toPass > 0) {
        if (this.#packets === 1) this.#columnCount ??= columnCountAt(bytes, at);
        const passed = Math.min(this.#toPass, end - at);
        this.#toPass -= passed;
        at += passed;
      } else if (this.#headerBytes === 0 && end - at >= PACKET_HEADER_BYTES) {
        this.#beginPacket(bytes.readUIntLE(at, 3), bytes.readUInt8(at + 3));
        at += PACKET_HEADER_BYTES;
      } else {
        this.#header = (this.#header >>> 8) | (bytes.readUInt8(at++) << 24);
        if (++this.#headerBytes === PACKET_HEADER_BYTES) {
          this.#headerBytes = 0;
          this.#beginPacket(this.#header & 0xffffff, this.#header >>> 24);
        }
      }
    }
  }

  #beginPacket(length: number, sequence: number): void {
    this.#toPass = length;
    if (!this.#continues) this.#packets++;
    this.#continues = length === PACKET_PAYLOAD_MAX;
    this.#sequence = (sequence + 1) & 0xff;
  }
}

function isWholeErr(bytes: Buffer, errno: number): boolean {
  const payloadAt = PACKET_HEADER_BYTES;
  return (
    bytes.length > payloadAt + 2 &&
    bytes.readUIntLE(0, 3) === bytes.length - payloadAt &&
    bytes[payloadAt] === ERR_MARKER &&
    bytes.readUInt16LE(payloadAt + 1) === errno
  );
}

/** int<lenenc> of at most two bytes, when it is there: tables have at most 4096 columns. */
function columnCountAt(bytes: Buffer, at: number): number | undefined {
  const first = bytes[at];
  if (first === undefined || first === 0 || first > 0xfc) return undefined;
  if (first < 0xfb) return first;
  return first === 0xfc && at + 3 <= bytes.length ? bytes.readUInt16LE(at + 1) : undefined;
}
