import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  clearAnswer,
  decryptPassword,
  encryptPassword,
  isNativeAnswer,
  isSha2Answer,
  isSha2Password,
  nativeAnswer,
  nativeVerifier,
  readClearAnswer,
  sha2Answer,
  sha2Verifier,
} from '../../../src/wire/scramble.ts';

const NONCE = Buffer.from('0123456789abcdefghij');

test('verifiers are the hashes that servers store', () => {
  // SELECT PASSWORD('secret') of MariaDB 10.11.
  expect(nativeVerifier('secret').toString('hex').toUpperCase()).toBe(
    '14E65567ABDB5135D0CFD9A70B3032C179A49EE7',
  );
  expect(sha2Verifier('secret').length).toBe(32);
});

describe.each([
  ['mysql_native_password', nativeAnswer, nativeVerifier, isNativeAnswer, 20],
  ['caching_sha2_password', sha2Answer, sha2Verifier, isSha2Answer, 32],
] as const)('%s', (_plugin, answerOf, verifierOf, isAnswer, length) => {
  test('the right password is accepted and no other', () => {
    const answer = answerOf('größe', NONCE);

    expect(answer.length).toBe(length);
    expect(isAnswer(answer, NONCE, verifierOf('größe'))).toBe(true);
    expect(isAnswer(answer, NONCE, verifierOf('grösse'))).toBe(false);
    expect(isAnswer(answer, Buffer.from('another nonce 123456'), verifierOf('größe'))).toBe(false);
  });

  test('an answer of another length is wrong, not an error', () => {
    expect(isAnswer(Buffer.alloc(0), NONCE, verifierOf('x'))).toBe(false);
    expect(isAnswer(Buffer.alloc(64), NONCE, verifierOf('x'))).toBe(false);
  });

  test('an empty password has an empty answer', () => {
    expect(answerOf('', NONCE).length).toBe(0);
  });
});

describe('the full path of caching_sha2_password', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });

  test.each(['a', 'größe', 'a password that is longer than the nonce'])(
    'by RSA: %s',
    (password) => {
      const answer = encryptPassword(password, NONCE, pem);

      expect(decryptPassword(answer, NONCE, privateKey)).toBe(password);
      expect(decryptPassword(answer, Buffer.alloc(20, 1), privateKey)).not.toBe(password);
    },
  );

  test('what was not encrypted for this key is no password', () => {
    expect(decryptPassword(Buffer.alloc(256, 1), NONCE, privateKey)).toBeUndefined();
    expect(decryptPassword(Buffer.alloc(3), NONCE, privateKey)).toBeUndefined();
  });

  test('in clear over TLS', () => {
    expect(readClearAnswer(clearAnswer('secret'))).toBe('secret');
    expect(readClearAnswer(Buffer.from('secret'))).toBeUndefined();
    expect(isSha2Password('secret', sha2Verifier('secret'))).toBe(true);
    expect(isSha2Password('Secret', sha2Verifier('secret'))).toBe(false);
  });
});
