import { ProxyError } from '../errors/proxy-error.ts';

/** A savepoint of the client and the plain name it has on the shards. */
export interface Savepoint {
  readonly name: string;
  readonly shardName: string;
}

/**
 * The savepoints of a transaction in the order they were set. Shards get names of ours, so quoting
 * and character sets do not matter, and a branch that opens later can be given all of them.
 */
export class Savepoints {
  #standing: readonly Savepoint[] = [];
  readonly #shardNames = new Map<string, string>();

  get standing(): readonly Savepoint[] {
    return this.#standing;
  }

  /** A name that stands already moves to the end, as on the shards, which get the same statement. */
  set(name: string): Savepoint {
    const key = compared(name);
    const shardName = this.#shardNames.get(key) ?? `shardgate_${this.#shardNames.size + 1}`;
    this.#shardNames.set(key, shardName);
    const savepoint = { name, shardName };
    this.#standing = [...this.#standing.filter((one) => one.shardName !== shardName), savepoint];
    return savepoint;
  }

  /** Throws 1305 for a name that does not stand. */
  find(name: string): Savepoint {
    const shardName = this.#shardNames.get(compared(name));
    const found = this.#standing.find((one) => one.shardName === shardName);
    if (found === undefined) {
      throw new ProxyError('ER_SP_DOES_NOT_EXIST', `SAVEPOINT ${name} does not exist`);
    }
    return found;
  }

  /** ROLLBACK TO forgets the later ones. */
  rolledBackTo(savepoint: Savepoint): void {
    this.#standing = this.#standing.slice(0, this.#standing.indexOf(savepoint) + 1);
  }

  /** RELEASE forgets the later ones too (tried on MySQL 9.7 and MariaDB 10.11). */
  released(savepoint: Savepoint): void {
    this.#standing = this.#standing.slice(0, this.#standing.indexOf(savepoint));
  }
}

/** Servers compare savepoint names by utf8_general_ci: case and accents do not count (tried on both). */
function compared(name: string): string {
  return name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
