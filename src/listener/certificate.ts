import type { SecureContext } from 'node:tls';
import type { ProxyConfig } from '../topology/config-schema.ts';
import { secureContextOf } from './secure-context.ts';

/** The certificate that new clients see. */
export class Certificate {
  #context: SecureContext | undefined;

  get context(): SecureContext | undefined {
    return this.#context;
  }

  /** Reads it, whether or not the config names another file: it may have been renewed. */
  async prepare({ tls }: ProxyConfig): Promise<() => void> {
    // Made once, since clients may have stored it.
    const isMade = tls?.self_signed === true && this.#context !== undefined;
    const context = isMade ? this.#context : await secureContextOf(tls);
    return () => {
      this.#context = context;
    };
  }
}
