import type { ShardId } from '../topology/strategy.ts';
import { shardsOfTable, type Topology, tableOf } from '../topology/topology.ts';
import type { ControlConnections } from './control-connection.ts';

/** Ids from `next` up to, not including, `end` are ours to give out. */
interface Block {
  next: bigint;
  readonly end: bigint;
}

interface Sequence {
  readonly database: string;
  readonly table: string;
  readonly column: string;
  block: Block;
  /** The next block, fetched while the present one is being used up. */
  spare: Block | undefined;
  fetching: Promise<void> | undefined;
  /** Takers that have to wait do so in order. */
  waiting: Promise<unknown>;
}

/**
 * Ids that no two proxies give out twice. Blocks are taken from the metadata shard by one atomic statement; what is
 * left of a block when a proxy ends is never used, so ids have gaps, as after a restart of one MySQL.
 */
export class MetadataSequences {
  readonly #control: ControlConnections;
  readonly #current: () => Topology;
  readonly #sequences = new Map<string, Sequence>();

  constructor(control: ControlConnections, current: () => Topology) {
    this.#control = control;
    this.#current = current;
  }

  /** The first of `count` consecutive ids of the table's sequence. */
  async take(database: string, table: string, column: string, count: number): Promise<bigint> {
    const sequence = this.#sequence(database, table, column);
    const wanted = BigInt(count);
    const atOnce = sequence.waiting === IDLE ? takeFrom(sequence, wanted) : undefined;
    if (atOnce !== undefined) {
      this.#fetchAhead(sequence);
      return atOnce;
    }
    return this.#inTurn(sequence, () => this.#takeWaiting(sequence, wanted));
  }

  /**
   * Tells of an id that a client chose itself: ids given out later are above it, as with AUTO_INCREMENT. Other
   * proxies go on with the blocks that they have.
   */
  async observe(database: string, table: string, column: string, id: bigint): Promise<void> {
    const sequence = this.#sequence(database, table, column);
    if (id < sequence.block.next) return;
    await this.#inTurn(sequence, async () => {
      await sequence.fetching;
      if (sequence.spare !== undefined && id >= sequence.block.end) {
        sequence.block = sequence.spare;
        sequence.spare = undefined;
      }
      if (id < sequence.block.next) return;
      if (id < sequence.block.end) {
        sequence.block.next = id + 1n;
        return;
      }
      // What lies above it the server refuses itself; there is no id left to give out then.
      if (id >= ID_MAX) return;
      await this.#create(sequence);
      sequence.block = await this.#allocateAbove(sequence, id);
    });
  }

  /** Runs `work` when everything before it on this sequence is done. */
  #inTurn<Result>(sequence: Sequence, work: () => Promise<Result>): Promise<Result> {
    const mine = sequence.waiting.then(work);
    const settled = mine.then(
      () => {},
      () => {}, // Whoever asked hears of it; those behind try for themselves.
    );
    sequence.waiting = settled;
    void settled.then(() => {
      if (sequence.waiting === settled) sequence.waiting = IDLE;
    });
    return mine;
  }

  #sequence(database: string, table: string, column: string): Sequence {
    const name = JSON.stringify([database, table, column.toLowerCase()]);
    const known = this.#sequences.get(name);
    if (known !== undefined) return known;
    const made: Sequence = {
      database,
      table,
      column: column.toLowerCase(),
      block: { next: 0n, end: 0n },
      spare: undefined,
      fetching: undefined,
      waiting: IDLE,
    };
    this.#sequences.set(name, made);
    return made;
  }

  async #takeWaiting(sequence: Sequence, count: bigint): Promise<bigint> {
    await sequence.fetching;
    const first = takeFrom(sequence, count);
    if (first !== undefined) return first;
    const block = await this.#allocate(sequence, count);
    const isLarger = block.end - block.next - count >= sequence.block.end - sequence.block.next;
    const taken = block.next;
    block.next += count;
    if (isLarger) {
      sequence.block = block;
      sequence.spare = undefined;
    }
    return taken;
  }

  /** Fetches the next block when half of this one is used, so that nobody has to wait for it. */
  #fetchAhead(sequence: Sequence): void {
    if (sequence.spare !== undefined || sequence.fetching !== undefined) return;
    const size = BigInt(this.#current().config.limits.sequence_block);
    if (sequence.block.end - sequence.block.next > size / 2n) return;
    sequence.fetching = this.#allocate(sequence, 1n)
      .then(
        (block) => {
          sequence.spare = block;
        },
        () => {}, // Only ahead of time: whoever needs the block asks again and hears why not.
      )
      .finally(() => {
        sequence.fetching = undefined;
      });
  }

  async #allocate(sequence: Sequence, count: bigint): Promise<Block> {
    const { metadataShard, config } = this.#current();
    const block = BigInt(config.limits.sequence_block);
    const size = count > block ? count : block;
    for (;;) {
      // LAST_INSERT_ID(x) hands the new value back on this connection: read and write are one statement.
      const reply = await this.#control.query(
        metadataShard,
        `UPDATE shardgate.sequences SET next_id = LAST_INSERT_ID(next_id + ?) WHERE ${BY_NAME}`,
        [String(size), ...nameOf(sequence)],
      );
      if (reply.affectedRows > 0) return { next: reply.insertId - size, end: reply.insertId };
      await this.#create(sequence);
    }
  }

  /** A block of its own, so that the next ids of an ascending load are news to nobody. */
  async #allocateAbove(sequence: Sequence, id: bigint): Promise<Block> {
    const { metadataShard, config } = this.#current();
    const size = BigInt(config.limits.sequence_block);
    const reply = await this.#control.query(
      metadataShard,
      `UPDATE shardgate.sequences SET next_id = LAST_INSERT_ID(GREATEST(next_id, ?) + ?) WHERE ${BY_NAME}`,
      [String(id + 1n), String(size), ...nameOf(sequence)],
    );
    return { next: reply.insertId - size, end: reply.insertId };
  }

  /** Starts above every id that is in the table; leaves a sequence that exists as it is. */
  async #create(sequence: Sequence): Promise<void> {
    const { metadataShard } = this.#current();
    const params = nameOf(sequence);
    const { rows } = await this.#control.query(
      metadataShard,
      `SELECT 1 FROM shardgate.sequences WHERE ${BY_NAME}`,
      params,
    );
    if (rows.length > 0) return;
    await this.#control.query(
      metadataShard,
      'INSERT IGNORE INTO shardgate.sequences (next_id, database_name, table_name, column_name) VALUES (?, ?, ?, ?)',
      [String(await this.#firstFree(sequence)), ...params],
    );
  }

  async #firstFree(sequence: Sequence): Promise<bigint> {
    const database = this.#current().databases.get(sequence.database);
    if (database === undefined) throw new Error(`no database ${sequence.database}`);
    const shards = shardsOfTable(tableOf(database, sequence.table));
    const found = await Promise.all(shards.map((shard) => this.#firstFreeOn(shard, sequence)));
    return found.reduce(largerOf, 1n);
  }

  async #firstFreeOn(shard: ShardId, sequence: Sequence): Promise<bigint> {
    // As text: the driver may round what lies beyond 2^53.
    const largest = await this.#control.query(
      shard,
      'SELECT CAST(MAX(??) AS CHAR) AS largest FROM ??.??',
      [sequence.column, sequence.database, sequence.table],
    );
    // Also ids of rows that are gone again are not given out twice.
    const counter = await this.#control.query(
      shard,
      'SELECT CAST(AUTO_INCREMENT AS CHAR) AS counter FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
      [sequence.database, sequence.table],
    );
    const afterLargest = wholeNumber(largest.rows[0]?.largest) + 1n;
    const next = wholeNumber(counter.rows[0]?.counter);
    return largerOf(afterLargest, next);
  }
}

/** The end of BIGINT, less what blocks may reach beyond it. */
const ID_MAX = 2n ** 63n - 1n - 2n ** 32n;
const IDLE: Promise<unknown> = Promise.resolve();
const BY_NAME = 'database_name = ? AND table_name = ? AND column_name = ?';

function nameOf(sequence: Sequence): readonly string[] {
  return [sequence.database, sequence.table, sequence.column];
}

function takeFrom(sequence: Sequence, count: bigint): bigint | undefined {
  if (sequence.block.next + count > sequence.block.end && sequence.spare !== undefined) {
    if (sequence.spare.next + count > sequence.spare.end) return undefined;
    sequence.block = sequence.spare;
    sequence.spare = undefined;
  }
  const { block } = sequence;
  if (block.next + count > block.end) return undefined;
  const first = block.next;
  block.next += count;
  return first;
}

function largerOf(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

/** 0 for NULL and for what is below: sequences begin at 1. */
function wholeNumber(value: unknown): bigint {
  if (typeof value !== 'string' || !/^\d+$/.test(value)) return 0n;
  return BigInt(value);
}
