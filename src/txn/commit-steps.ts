/**
 * The steps of a two-phase commit at which a fault test ends or holds the proxy, in order. Between
 * two of them nothing reaches a disk.
 */
export const COMMIT_STEPS = [
  'before-prepare',
  'prepare-sent',
  'one-prepared',
  'all-prepared',
  'decision-sent',
  'decided',
  'second-phase-sent',
  'one-committed',
  'before-answer',
] as const;

export type CommitStep = (typeof COMMIT_STEPS)[number];

/** Called at each step; the commit waits for what it returns. */
export type CommitStepHook = (step: CommitStep) => void | Promise<void>;
