import { createHash, randomBytes } from 'node:crypto';
import type { ShardId } from '../topology/strategy.ts';

/** Names one distributed transaction: the global part of the XID of all its branches. */
export type Gtrid = string & { readonly gtrid: unique symbol };

/** The format id of our XIDs: the bytes 'SGAT'. Other XA users have 1 or numbers of their own. */
export const XID_FORMAT = 0x53474154;

/** The manual's limit for gtrid and for bqual ("XA Transaction SQL Statements"). */
const PART_BYTES_MAX = 64;
const PREFIX = 'sg1';
const DEPLOYMENT = /^[A-Za-z0-9_-]{1,16}$/;
const PLAIN_SHARD = /^[A-Za-z0-9_.-]{1,22}$/;

/** What the name of a distributed transaction tells to whoever finds it. */
export interface GtridParts {
  readonly deployment: string;
  /** See `shardToken`. */
  readonly decisionShard: string;
  readonly unique: string;
}

/** One row of XA RECOVER that is ours. */
export interface PreparedBranch {
  readonly gtrid: Gtrid;
  /** The shard by its token, as the coordinator knew it: the address may serve another name by now. */
  readonly branch: string;
}

/** Makes names that no other proxy, process or start of one makes. */
export class GtridSource {
  readonly deployment: string;
  readonly #process = randomBytes(9).toString('base64url');
  #count = 0;

  /** Throws when `deployment` cannot stand in an XID. */
  constructor(deployment: string) {
    if (!DEPLOYMENT.test(deployment)) {
      throw new Error(`the deployment id must match ${DEPLOYMENT.source}: '${deployment}'`);
    }
    this.deployment = deployment;
  }

  next(decisionShard: ShardId): Gtrid {
    this.#count += 1;
    return printGtrid({
      deployment: this.deployment,
      decisionShard: shardToken(decisionShard),
      unique: `${this.#process}${this.#count.toString(36)}`,
    });
  }
}

/** 'sg1.<deployment>.<decision shard>.<unique>': only characters that need no quoting or charset. */
export function printGtrid(parts: GtridParts): Gtrid {
  const text = `${PREFIX}.${parts.deployment}.${parts.decisionShard}.${parts.unique}`;
  if (text.length > PART_BYTES_MAX) throw new Error(`gtrid is too long: ${text}`);
  return text as Gtrid; // The one place where the brand is given to a text of our own making.
}

/** Undefined for what is not one of our names. A shard's name may contain dots, the other parts not. */
export function parseGtrid(text: string): (GtridParts & { readonly gtrid: Gtrid }) | undefined {
  const match = /^sg1\.([A-Za-z0-9_-]{1,16})\.([A-Za-z0-9_.~-]{1,22})\.([A-Za-z0-9_-]+)$/.exec(
    text,
  );
  if (match === null || text.length > PART_BYTES_MAX) return undefined;
  const [, deployment = '', decisionShard = '', unique = ''] = match;
  return { gtrid: text as Gtrid, deployment, decisionShard, unique };
}

/** The shard's name, or a digest of it where the name is long or has characters beyond plain ones. */
export function shardToken(shard: ShardId): string {
  if (PLAIN_SHARD.test(shard)) return shard;
  return `~${createHash('sha256').update(shard).digest('base64url').slice(0, 21)}`;
}

/** The shard that a token in an XID stands for. */
export function shardOfToken(token: string, shards: Iterable<ShardId>): ShardId | undefined {
  for (const shard of shards) {
    if (shardToken(shard) === token) return shard;
  }
  return undefined;
}

/** The XID as XA statements take it: 'gtrid','bqual',format. */
export function xidSql(gtrid: Gtrid, branch: string): string {
  return `'${gtrid}','${branch}',${XID_FORMAT}`;
}

/**
 * Reads one row of XA RECOVER. Undefined for branches that are not ours or belong to another
 * deployment: those are left alone.
 */
export function parsePreparedBranch(
  row: Readonly<Record<string, unknown>>,
  deployment: string,
): PreparedBranch | undefined {
  if (Number(row.formatID) !== XID_FORMAT) return undefined;
  // The driver gives text or bytes, depending on the server's column type.
  const data = row.data instanceof Uint8Array ? latin1(row.data) : String(row.data);
  const gtridLength = Number(row.gtrid_length);
  const parts = parseGtrid(data.slice(0, gtridLength));
  const branch = data.slice(gtridLength);
  if (parts?.deployment !== deployment || !/^[A-Za-z0-9_.~-]{1,22}$/.test(branch)) return undefined;
  return { gtrid: parts.gtrid, branch };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
