import { CACHING_SHA2_PLUGIN, NATIVE_PASSWORD_PLUGIN } from '../wire/handshake-packets.ts';
import { isNativeAnswer, isSha2Answer, nativeVerifier, sha2Verifier } from '../wire/scramble.ts';
import type { Account, Verifiers } from './accounts.ts';

export type AuthPlugin = typeof CACHING_SHA2_PLUGIN | typeof NATIVE_PASSWORD_PLUGIN;

/** Who says to be whom, with the account that this may be; undefined: nobody of that name, or not from there. */
export interface Claim {
  readonly user: string;
  readonly account: Account | undefined;
}

export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'denied' }
  /** The answer cannot be judged by this plugin: only the password itself can. */
  | { readonly kind: 'needs-password' }
  /** The answer cannot be judged: ask again by this plugin. */
  | { readonly kind: 'switch'; readonly plugin: AuthPlugin };

const ACCEPTED: Verdict = { kind: 'accepted' };
const DENIED: Verdict = { kind: 'denied' };

/**
 * Judges the first answer of a client, made by `plugin` (undefined: a client of before plugins,
 * which knows the native one only).
 */
export function judgeAnswer(
  claim: Claim,
  answer: { readonly plugin: string | undefined; readonly bytes: Buffer; readonly nonce: Buffer },
): Verdict {
  const { account } = claim;
  if (account === undefined) return DENIED;
  const { verifiers } = account;
  switch (answer.plugin) {
    case CACHING_SHA2_PLUGIN: {
      const verifier = sha2VerifierOf(verifiers);
      if (answer.bytes.length === 0 || isLoneNul(answer.bytes)) return emptyPassword(verifiers);
      if (verifier === undefined) {
        return verifiers.native === undefined ? DENIED : { kind: 'needs-password' };
      }
      return isSha2Answer(answer.bytes, answer.nonce, verifier) ? ACCEPTED : DENIED;
    }
    case undefined:
    case NATIVE_PASSWORD_PLUGIN: {
      const verifier = nativeVerifierOf(verifiers);
      if (verifier === undefined) {
        if (answer.plugin === undefined || verifiers.sha2 === undefined) return DENIED;
        return { kind: 'switch', plugin: CACHING_SHA2_PLUGIN };
      }
      if (answer.bytes.length === 0) return emptyPassword(verifiers);
      return isNativeAnswer(answer.bytes, answer.nonce, verifier) ? ACCEPTED : DENIED;
    }
    default:
      // Clients with a default plugin of their own know the native one; accounts may not.
      return {
        kind: 'switch',
        plugin:
          nativeVerifierOf(verifiers) === undefined ? CACHING_SHA2_PLUGIN : NATIVE_PASSWORD_PLUGIN,
      };
  }
}

/** Judges the password itself, which came over TLS or under our public key. */
export function judgePassword(claim: Claim, password: string | undefined): Verdict {
  if (claim.account === undefined || password === undefined) return DENIED;
  const { native, sha2, password: clear } = claim.account.verifiers;
  // Hashes are compared, so that the time taken tells nothing about the password in the config.
  if (native !== undefined) return isEqual(nativeVerifier(password), native);
  if (sha2 !== undefined) return isEqual(sha2Verifier(password), sha2);
  return clear === undefined ? DENIED : isEqual(sha2Verifier(password), sha2Verifier(clear));
}

function isEqual(left: Buffer, right: Buffer): Verdict {
  return left.equals(right) ? ACCEPTED : DENIED;
}

function emptyPassword(verifiers: Verifiers): Verdict {
  if (verifiers.password !== undefined) return verifiers.password === '' ? ACCEPTED : DENIED;
  if (verifiers.sha2 !== undefined) return isEqual(sha2Verifier(''), verifiers.sha2);
  return verifiers.native === undefined ? DENIED : isEqual(nativeVerifier(''), verifiers.native);
}

function sha2VerifierOf(verifiers: Verifiers): Buffer | undefined {
  return (
    verifiers.sha2 ??
    (verifiers.password === undefined ? undefined : sha2Verifier(verifiers.password))
  );
}

function nativeVerifierOf(verifiers: Verifiers): Buffer | undefined {
  return (
    verifiers.native ??
    (verifiers.password === undefined ? undefined : nativeVerifier(verifiers.password))
  );
}

/** Some clients answer an empty password with its closing NUL. */
function isLoneNul(bytes: Buffer): boolean {
  return bytes.length === 1 && bytes[0] === 0;
}
