import type { ShardLeases } from '../backend/lease.ts';
import type { Logger } from '../observability/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ShardId } from '../topology/strategy.ts';
import { XaCoordinator } from './commit-coordinator.ts';
import { DeadlockDetector } from './deadlocks.ts';
import type { ControlPlane } from './decisions.ts';
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

  constructor(surroundings: TransactionSurroundings) {
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

  async stop(): Promise<void> {
    await Promise.all([this.recovery.stop(), this.deadlocks.stop()]);
  }
}
