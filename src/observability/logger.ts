import { type Logger as PinoLogger, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export type LogFields = Readonly<Record<string, unknown>>;

/** Short fixed messages with fields; statements appear as fingerprints, values and secrets never. */
export interface Logger {
  child(fields: LogFields): Logger;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Field names that never reach the log, wherever in a logged object they stand. */
const SECRET_FIELDS = ['password', 'password_sha2', 'password_native', 'authResponse', 'key'];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** File descriptor: 2 by default, so that a command's own output stays apart. */
  readonly descriptor?: number;
}

export function createLogger(options: LoggerOptions): Logger {
  const redact = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redact, censor: '***' },
    },
    pino.destination({ dest: options.descriptor ?? 2, sync: true }),
  );
  return new LazyLogger(() => logger);
}

/** For tests and for parts that were given no logger. */
export const silentLogger: Logger = {
  child: () => silentLogger,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/** A child costs some kilobytes in pino and most sessions log nothing: it is made at first use. */
class LazyLogger implements Logger {
  readonly #make: () => PinoLogger;
  #made: PinoLogger | undefined;

  constructor(make: () => PinoLogger) {
    this.#make = make;
  }

  child(fields: LogFields): Logger {
    return new LazyLogger(() => this.#logger.child(fields));
  }

  debug(message: string, fields?: LogFields): void {
    this.#logger.debug(withError(fields), message);
  }

  info(message: string, fields?: LogFields): void {
    this.#logger.info(withError(fields), message);
  }

  warn(message: string, fields?: LogFields): void {
    this.#logger.warn(withError(fields), message);
  }

  error(message: string, fields?: LogFields): void {
    this.#logger.error(withError(fields), message);
  }

  get #logger(): PinoLogger {
    this.#made ??= this.#make();
    return this.#made;
  }
}

/** pino prints a stack only of a field named `err`. */
function withError(fields: LogFields | undefined): LogFields {
  if (fields === undefined) return {};
  const { error, ...rest } = fields;
  return error instanceof Error ? { ...rest, err: error } : fields;
}
