/** Somebody who waits for somebody else's lock; both by their names in the graph. */
export interface WaitEdge {
  readonly waiter: string;
  readonly blocker: string;
}

export interface Deadlock {
  /** Of the cycle, in order. */
  readonly members: readonly string[];
  readonly victim: string;
}

/**
 * Cycles of the waits-for graph, each with the member to be given up: the one with the greatest age
 * rank, so all who see the cycle choose alike. Members without a rank (connections that no proxy
 * answers for) are never chosen, and a cycle of them alone is their server's business.
 */
export function findDeadlocks(
  edges: readonly WaitEdge[],
  ageRanks: ReadonlyMap<string, number>,
): readonly Deadlock[] {
  const next = new Map<string, Set<string>>();
  for (const { waiter, blocker } of edges) {
    if (waiter === blocker) continue;
    const blockers = next.get(waiter) ?? new Set();
    next.set(waiter, blockers.add(blocker));
  }
  const found: Deadlock[] = [];
  // The youngest first: once it is given up, cycles through it are no more.
  for (const candidate of youngestFirst(ageRanks)) {
    const members = cycleThrough(candidate, next);
    if (members === undefined) continue;
    // It is the youngest of its cycle: a younger one would have come first.
    found.push({ members, victim: candidate });
    next.delete(candidate);
  }
  return found;
}

function youngestFirst(ageRanks: ReadonlyMap<string, number>): readonly string[] {
  const byRank = [...ageRanks].sort(([one, a], [other, b]) => b - a || (one < other ? 1 : -1));
  return byRank.map(([name]) => name);
}

/** The shortest way from `start` back to it. */
function cycleThrough(
  start: string,
  next: ReadonlyMap<string, ReadonlySet<string>>,
): readonly string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const blocker of next.get(at) ?? []) {
      if (blocker === start) return wayTo(at, start, cameFrom);
      if (cameFrom.has(blocker)) continue;
      cameFrom.set(blocker, at);
      queue.push(blocker);
    }
  }
  return undefined;
}

function wayTo(
  end: string,
  start: string,
  cameFrom: ReadonlyMap<string, string>,
): readonly string[] {
  const way = [end];
  for (let at = end; at !== start; ) {
    const before = cameFrom.get(at);
    if (before === undefined) break;
    way.unshift(before);
    at = before;
  }
  return way;
}
