import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';

export interface BankOptions {
  readonly login: (index: number) => {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
  };
  readonly database: string;
  readonly accounts: number;
  readonly writers: number;
}

export interface BankReport {
  /** Transfers that the client was told are committed. */
  readonly acknowledged: readonly string[];
  readonly attempts: number;
  /** The sum of all balances in each snapshot that was taken meanwhile. */
  readonly snapshotSums: readonly number[];
  /** What went wrong, each kind once, with its count. */
  readonly failures: readonly string[];
}

const READERS = 2;

/** Clients that move money between random accounts, and others that look at all of it at once. */
export class Bank {
  readonly #options: BankOptions;
  readonly #acknowledged: string[] = [];
  readonly #sums: number[] = [];
  readonly #failures = new Map<string, number>();
  #attempts = 0;

  constructor(options: BankOptions) {
    this.#options = options;
  }

  async workUntil(deadline: number): Promise<BankReport> {
    const { writers } = this.#options;
    await Promise.all([
      ...Array.from({ length: writers }, (_, writer) =>
        this.#repeat(deadline, writer, (client, count) => this.#transfer(client, writer, count)),
      ),
      ...Array.from({ length: READERS }, (_, reader) =>
        this.#repeat(deadline, reader, (client) => this.#look(client)),
      ),
    ]);
    return {
      acknowledged: this.#acknowledged,
      attempts: this.#attempts,
      snapshotSums: this.#sums,
      failures: [...this.#failures]
        .sort(([, one], [, other]) => other - one)
        .map(([kind, count]) => `${count} × ${kind}`),
    };
  }

  async #repeat(
    deadline: number,
    index: number,
    work: (client: Connection, count: number) => Promise<void>,
  ): Promise<void> {
    let client: Connection | undefined;
    for (let count = 0; Date.now() < deadline; count++) {
      try {
        client ??= await this.#connect(index);
        await work(client, count);
      } catch (error) {
        this.#note(error);
        // Killed in the middle, or not up again yet: the next one has a new connection.
        client?.destroy();
        client = undefined;
        await delay(30);
      }
    }
    client?.destroy();
  }

  async #connect(index: number): Promise<Connection> {
    const { login, database } = this.#options;
    const client = await createConnection({ ...login(index), database, connectTimeout: 5_000 });
    client.on('error', () => undefined); // The same error fails the statement under way.
    return client;
  }

  /** In any order of accounts: cycles of lock waits go over several shards and are found. */
  async #transfer(client: Connection, writer: number, count: number): Promise<void> {
    const transfer = `${writer}-${count}`;
    const from = Math.floor(Math.random() * this.#options.accounts);
    const to =
      (from + 1 + Math.floor(Math.random() * (this.#options.accounts - 1))) %
      this.#options.accounts;
    this.#attempts += 1;
    await client.query('BEGIN');
    for (const [account, amount] of [
      [from, -1],
      [to, 1],
    ]) {
      await client.query('UPDATE accounts SET balance = balance + ? WHERE id = ?', [
        amount,
        account,
      ]);
      await client.query('INSERT INTO ledger VALUES (?, ?, ?)', [transfer, account, amount]);
    }
    await client.query('COMMIT');
    this.#acknowledged.push(transfer);
  }

  async #look(client: Connection): Promise<void> {
    await client.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    const [rows] = await client.query<RowDataPacket[]>('SELECT SUM(balance) AS s FROM accounts');
    await client.query('COMMIT');
    this.#sums.push(Number(rows[0]?.s));
    await delay(50);
  }

  #note(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const kind = text.replaceAll(/'sg1[^']*'/g, "'…'").replaceAll(/\d{3,}/g, '…');
    this.#failures.set(kind, (this.#failures.get(kind) ?? 0) + 1);
  }
}
