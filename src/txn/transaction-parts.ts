import type { ShardLeases } from '../backend/lease.ts';
import type { Logger } from '../observability/logger.ts';
import type { TransactionFigures } from '../observability/transaction-metrics.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import { XaCoordinator } from './commit-coordinator.ts';
import { DeadlockDetector } from './deadlocks.ts';
import type { ControlPlane, Decision } from './decisions.ts';
import { endInDoubt } from './operator-decision.ts';
import { Recovery } from './recovery.ts';
import { SnapshotGate } from './snapshot-gate.ts';
import { Transaction, type TransactionOptions } from './transaction.ts';
import { GtridSource } from './xid.ts';

export interface TransactionSurroundings {
  readonly control: ControlPlane;
  /** Of the current topology. */
  readonly shards: () => readonly ShardId[];
  readonly metadataShard: () => ShardId;
  readonly deployment: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What all transactions of a proxy share, built once. */
export class TransactionParts {
  readonly recovery: Recovery;
  readonly deadlocks: DeadlockDetector;
  readonly coordinator: XaCoordinator;

  readonly #surroundings: TransactionSurroundings;

  constructor(surroundings: TransactionSurroundings) {
    this.#surroundings = surroundings;
    const recovery = new Recovery(surroundings);
    this.recovery = recovery;
    this.deadlocks = new DeadlockDetector(surroundings);
    this.coordinator = new XaCoordinator({
      ...surroundings,
      gtrids: new GtridSource(surroundings.deployment),
      deadlocks: this.deadlocks,
      snapshots: new SnapshotGate(surroundings),
      onLeft: (left) => recovery.takeOver(left),
    });
  }

  /** The transaction takes its connections from `pools`. */
  open(pools: ShardLeases, options: TransactionOptions): Transaction {
    return new Transaction(this.coordinator, pools, options);
  }

  start(): void {
    this.recovery.start();
  }

  /** For the metrics page. */
  figures(): TransactionFigures {
    const inDoubt = this.recovery.inDoubt();
    return {
      commits: { ...this.coordinator.counters },
      recovery: { ...this.recovery.counters },
      deadlocks: { ...this.deadlocks.counters },
      inDoubt: inDoubt.length,
      inDoubtSeconds: (inDoubt[0]?.seenForMs ?? 0) / 1000,
    };
  }

  /** COMMIT IN DOUBT and ROLLBACK IN DOUBT. */
  endInDoubt(id: string, wanted: Decision): Promise<void> {
    return endInDoubt(this.#surroundings, id, wanted);
  }

  async stop(): Promise<void> {
    await Promise.all([this.recovery.stop(), this.deadlocks.stop()]);
  }
}
