import { ERR_MARKER, OK_MARKER, SERVER_MORE_RESULTS_EXISTS } from '../wire/flags.ts';
import { Framer } from '../wire/framer.ts';
import { PacketReader } from '../wire/packet-reader.ts';
import { decodeEof, decodeOk, isEof, isErr } from '../wire/reply-packets.ts';
import type { BinaryResult } from './binary-result.ts';

/** MySQL's largest max_allowed_packet. */
const PACKET_BYTES_MAX = 2 ** 30;

/**
 * A shard's reply that cannot pass as it came: it is one of several results, whose packets are
 * numbered on and whose last ones say that more follow, or its rows leave in the binary protocol. Reads the
 * reply of COM_QUERY packet by packet and keeps the last one back until it is known what follows.
 */
export class RelayedPackets {
  readonly #framer = new Framer({ packetBytesMax: PACKET_BYTES_MAX });
  readonly #binary: BinaryResult | undefined;
  #phase: 'first' | 'columns' | 'rows' = 'first';
  #definitions: Buffer[] = [];
  #last: Buffer | undefined;
  #rows: number | undefined;

  constructor(binary: BinaryResult | undefined) {
    this.#binary = binary;
  }

  /** Of the one result set; undefined when there was none. */
  get rows(): number | undefined {
    return this.#rows;
  }

  /** The payloads that can leave now. */
  push(bytes: Buffer): readonly Buffer[] {
    const out: Buffer[] = [];
    this.#framer.push(bytes);
    for (let next = this.#framer.next(); next !== undefined; next = this.#framer.next()) {
      this.#take(next, out);
    }
    return out;
  }

  /** The last packet, once; undefined when the reply has not come to its end, or was none. */
  end(options: { readonly moreFollow: boolean }): Buffer | undefined {
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined || isErr(last) || !options.moreFollow) return last;
    return withMoreResults(last);
  }

  #take(payload: Buffer, out: Buffer[]): void {
    if (isErr(payload) && this.#phase !== 'columns') {
      this.#last = payload;
      return;
    }
    switch (this.#phase) {
      case 'first':
        if (payload[0] === OK_MARKER || isEof(payload)) {
          this.#ended(payload, out);
        } else {
          out.push(payload);
          this.#definitions = [];
          this.#phase = 'columns';
        }
        return;
      case 'columns':
        if (payload[0] === ERR_MARKER) this.#last = payload;
        else if (!isEof(payload)) this.#definitions.push(payload);
        else {
          out.push(...(this.#binary?.columns(this.#definitions) ?? this.#definitions), payload);
          this.#rows = 0;
          this.#phase = 'rows';
        }
        return;
      case 'rows':
        if (isEof(payload)) this.#ended(payload, out);
        else {
          out.push(this.#binary?.row(payload) ?? payload);
          this.#rows = (this.#rows ?? 0) + 1;
        }
    }
  }

  /** The shard itself may send several results. */
  #ended(payload: Buffer, out: Buffer[]): void {
    this.#phase = 'first';
    const { statusFlags } = payload[0] === OK_MARKER ? decodeOk(payload) : decodeEof(payload);
    if ((statusFlags & SERVER_MORE_RESULTS_EXISTS) === 0) this.#last = payload;
    else out.push(payload);
  }
}

function withMoreResults(last: Buffer): Buffer {
  const reader = new PacketReader(last, 1);
  if (last[0] === OK_MARKER) {
    reader.lengthEncoded();
    reader.lengthEncoded();
  } else {
    reader.skip(2);
  }
  const copy = Buffer.from(last);
  const at = reader.position;
  copy.writeUInt16LE(copy.readUInt16LE(at) | SERVER_MORE_RESULTS_EXISTS, at);
  return copy;
}
