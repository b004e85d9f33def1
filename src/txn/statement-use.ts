import type { ShardStatements } from '../backend/shard-statements.ts';
import type { BranchUse } from './branch.ts';

const COM_INIT_DB = 0x02;
const COM_QUERY = 0x03;
const COM_FIELD_LIST = 0x04;
const COM_PING = 0x0e;
const COM_STMT_PREPARE = 0x16;
const COM_STMT_EXECUTE = 0x17;
const COM_STMT_CLOSE = 0x19;

/** Statements that change no row. Whatever is not listed counts as a write. */
const READS = new Set(['select', 'show', 'desc', 'describe', 'explain', 'set', 'use', 'help']);
const LOCKING_WORDS = /\bfor\s+(update|share)\b|\block\s+in\s+share\s+mode\b/i;
/** Text beyond this is not looked through for locking words: they stand at the end, which is looked at. */
const TAIL_BYTES = 512;

/**
 * What a command may do on a shard, from its first word. It errs towards `wrote`: that costs a
 * prepare; taking a write for a read would leave it out of the two-phase commit.
 */
export function statementUse(
  command: Buffer,
  statements?: Pick<ShardStatements, 'byId'>,
): BranchUse {
  switch (command[0]) {
    case COM_INIT_DB:
    case COM_FIELD_LIST:
    case COM_PING:
    case COM_STMT_PREPARE:
    case COM_STMT_CLOSE:
      return 'read';
    case COM_QUERY:
      return textUse(command.subarray(1));
    case COM_STMT_EXECUTE: {
      const prepared = statements?.byId(command.readUInt32LE(1));
      return prepared === undefined ? 'wrote' : textUse(prepared.text);
    }
    default:
      return 'wrote';
  }
}

function textUse(command: Buffer): BranchUse {
  const start = firstWordAt(command);
  const word = command.toString('latin1', start, wordEnd(command, start)).toLowerCase();
  if (!READS.has(word)) return 'wrote';
  if (word !== 'select') return 'read';
  return LOCKING_WORDS.test(searched(command)) ? 'locked' : 'read';
}

function searched(command: Buffer): string {
  return command.toString('latin1', Math.max(0, command.length - TAIL_BYTES));
}

/** Skips spaces, opening parentheses and plain comments; a comment with code in it is left standing. */
function firstWordAt(command: Buffer): number {
  let at = 0;
  for (;;) {
    const byte = command[at];
    if (byte === 0x20 || byte === 0x28 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d)) {
      at += 1;
    } else if (byte === 0x2f && command[at + 1] === 0x2a && isPlainComment(command[at + 2])) {
      const end = command.indexOf('*/', at + 2, 'latin1');
      if (end === -1) return command.length;
      at = end + 2;
    } else {
      return at;
    }
  }
}

/** Neither `/*!` nor MariaDB's `/*M!`. */
function isPlainComment(byte: number | undefined): boolean {
  return byte !== 0x21 && byte !== 0x4d && byte !== 0x6d;
}

function wordEnd(command: Buffer, start: number): number {
  let at = start;
  while (at < command.length && at < start + 16) {
    const byte = (command[at] ?? 0) | 0x20;
    if (byte < 0x61 || byte > 0x7a) break;
    at += 1;
  }
  return at;
}
