import { ProxyError } from '../errors/proxy-error.ts';
import { ShardError } from '../errors/shard-error.ts';
import type { ShardConfig } from '../topology/config-schema.ts';
import type { ShardId } from '../topology/strategy.ts';

/** Where a shard is and how to log in. */
export interface ShardAddress {
  readonly shard: ShardId;
  readonly config: ShardConfig;
}

/** 'shard s1 (127.0.0.1:3306)': how error messages name it. */
export function shardTitle({ shard, config }: ShardAddress): string {
  return `shard ${shard} (${config.host}:${config.port})`;
}

/** No connection could be made. Nothing was sent, so trying again is safe. */
export function cannotConnect(address: ShardAddress, cause: unknown): ProxyError {
  return new ProxyError(
    'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
    `Cannot connect to ${shardTitle(address)}: ${reasonOf(cause)}`,
    { cause },
  );
}

/** A connection broke while a command was in hand: whether it was carried out is not known. */
export function connectionLost(address: ShardAddress, cause: unknown): ProxyError {
  return new ProxyError(
    'ER_QUERY_ON_FOREIGN_DATA_SOURCE',
    `Lost connection to ${shardTitle(address)} during the statement: ${reasonOf(cause)}`,
    { cause },
  );
}

export function asShardError(
  error: { readonly errno: number; readonly sqlState: string; readonly message: string },
  shard: ShardId,
): ShardError {
  return new ShardError({ ...error, shard });
}

// An AggregateError (several addresses of one name) has no message of its own.
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') {
    return [...new Set(cause.errors.map(reasonOf))].join(', ');
  }
  return cause instanceof Error ? cause.message : String(cause);
}
