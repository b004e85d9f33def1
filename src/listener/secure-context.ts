import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { ProxyError } from '../errors/proxy-error.ts';
import type { ListenerTlsConfig } from '../topology/config-schema.ts';
import { makeSelfSignedCertificate } from './self-signed-certificate.ts';

/** The certificate that clients see; undefined when the config has no `tls`. */
export async function secureContextOf(
  tls: ListenerTlsConfig | undefined,
): Promise<SecureContext | undefined> {
  if (tls === undefined) return undefined;
  if (tls.cert === undefined || tls.key === undefined) {
    const { certificatePem, keyPem } = makeSelfSignedCertificate({ now: Date.now() });
    return createSecureContext({ cert: certificatePem, key: keyPem });
  }
  try {
    const [cert, key] = await Promise.all([readFile(tls.cert), readFile(tls.key)]);
    return createSecureContext({ cert, key });
  } catch (cause) {
    throw new ProxyError('ER_UNKNOWN_ERROR', 'the certificate of `tls` cannot be used', { cause });
  }
}
