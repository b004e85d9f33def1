/** Where a client is, as the session sees it: bytes in order, and no other property of the socket. */
export interface ClientTransport {
  /** '10.0.0.7', or 'localhost' for a unix socket. */
  readonly remoteAddress: string;
  /** TLS is on, or the bytes never leave the machine's kernel (unix socket). */
  readonly isSecure: boolean;
  /** A TLS upgrade is possible. */
  readonly offersTls: boolean;
  /** Takes ownership of `bytes`. Returns false when the client is slow: wait for `onceDrained`. */
  write(bytes: Buffer): boolean;
  /** Runs `resume` once everything written so far has gone out, at once when it has; also when closed. */
  onceDrained(resume: () => void): void;
  /** Upgrades in place; `unread` came behind the SSLRequest and belongs to the TLS handshake. */
  startTls(unread: Buffer): void;
  pause(): void;
  resume(): void;
  /** Sends what is written and closes. */
  end(): void;
  destroy(): void;
}

/** What the listener calls on a session. */
export interface ClientHandler {
  /** `chunk` belongs to the handler. */
  onBytes(chunk: Buffer): void;
  /** The connection is gone; called exactly once. */
  onClosed(): void;
}
