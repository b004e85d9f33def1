/** Where a command's words go, and what it may know of its surroundings. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  /** The command's result, on standard output. */
  out(text: string): void;
  /** Progress and complaints, on standard error. */
  say(text: string): void;
}

/** One word after `shardgate`. */
export interface Command {
  /** For the list of commands. */
  readonly summary: string;
  /** For `shardgate help COMMAND`: usage, options, examples. */
  readonly help: string;
  /** Resolves with the exit code. Throws `UsageError` for arguments it does not understand. */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** Exit codes; `config` is the EX_CONFIG of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const;

/** The person at the terminal asked for something that does not exist. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
