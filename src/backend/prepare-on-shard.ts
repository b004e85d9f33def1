import { COM_STMT_CLOSE, COM_STMT_PREPARE, EOF_MARKER } from '../wire/flags.ts';
import { Framer } from '../wire/framer.ts';
import { isEof, isErr } from '../wire/reply-packets.ts';
import { decodePrepareOk, type PrepareOk, statementCommand } from '../wire/statement-packets.ts';
import type { Lease } from './lease.ts';

/** Definitions are small, but a statement may have 65,535 of them. */
const DEFINITION_BYTES_MAX = 2 ** 24;

/** COM_STMT_PREPARE_OK and the raw definitions behind it. */
export interface PreparedOnShard {
  readonly ok: PrepareOk;
  readonly parameters: readonly Buffer[];
  readonly columns: readonly Buffer[];
}

/**
 * Prepares a text on the lease's connection, which keeps the statement under `key`; without a key it
 * is closed again. Throws the shard's error.
 */
export async function prepareOn(
  lease: Lease,
  text: Buffer,
  key: string | undefined,
): Promise<PreparedOnShard> {
  const prepared = await sendPrepare(lease, text);
  const statement = { id: prepared.ok.statementId, text };
  const { statements } = lease;
  const closed =
    key === undefined || statements === undefined ? [statement] : statements.add(key, statement);
  for (const { id } of closed) closeStatement(lease, id);
  return prepared;
}

function closeStatement(lease: Lease, id: number): void {
  lease.send(statementCommand(COM_STMT_CLOSE, id), {
    onReplyBytes: () => {},
    onReplyEnd: () => {},
    onReplyLost: () => {},
  });
}

function sendPrepare(lease: Lease, text: Buffer): Promise<PreparedOnShard> {
  const framer = new Framer({ packetBytesMax: DEFINITION_BYTES_MAX });
  const packets: Buffer[] = [];
  return new Promise((resolve, reject) => {
    lease.send(Buffer.concat([Buffer.from([COM_STMT_PREPARE]), text]), {
      onReplyBytes: (bytes) => {
        framer.push(bytes);
        for (let next = framer.next(); next !== undefined; next = framer.next()) packets.push(next);
      },
      onReplyEnd: (end) => {
        if (end.error !== undefined) reject(end.error);
        else resolve(readPrepared(packets));
      },
      onReplyLost: reject,
    });
  });
}

/** The answer, parameters and EOF if there are any, columns and EOF if there are any. */
function readPrepared(packets: readonly Buffer[]): PreparedOnShard {
  const [first, ...rest] = packets;
  if (first === undefined || isErr(first)) throw new Error('an answer to PREPARE without its head');
  const ok = decodePrepareOk(first);
  const definitions = rest
    .filter((packet) => packet[0] !== EOF_MARKER || !isEof(packet))
    .map((packet) => Buffer.from(packet));
  return {
    ok,
    parameters: definitions.slice(0, ok.parameterCount),
    columns: definitions.slice(ok.parameterCount, ok.parameterCount + ok.columnCount),
  };
}
