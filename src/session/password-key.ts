import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { decryptPassword } from '../wire/scramble.ts';

const MODULUS_BITS = 2048;

/** The RSA key under which clients without TLS send their password (caching_sha2_password, full path). */
export class PasswordKey {
  readonly #privateKey: KeyObject;
  readonly #publicPem: Buffer;

  constructor(privateKeyPem: string | KeyObject) {
    this.#privateKey =
      typeof privateKeyPem === 'string' ? createPrivateKey(privateKeyPem) : privateKeyPem;
    const publicKey = createPublicKey(this.#privateKey);
    this.#publicPem = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }));
  }

  /** A new key, in a thread of its own: it takes some tens of milliseconds. */
  static async generate(): Promise<PasswordKey> {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS });
    return new PasswordKey(privateKey);
  }

  publicPem(): Buffer {
    return this.#publicPem;
  }

  /** Undefined when it was not encrypted for this key. */
  decrypt(encrypted: Buffer, nonce: Buffer): string | undefined {
    return decryptPassword(encrypted, nonce, this.#privateKey);
  }
}
