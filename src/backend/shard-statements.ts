/** Statements that a connection keeps; the one unused for longest gives way. */
const STATEMENTS_MAX = 128;

/** A statement as one backend connection knows it. */
export interface ShardStatement {
  /** The server's own number. */
  readonly id: number;
  readonly text: Buffer;
}

/**
 * What one backend connection has prepared, by key. The key says everything that made the server
 * read the text as it did: the text, the database, the character set, the sql_mode.
 */
export class ShardStatements {
  readonly #byKey = new Map<string, ShardStatement>();
  readonly #byId = new Map<number, ShardStatement>();

  find(key: string): ShardStatement | undefined {
    const found = this.#byKey.get(key);
    if (found === undefined) return undefined;
    // To the end of the map: it was used last.
    this.#byKey.delete(key);
    this.#byKey.set(key, found);
    return found;
  }

  byId(id: number): ShardStatement | undefined {
    return this.#byId.get(id);
  }

  /** Returns those that give way: the caller closes them on the server. */
  add(key: string, statement: ShardStatement): readonly ShardStatement[] {
    const out: ShardStatement[] = [];
    const before = this.#byKey.get(key);
    if (before !== undefined) out.push(before);
    this.#byKey.delete(key);
    this.#byKey.set(key, statement);
    this.#byId.set(statement.id, statement);
    for (const [oldest, old] of this.#byKey) {
      if (this.#byKey.size <= STATEMENTS_MAX) break;
      this.#byKey.delete(oldest);
      out.push(old);
    }
    for (const { id } of out) this.#byId.delete(id);
    return out;
  }

  /** The server has forgotten it. */
  drop(key: string): void {
    const found = this.#byKey.get(key);
    if (found === undefined) return;
    this.#byKey.delete(key);
    this.#byId.delete(found.id);
  }

  /** COM_RESET_CONNECTION has closed them all. */
  clear(): void {
    this.#byKey.clear();
    this.#byId.clear();
  }
}
