export interface CommitLimits {
  /** One command of ours on one shard. Its connection counts as lost afterwards. */
  readonly commandTimeoutMs: number;
  /**
   * A rollback may wait behind a statement that waits itself. Closing the connection has the same
   * effect, so there is no use in being patient.
   */
  readonly rollBackTimeoutMs: number;
  /** How long the client waits while the decision shard does not say what it decided. */
  readonly resolveTimeoutMs: number;
  /**
   * From the start of a commit to its decision. Recovery's 'abort' marks are kept far longer
   * (`abortsKeptMs`), so no commit this slow may still decide.
   */
  readonly decisionTimeoutMs: number;
}

export const COMMIT_LIMITS: CommitLimits = {
  commandTimeoutMs: 30_000,
  rollBackTimeoutMs: 3_000,
  resolveTimeoutMs: 15_000,
  decisionTimeoutMs: 600_000,
};
