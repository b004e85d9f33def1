import { ProxyError } from '../errors/proxy-error.ts';
import { unreachable } from '../runtime/assert.ts';
import { CACHING_SHA2_PLUGIN } from '../wire/handshake-packets.ts';
import { readClearAnswer } from '../wire/scramble.ts';
import type { Account } from './accounts.ts';
import {
  type AuthPlugin,
  type Claim,
  judgeAnswer,
  judgePassword,
  type Verdict,
} from './authenticate.ts';

/** What the login said; the same for COM_CHANGE_USER, which goes through the same phases. */
export interface LoginRequest {
  readonly claim: Claim;
  /** Undefined when the client cannot be asked again (no CLIENT_PLUGIN_AUTH). */
  readonly plugin: string | undefined;
  readonly canSwitch: boolean;
  readonly answer: Buffer;
}

export type ConnectionPhase =
  /** Our greeting is out; an SSLRequest or the login comes. */
  | { readonly kind: 'greeted'; readonly nonce: Buffer }
  /** TLS was asked for; only the login may come. */
  | { readonly kind: 'securing'; readonly nonce: Buffer }
  /** The client was asked to answer by another plugin. */
  | {
      readonly kind: 'switching';
      readonly login: LoginRequest;
      readonly plugin: AuthPlugin;
      readonly nonce: Buffer;
    }
  /** caching_sha2_password, full path: the password comes, or a request for our public key. */
  | { readonly kind: 'awaiting-password'; readonly login: LoginRequest; readonly nonce: Buffer }
  | { readonly kind: 'ready'; readonly account: Account }
  | { readonly kind: 'refused'; readonly error: ProxyError };

export type ClientMove =
  | { readonly kind: 'asked-for-tls' }
  | { readonly kind: 'login'; readonly login: LoginRequest }
  | { readonly kind: 'answer'; readonly bytes: Buffer };

/** The packet that a phase is entered with; `ok` is the session's, since the database is checked first. */
export type PhaseReply =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'auth-switch'; readonly plugin: AuthPlugin; readonly nonce: Buffer }
  | { readonly kind: 'auth-more-data'; readonly data: Buffer };

export interface PhaseStep {
  readonly phase: ConnectionPhase;
  readonly reply: PhaseReply;
}

/** What a step needs to know and cannot keep: the state of the socket, and secrets of the process. */
export interface PhaseFacts {
  readonly isSecure: boolean;
  readonly remoteAddress: string;
  /** For an auth switch: fresh, so that no answer serves twice. */
  readonly freshNonce: () => Buffer;
  /** Our public key, PEM. */
  readonly publicKey: () => Buffer;
  readonly decryptPassword: (encrypted: Buffer, nonce: Buffer) => string | undefined;
}

const NOTHING: PhaseReply = { kind: 'nothing' };

// caching_sha2_password: bytes of the extra packets, "Caching_sha2_password information".
const REQUEST_PUBLIC_KEY = 0x02;
const FAST_AUTH_SUCCESS = Buffer.from([0x03]);
const PERFORM_FULL_AUTHENTICATION = Buffer.from([0x04]);

/** Where the handshake goes next. Pure: the session sends packets and starts TLS. */
export function nextPhase(phase: ConnectionPhase, move: ClientMove, facts: PhaseFacts): PhaseStep {
  switch (phase.kind) {
    case 'greeted':
      if (move.kind === 'asked-for-tls') {
        return { phase: { kind: 'securing', nonce: phase.nonce }, reply: NOTHING };
      }
      return afterLogin(phase.nonce, move, facts);
    case 'securing':
      return afterLogin(phase.nonce, move, facts);
    case 'switching':
      return afterSwitch(phase, move, facts);
    case 'awaiting-password':
      return afterPassword(phase, move, facts);
    case 'ready':
    case 'refused':
      throw new Error(`the handshake is over (${phase.kind})`);
    default:
      return unreachable(phase);
  }
}

function afterLogin(nonce: Buffer, move: ClientMove, facts: PhaseFacts): PhaseStep {
  if (move.kind !== 'login') throw outOfOrder();
  const { login } = move;
  if (login.claim.account?.tlsRequired === true && !facts.isSecure) {
    return refuse(
      new ProxyError(
        'ER_SECURE_TRANSPORT_REQUIRED',
        'Connections using insecure transport are prohibited for this user: connect with TLS',
      ),
    );
  }
  const { plugin } = login;
  const verdict = judgeAnswer(login.claim, { plugin, bytes: login.answer, nonce });
  return afterVerdict(
    verdict,
    { login, plugin, nonce, usingPassword: login.answer.length > 0 },
    facts,
  );
}

function afterSwitch(
  phase: ConnectionPhase & { readonly kind: 'switching' },
  move: ClientMove,
  facts: PhaseFacts,
): PhaseStep {
  if (move.kind !== 'answer') throw outOfOrder();
  const { login, plugin, nonce } = phase;
  const verdict = judgeAnswer(login.claim, { plugin, bytes: move.bytes, nonce });
  const usingPassword = move.bytes.length > 0;
  // Asked once already: whatever would ask again is a denial.
  const final: Verdict = verdict.kind === 'switch' ? { kind: 'denied' } : verdict;
  return afterVerdict(final, { login, plugin, nonce, usingPassword }, facts);
}

function afterPassword(
  phase: ConnectionPhase & { readonly kind: 'awaiting-password' },
  move: ClientMove,
  facts: PhaseFacts,
): PhaseStep {
  if (move.kind !== 'answer') throw outOfOrder();
  const { login, nonce } = phase;
  if (!facts.isSecure && move.bytes.length === 1 && move.bytes[0] === REQUEST_PUBLIC_KEY) {
    return { phase, reply: { kind: 'auth-more-data', data: facts.publicKey() } };
  }
  const password = facts.isSecure
    ? readClearAnswer(move.bytes)
    : facts.decryptPassword(move.bytes, nonce);
  const verdict = judgePassword(login.claim, password);
  return verdict.kind === 'accepted' && login.claim.account !== undefined
    ? { phase: { kind: 'ready', account: login.claim.account }, reply: NOTHING }
    : deny(login, facts, true);
}

interface Judged {
  readonly login: LoginRequest;
  readonly plugin: string | undefined;
  readonly nonce: Buffer;
  readonly usingPassword: boolean;
}

function afterVerdict(verdict: Verdict, judged: Judged, facts: PhaseFacts): PhaseStep {
  const { login, nonce } = judged;
  switch (verdict.kind) {
    case 'accepted': {
      const { account } = login.claim;
      if (account === undefined) return deny(login, facts, judged.usingPassword);
      // A client of this plugin that sent an answer waits for word that it was enough.
      const fast = judged.plugin === CACHING_SHA2_PLUGIN && judged.usingPassword;
      return {
        phase: { kind: 'ready', account },
        reply: fast ? { kind: 'auth-more-data', data: FAST_AUTH_SUCCESS } : NOTHING,
      };
    }
    case 'denied':
      return deny(login, facts, judged.usingPassword);
    case 'needs-password':
      return {
        phase: { kind: 'awaiting-password', login, nonce },
        reply: { kind: 'auth-more-data', data: PERFORM_FULL_AUTHENTICATION },
      };
    case 'switch': {
      if (!login.canSwitch) return deny(login, facts, judged.usingPassword);
      const { plugin } = verdict;
      const fresh = facts.freshNonce();
      return {
        phase: { kind: 'switching', login, plugin, nonce: fresh },
        reply: { kind: 'auth-switch', plugin, nonce: fresh },
      };
    }
    default:
      return unreachable(verdict);
  }
}

/** Unknown users and wrong passwords read the same, so that names cannot be tried out. */
function deny(login: LoginRequest, facts: PhaseFacts, usingPassword: boolean): PhaseStep {
  const { user } = login.claim;
  const using = usingPassword ? 'YES' : 'NO';
  return refuse(
    new ProxyError(
      'ER_ACCESS_DENIED_ERROR',
      `Access denied for user '${user}'@'${facts.remoteAddress}' (using password: ${using})`,
    ),
  );
}

function refuse(error: ProxyError): PhaseStep {
  return { phase: { kind: 'refused', error }, reply: NOTHING };
}

function outOfOrder(): ProxyError {
  return new ProxyError('ER_HANDSHAKE_ERROR', 'Bad handshake');
}
