import {
  COM_CHANGE_USER,
  COM_FIELD_LIST,
  COM_INIT_DB,
  COM_PING,
  COM_PROCESS_KILL,
  COM_QUERY,
  COM_QUIT,
  COM_RESET_CONNECTION,
  COM_SET_OPTION,
  COM_STATISTICS,
  COM_STMT_CLOSE,
  COM_STMT_EXECUTE,
  COM_STMT_FETCH,
  COM_STMT_PREPARE,
  COM_STMT_RESET,
  COM_STMT_SEND_LONG_DATA,
} from './flags.ts';
import { MalformedPacket, PacketReader } from './packet-reader.ts';
import { decodeLongData, type LongData, statementIdOf } from './statement-packets.ts';

/** What a client asks for between its login and its goodbye. Buffers are views of the payload. */
export type ClientCommand =
  | { readonly kind: 'query'; readonly text: Buffer }
  | { readonly kind: 'ping' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'statistics' }
  | { readonly kind: 'reset-connection' }
  /** In the client's character set, as sent. */
  | { readonly kind: 'init-db'; readonly database: Buffer }
  | { readonly kind: 'field-list'; readonly table: Buffer; readonly wildcard: Buffer }
  /** For `decodeChangeUser`, which needs the capabilities of the login. */
  | { readonly kind: 'change-user'; readonly payload: Buffer }
  /** MYSQL_OPTION_MULTI_STATEMENTS_…. */
  | { readonly kind: 'set-option'; readonly option: number }
  | { readonly kind: 'prepare'; readonly text: Buffer }
  /** For `decodeExecute`, which needs to know the statement. */
  | { readonly kind: 'execute'; readonly statementId: number }
  | { readonly kind: 'fetch'; readonly statementId: number }
  | { readonly kind: 'reset-statement'; readonly statementId: number }
  /** These two have no answer. */
  | { readonly kind: 'close-statement'; readonly statementId: number }
  | ({ readonly kind: 'long-data' } & LongData)
  | { readonly kind: 'process-kill'; readonly threadId: number }
  | { readonly kind: 'unknown'; readonly command: number };

/** Throws `MalformedPacket` for an empty payload and for one that ends within a field. */
export function decodeClientCommand(payload: Buffer): ClientCommand {
  const command = payload[0];
  switch (command) {
    case undefined:
      throw new MalformedPacket('a command without its first byte');
    case COM_QUERY:
      return { kind: 'query', text: payload.subarray(1) };
    case COM_PING:
      return { kind: 'ping' };
    case COM_QUIT:
      return { kind: 'quit' };
    case COM_STATISTICS:
      return { kind: 'statistics' };
    case COM_RESET_CONNECTION:
      return { kind: 'reset-connection' };
    case COM_INIT_DB:
      return { kind: 'init-db', database: payload.subarray(1) };
    case COM_FIELD_LIST: {
      const reader = new PacketReader(payload, 1);
      const table = reader.nullTerminated();
      return { kind: 'field-list', table, wildcard: reader.rest() };
    }
    case COM_CHANGE_USER:
      return { kind: 'change-user', payload };
    case COM_SET_OPTION:
      return { kind: 'set-option', option: new PacketReader(payload, 1).uint16() };
    case COM_STMT_PREPARE:
      return { kind: 'prepare', text: payload.subarray(1) };
    case COM_STMT_EXECUTE:
      return { kind: 'execute', statementId: statementIdOf(payload) };
    case COM_STMT_FETCH:
      return { kind: 'fetch', statementId: statementIdOf(payload) };
    case COM_STMT_RESET:
      return { kind: 'reset-statement', statementId: statementIdOf(payload) };
    case COM_STMT_CLOSE:
      return { kind: 'close-statement', statementId: statementIdOf(payload) };
    case COM_STMT_SEND_LONG_DATA:
      return { kind: 'long-data', ...decodeLongData(payload) };
    case COM_PROCESS_KILL:
      return { kind: 'process-kill', threadId: new PacketReader(payload, 1).uint32() };
    default:
      return { kind: 'unknown', command };
  }
}
