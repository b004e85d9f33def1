import {
  constants,
  createHash,
  type KeyLike,
  privateDecrypt,
  publicEncrypt,
  timingSafeEqual,
} from 'node:crypto';

const EMPTY = Buffer.alloc(0);

/**
 * Passwords on the wire, for both sides. A *verifier* is what a server stores (a hash of a hash),
 * an *answer* what a client sends: the password's hash, masked by the server's nonce.
 */

/** SHA1(SHA1(password)): what `mysql_native_password` keeps, in hex behind a star. */
export function nativeVerifier(password: string): Buffer {
  return sha1(sha1(Buffer.from(password)));
}

/** SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))); nothing for an empty password. */
export function nativeAnswer(password: string, nonce: Buffer): Buffer {
  if (password === '') return EMPTY;
  const stage1 = sha1(Buffer.from(password));
  return maskWith(stage1, sha1(nonce, sha1(stage1)));
}

export function isNativeAnswer(answer: Buffer, nonce: Buffer, verifier: Buffer): boolean {
  const mask = sha1(nonce, verifier);
  if (answer.length !== mask.length) return false;
  return isSame(sha1(maskWith(answer, mask)), verifier);
}

/** SHA256(SHA256(password)): what `caching_sha2_password` keeps in its cache for the fast path. */
export function sha2Verifier(password: string): Buffer {
  return sha256(sha256(Buffer.from(password)));
}

/** SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce); nothing for an empty password. */
export function sha2Answer(password: string, nonce: Buffer): Buffer {
  if (password === '') return EMPTY;
  const stage1 = sha256(Buffer.from(password));
  return maskWith(stage1, sha256(sha256(stage1), nonce));
}

export function isSha2Answer(answer: Buffer, nonce: Buffer, verifier: Buffer): boolean {
  const mask = sha256(verifier, nonce);
  if (answer.length !== mask.length) return false;
  return isSame(sha256(maskWith(answer, mask)), verifier);
}

/** A password that came in clear (TLS) or by RSA, against the verifier of the fast path. */
export function isSha2Password(password: string, verifier: Buffer): boolean {
  return isSame(sha2Verifier(password), verifier);
}

/** The full path over TLS sends the password as string<NUL>. */
export function clearAnswer(password: string): Buffer {
  return Buffer.from(`${password}\0`);
}

/** Undefined when the closing NUL is missing. */
export function readClearAnswer(answer: Buffer): string | undefined {
  return answer.at(-1) === 0 ? answer.toString('utf8', 0, answer.length - 1) : undefined;
}

/** The full path without TLS: the password with its NUL, masked by the nonce, under the server's public key. */
export function encryptPassword(password: string, nonce: Buffer, publicKey: KeyLike): Buffer {
  const masked = maskWith(clearAnswer(password), nonce);
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, masked);
}

/** Undefined when it was not encrypted for this key or is no password. */
export function decryptPassword(
  answer: Buffer,
  nonce: Buffer,
  privateKey: KeyLike,
): string | undefined {
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return readClearAnswer(maskWith(privateDecrypt({ key: privateKey, padding }, answer), nonce));
  } catch {
    // Whatever does not decrypt is a wrong password; to say more would help an attacker only.
    return undefined;
  }
}

function sha1(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function sha256(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

// The mask repeats when it is shorter, as `xor_string` of the server does.
function maskWith(text: Buffer, mask: Buffer): Buffer {
  const masked = Buffer.from(text);
  for (let at = 0; at < masked.length; at++) {
    masked[at] = (masked[at] ?? 0) ^ (mask[at % mask.length] ?? 0);
  }
  return masked;
}

function isSame(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
