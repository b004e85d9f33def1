import { randomFillSync } from 'node:crypto';
import { ProxyError } from '../errors/proxy-error.ts';
import {
  CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS,
  CLIENT_CONNECT_ATTRS,
  CLIENT_CONNECT_WITH_DB,
  CLIENT_FOUND_ROWS,
  CLIENT_INTERACTIVE,
  CLIENT_LONG_FLAG,
  CLIENT_LONG_PASSWORD,
  CLIENT_MULTI_RESULTS,
  CLIENT_MULTI_STATEMENTS,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CLIENT_PROTOCOL_41,
  CLIENT_RESERVED,
  CLIENT_SECURE_CONNECTION,
  CLIENT_SESSION_TRACK,
  CLIENT_SSL,
  CLIENT_TRANSACTIONS,
  SERVER_STATUS_AUTOCOMMIT,
} from '../wire/flags.ts';
import {
  CACHING_SHA2_PLUGIN,
  type ChangeUser,
  decodeChangeUser,
  decodeHandshakeResponse41,
  encodeAuthMoreData,
  encodeAuthSwitchRequest,
  encodeHandshakeV10,
  type HandshakeResponse41,
  isSslRequest,
  NONCE_BYTES,
} from '../wire/handshake-packets.ts';
import { PacketWriter } from '../wire/packet-writer.ts';
import type { Account } from './accounts.ts';
import type { ClientTransport } from './client-transport.ts';
import {
  type ClientMove,
  type ConnectionPhase,
  type LoginRequest,
  nextPhase,
  type PhaseReply,
} from './connection-phase.ts';
import type { PasswordKey } from './password-key.ts';

/**
 * What works here and no more: a flag that is offered will be used. Servers write the info of an OK
 * with its length whatever the client can do; some clients read it so only where sessions are tracked.
 */
const OFFERED_CAPABILITIES =
  CLIENT_LONG_PASSWORD |
  CLIENT_FOUND_ROWS |
  CLIENT_LONG_FLAG |
  CLIENT_CONNECT_WITH_DB |
  CLIENT_PROTOCOL_41 |
  CLIENT_INTERACTIVE |
  CLIENT_TRANSACTIONS |
  CLIENT_RESERVED |
  CLIENT_SECURE_CONNECTION |
  CLIENT_MULTI_STATEMENTS |
  CLIENT_MULTI_RESULTS |
  CLIENT_PLUGIN_AUTH |
  CLIENT_CONNECT_ATTRS |
  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA |
  CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS |
  CLIENT_SESSION_TRACK;

const GREETING_COLLATION_ID = 45; // utf8mb4_general_ci: known to every client and server

export interface LoginOptions {
  readonly transport: ClientTransport;
  readonly connectionId: number;
  readonly serverVersion: string;
  readonly passwordKey: PasswordKey;
  /** Undefined when nobody of that name may come from there. */
  readonly accountFor: (user: string, address: string) => Account | undefined;
}

/** A client that has proven who it is, and what it asked for beside. */
export interface LoggedIn {
  readonly account: Account;
  readonly database: string | undefined;
  readonly collationId: number | undefined;
  readonly attributes: ReadonlyMap<string, string>;
}

export type LoginProgress =
  /** The next packet bears this sequence id. */
  | { readonly kind: 'goes-on'; readonly nextSequence: number }
  | { readonly kind: 'start-tls'; readonly nextSequence: number }
  /** The answer of the session (OK, or 1049) bears `sequence`. */
  | { readonly kind: 'ready'; readonly login: LoggedIn; readonly sequence: number }
  | { readonly kind: 'refused'; readonly error: Error; readonly sequence: number };

/** Acts for the pure phases: reads and writes the packets of one login, also of COM_CHANGE_USER. */
export class Login {
  readonly #options: LoginOptions;
  readonly #offered: number;
  #phase: ConnectionPhase;
  /** The one that the client was sent last: COM_CHANGE_USER answers it again. */
  #nonce: Buffer;
  #capabilities = 0;
  #asked: Pick<HandshakeResponse41, 'database' | 'attributes'> & {
    readonly collationId: number | undefined;
  } = { database: undefined, attributes: new Map(), collationId: undefined };

  constructor(options: LoginOptions) {
    this.#options = options;
    this.#offered = (OFFERED_CAPABILITIES | (options.transport.offersTls ? CLIENT_SSL : 0)) >>> 0;
    this.#nonce = freshNonce();
    this.#phase = { kind: 'greeted', nonce: this.#nonce };
  }

  /** Capabilities that both sides have. */
  get capabilities(): number {
    return this.#capabilities;
  }

  get phase(): ConnectionPhase['kind'] {
    return this.#phase.kind;
  }

  greet(): void {
    const { transport, connectionId, serverVersion } = this.#options;
    if (this.#phase.kind !== 'greeted') throw new Error('a client is greeted once');
    const writer = new PacketWriter();
    writer.startPacket(0);
    encodeHandshakeV10(
      {
        serverVersion,
        threadId: connectionId,
        nonce: this.#phase.nonce,
        capabilities: this.#offered,
        collationId: GREETING_COLLATION_ID,
        statusFlags: SERVER_STATUS_AUTOCOMMIT,
        authPlugin: CACHING_SHA2_PLUGIN,
      },
      writer,
    );
    writer.endPacket();
    transport.write(writer.take());
  }

  /** A packet of the login; `sequence` is that of our answer. Throws `MalformedPacket`. */
  onPacket(payload: Buffer, sequence: number): LoginProgress {
    if (this.#phase.kind === 'greeted' && isSslRequest(payload)) {
      if (!this.#options.transport.offersTls) {
        throw new ProxyError('ER_HANDSHAKE_ERROR', 'Bad handshake: TLS was not offered');
      }
      this.#move({ kind: 'asked-for-tls' });
      return { kind: 'start-tls', nextSequence: sequence };
    }
    if (this.#phase.kind !== 'greeted' && this.#phase.kind !== 'securing') {
      return this.#answer(this.#move({ kind: 'answer', bytes: payload }), sequence);
    }
    const response = decodeHandshakeResponse41(payload);
    this.#capabilities = (response.capabilities & this.#offered) >>> 0;
    return this.#login(response, sequence);
  }

  /**
   * COM_CHANGE_USER: the login again, on the same connection. The client answers the nonce that it
   * was sent last.
   */
  onChangeUser(payload: Buffer, sequence: number): LoginProgress {
    this.#phase = { kind: 'greeted', nonce: this.#nonce };
    return this.#login(decodeChangeUser(payload, this.#capabilities), sequence);
  }

  #login(response: ChangeUser, sequence: number): LoginProgress {
    const { accountFor, transport } = this.#options;
    const { user, database, collationId, attributes, authResponse } = response;
    this.#asked = { database, collationId, attributes };
    const canSwitch = (this.#capabilities & CLIENT_PLUGIN_AUTH) !== 0;
    const login: LoginRequest = {
      claim: { user, account: accountFor(user, transport.remoteAddress) },
      plugin: response.authPlugin,
      canSwitch,
      answer: authResponse,
    };
    return this.#answer(this.#move({ kind: 'login', login }), sequence);
  }

  #move(move: ClientMove): PhaseReply {
    const { transport, passwordKey } = this.#options;
    const step = nextPhase(this.#phase, move, {
      isSecure: transport.isSecure,
      remoteAddress: transport.remoteAddress,
      freshNonce,
      publicKey: () => passwordKey.publicPem(),
      decryptPassword: (encrypted, nonce) => passwordKey.decrypt(encrypted, nonce),
    });
    this.#phase = step.phase;
    if ('nonce' in step.phase) this.#nonce = step.phase.nonce;
    return step.reply;
  }

  #answer(reply: PhaseReply, sequence: number): LoginProgress {
    let next = sequence;
    if (reply.kind !== 'nothing') {
      const writer = new PacketWriter();
      writer.startPacket(sequence);
      if (reply.kind === 'auth-switch') {
        encodeAuthSwitchRequest({ authPlugin: reply.plugin, nonce: reply.nonce }, writer);
      } else {
        encodeAuthMoreData(reply.data, writer);
      }
      next = writer.endPacket();
      this.#options.transport.write(writer.take());
    }
    const phase = this.#phase;
    if (phase.kind === 'refused') return { kind: 'refused', error: phase.error, sequence: next };
    if (phase.kind !== 'ready') return { kind: 'goes-on', nextSequence: next };
    const login: LoggedIn = { account: phase.account, ...this.#asked };
    return { kind: 'ready', login, sequence: next };
  }
}

/** Random bytes without NUL, which would end the nonce for some clients. */
function freshNonce(): Buffer {
  const nonce = randomFillSync(Buffer.alloc(NONCE_BYTES));
  for (let at = 0; at < nonce.length; at++) nonce[at] = ((nonce[at] ?? 0) % 94) + 33;
  return nonce;
}
