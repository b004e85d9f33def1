import { MYSQL_ERRORS, type MysqlErrorCode } from './mysql-error-codes.ts';

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A refusal the client can be told about: it always has a place in an ERR packet. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: MysqlErrorCode;
  readonly errno: number;
  readonly sqlState: string;
  /** For the operator's log line only; `message` is what the client reads. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: MysqlErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    [this.errno, this.sqlState] = MYSQL_ERRORS[code];
    this.details = options.details ?? {};
  }
}

/** A statement that Shardgate understands but does not carry out: 1235 and what to do instead. */
export function notSupported(what: string): ProxyError {
  return new ProxyError('ER_NOT_SUPPORTED_YET', `Shardgate does not support ${what}`);
}
