import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Account, accountOf } from '../../../src/session/accounts.ts';
import {
  type ConnectionPhase,
  nextPhase,
  type PhaseFacts,
  type PhaseStep,
} from '../../../src/session/connection-phase.ts';
import { PasswordKey } from '../../../src/session/password-key.ts';
import type { UserConfig } from '../../../src/topology/config-schema.ts';
import {
  clearAnswer,
  encryptPassword,
  nativeAnswer,
  nativeVerifier,
  sha2Answer,
  sha2Verifier,
} from '../../../src/wire/scramble.ts';

const NONCE = Buffer.from('abcdefghijklmnopqrst');
const FRESH = Buffer.from('ABCDEFGHIJKLMNOPQRST');
const SHA2 = 'caching_sha2_password';
const NATIVE = 'mysql_native_password';
const key = new PasswordKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);

const GREETED: ConnectionPhase = { kind: 'greeted', nonce: NONCE };

describe('the first answer', () => {
  const clear = account({ password: 'secret' });
  const onlySha2 = account({ password_sha2: sha2Verifier('secret').toString('hex') });
  const onlyNative = account({ password_native: `*${nativeVerifier('secret').toString('hex')}` });
  const empty = account({ password: '' });
  const fast = { kind: 'auth-more-data', data: Buffer.from([3]) };
  const full = { kind: 'auth-more-data', data: Buffer.from([4]) };
  const nothing = { kind: 'nothing' };

  test.each<[string, Account | undefined, string | undefined, Buffer, string, unknown]>([
    ['sha2, right', clear, SHA2, sha2Answer('secret', NONCE), 'ready', fast],
    ['sha2, wrong', clear, SHA2, sha2Answer('other', NONCE), 'refused', nothing],
    ['sha2 against its hash', onlySha2, SHA2, sha2Answer('secret', NONCE), 'ready', fast],
    ['sha2, none where one is needed', clear, SHA2, Buffer.alloc(0), 'refused', nothing],
    ['sha2, none where none is needed', empty, SHA2, Buffer.alloc(0), 'ready', nothing],
    ['sha2, one where none is needed', empty, SHA2, sha2Answer('x', NONCE), 'refused', nothing],
    [
      'sha2 against a native hash',
      onlyNative,
      SHA2,
      sha2Answer('secret', NONCE),
      'awaiting-password',
      full,
    ],
    ['native, right', clear, NATIVE, nativeAnswer('secret', NONCE), 'ready', nothing],
    ['native, wrong', clear, NATIVE, nativeAnswer('other', NONCE), 'refused', nothing],
    [
      'native against its hash',
      onlyNative,
      NATIVE,
      nativeAnswer('secret', NONCE),
      'ready',
      nothing,
    ],
    ['before plugins, right', clear, undefined, nativeAnswer('secret', NONCE), 'ready', nothing],
    [
      'before plugins, only sha2 known',
      onlySha2,
      undefined,
      nativeAnswer('secret', NONCE),
      'refused',
      nothing,
    ],
    ['an unknown user', undefined, SHA2, sha2Answer('secret', NONCE), 'refused', nothing],
    [
      'native, only sha2 known',
      onlySha2,
      NATIVE,
      nativeAnswer('secret', NONCE),
      'switching',
      { kind: 'auth-switch', plugin: SHA2, nonce: FRESH },
    ],
    [
      'another plugin',
      clear,
      'dialog',
      Buffer.from('x'),
      'switching',
      { kind: 'auth-switch', plugin: NATIVE, nonce: FRESH },
    ],
  ])('%s', (_title, known, plugin, answer, phase, reply) => {
    const step = login({ known, plugin, answer });

    expect(step.phase.kind).toBe(phase);
    expect(step.reply).toEqual(reply);
  });

  test('unknown users and wrong passwords read the same', () => {
    const answer = sha2Answer('other', NONCE);

    expect(refusal(login({ known: undefined, plugin: SHA2, answer }))).toBe(
      "1045 Access denied for user 'app'@'10.0.0.7' (using password: YES)",
    );
    expect(refusal(login({ known: clear, plugin: SHA2, answer }))).toBe(
      refusal(login({ known: undefined, plugin: SHA2, answer })),
    );
    expect(refusal(login({ known: clear, plugin: SHA2, answer: Buffer.alloc(0) }))).toContain(
      '(using password: NO)',
    );
  });

  test('an answer to one nonce does not serve another', () => {
    const step = login({ known: clear, plugin: SHA2, answer: sha2Answer('secret', FRESH) });

    expect(step.phase.kind).toBe('refused');
  });

  test('an account that requires TLS is refused without, before its answer is looked at', () => {
    const strict = account({ password: 'secret', tls: 'required' });
    const answer = sha2Answer('secret', NONCE);

    expect(refusal(login({ known: strict, plugin: SHA2, answer }))).toMatch(/^3159 /);
    expect(login({ known: strict, plugin: SHA2, answer }, { isSecure: true }).phase.kind).toBe(
      'ready',
    );
  });
});

describe('after an auth switch', () => {
  test('the fresh nonce counts', () => {
    const known = account({ password: 'secret' });
    const switched = login({ known, plugin: 'dialog', answer: Buffer.from('x') }).phase;

    expect(answer(switched, nativeAnswer('secret', FRESH)).phase.kind).toBe('ready');
    expect(answer(switched, nativeAnswer('secret', NONCE)).phase.kind).toBe('refused');
  });
});

describe('the full path', () => {
  const known = account({ password_native: nativeVerifier('secret').toString('hex') });
  const asked = login({ known, plugin: SHA2, answer: sha2Answer('secret', NONCE) }).phase;

  test('over TLS the password comes in clear', () => {
    expect(answer(asked, clearAnswer('secret'), { isSecure: true }).phase.kind).toBe('ready');
    expect(answer(asked, clearAnswer('other'), { isSecure: true }).phase.kind).toBe('refused');
  });

  test('without TLS it comes under our key, which is given when asked for', () => {
    const step = answer(asked, Buffer.from([2]));
    const { reply } = step;
    const pem = reply.kind === 'auth-more-data' ? reply.data : Buffer.alloc(0);

    expect(pem.toString()).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(answer(step.phase, encryptPassword('secret', NONCE, pem.toString())).phase.kind).toBe(
      'ready',
    );
    expect(answer(step.phase, encryptPassword('other', NONCE, pem.toString())).phase.kind).toBe(
      'refused',
    );
  });

  test('a password in clear without TLS is not accepted', () => {
    expect(answer(asked, clearAnswer('secret')).phase.kind).toBe('refused');
  });
});

test('TLS is asked for once, and packets out of turn are a bad handshake', () => {
  const secured = nextPhase(GREETED, { kind: 'asked-for-tls' }, facts()).phase;

  expect(secured).toEqual({ kind: 'securing', nonce: NONCE });
  expect(() => nextPhase(secured, { kind: 'asked-for-tls' }, facts())).toThrow('Bad handshake');
  expect(() => answer(GREETED, Buffer.alloc(0))).toThrow('Bad handshake');
});

describe('where users may come from', () => {
  test.each([
    [[], '192.168.1.1', true],
    [['10.0.0.0/8'], '10.1.2.3', true],
    [['10.0.0.0/8'], '11.1.2.3', false],
    [['10.0.0.1', '::1'], '10.0.0.1', true],
    [['10.0.0.1'], '10.0.0.2', false],
    [['2001:db8::/32'], '2001:db8::5', true],
    [['2001:db8::/32'], '10.0.0.1', false],
    [['localhost'], '127.0.0.1', true],
    [['localhost'], 'localhost', true],
    [['127.0.0.1'], '10.0.0.1', false],
    [['no such name'], '10.0.0.1', false],
  ])('%j admits %s: %s', (hosts, address, admitted) => {
    expect(account({ password: 'x', hosts }).admits(address)).toBe(admitted);
  });
});

function account(config: Partial<UserConfig>): Account {
  return accountOf('app', { tls: 'optional', read_only: false, hosts: [], ...config });
}

function login(
  client: { known: Account | undefined; plugin: string | undefined; answer: Buffer },
  more: Partial<PhaseFacts> = {},
): PhaseStep {
  const { known, plugin, answer: bytes } = client;
  const request = {
    claim: { user: 'app', account: known },
    plugin,
    canSwitch: plugin !== undefined,
    answer: bytes,
  };
  return nextPhase(GREETED, { kind: 'login', login: request }, facts(more));
}

function answer(phase: ConnectionPhase, bytes: Buffer, more: Partial<PhaseFacts> = {}): PhaseStep {
  return nextPhase(phase, { kind: 'answer', bytes }, facts(more));
}

function facts(more: Partial<PhaseFacts> = {}): PhaseFacts {
  return {
    isSecure: false,
    remoteAddress: '10.0.0.7',
    freshNonce: () => FRESH,
    publicKey: () => key.publicPem(),
    decryptPassword: (encrypted, nonce) => key.decrypt(encrypted, nonce),
    ...more,
  };
}

function refusal({ phase }: PhaseStep): string {
  return phase.kind === 'refused' ? `${phase.error.errno} ${phase.error.message}` : phase.kind;
}
