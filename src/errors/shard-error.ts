/** An ERR packet of a shard, kept as it came so that the client reads the server's own words. */
export class ShardError extends Error {
  override readonly name = 'ShardError';
  readonly errno: number;
  readonly sqlState: string;
  readonly shard: string;

  constructor(error: { errno: number; sqlState: string; message: string; shard: string }) {
    super(error.message);
    this.errno = error.errno;
    this.sqlState = error.sqlState;
    this.shard = error.shard;
  }
}
