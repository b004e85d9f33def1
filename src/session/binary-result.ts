import { notSupported } from '../errors/proxy-error.ts';
import { BinaryRows, hasInexactText } from '../wire/binary-row.ts';
import { PacketReader } from '../wire/packet-reader.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import { type ColumnDefinition, decodeColumnDefinition } from '../wire/result-set-packets.ts';

/** Catalog, schema, table and original table stand before the name. */
const FIELDS_BEFORE_NAME = 4;

/**
 * Rows that were read or made as text, on their way to a client that executes a prepared statement.
 * `prepared` are the definitions it was given at PREPARE: where the text has a literal in place of a
 * parameter, columns still bear the names of then.
 */
export class BinaryResult {
  readonly #prepared: readonly Buffer[];
  #rows: BinaryRows | undefined;

  constructor(prepared: readonly Buffer[]) {
    this.#prepared = prepared;
  }

  columns(definitions: readonly Buffer[]): readonly Buffer[] {
    this.begin(definitions.map(decodeColumnDefinition));
    if (definitions.length !== this.#prepared.length) return definitions;
    return definitions.map((definition, index) =>
      renamed(definition, this.#prepared[index] as Buffer),
    );
  }

  begin(columns: readonly ColumnDefinition[]): void {
    const inexact = columns.find(hasInexactText);
    if (inexact !== undefined) {
      throw notSupported(
        `the FLOAT column '${inexact.name}' in a prepared statement over several shards: ` +
          'CAST it to DOUBLE, or send the statement as text',
      );
    }
    this.#rows = new BinaryRows(columns);
  }

  row(text: Buffer): Buffer {
    if (this.#rows === undefined) throw new Error('a row before the columns');
    return this.#rows.row(text);
  }
}

/** `definition` under the name that `other` has. */
function renamed(definition: Buffer, other: Buffer): Buffer {
  const [start, end] = nameOf(definition);
  const [from, to] = nameOf(other);
  if (definition.compare(other, from, to, start, end) === 0) return definition;
  return Buffer.concat([
    definition.subarray(0, start),
    other.subarray(from, to),
    definition.subarray(end),
  ]);
}

/** From the length of the name to its end. */
function nameOf(definition: Buffer): readonly [start: number, end: number] {
  const reader = new PacketReader(definition);
  for (let field = 0; field < FIELDS_BEFORE_NAME; field++) reader.lengthEncodedBytes();
  const start = reader.position;
  reader.lengthEncodedBytes();
  return [start, reader.position];
}

/** A text row as a payload of its own. */
export function textRowPayload(encode: (writer: PacketWriter) => void): Buffer {
  const writer = new PacketWriter();
  encode(writer);
  return writer.take();
}
