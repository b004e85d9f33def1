import type { OtherStatement, TransactionStatement } from './statement.ts';
import type { TokenCursor } from './token-cursor.ts';

/** BEGIN and START TRANSACTION. */
export function parseBegin(cursor: TokenCursor): TransactionStatement {
  const { start } = cursor;
  if (cursor.accept('BEGIN')) {
    cursor.accept('WORK');
    return { kind: 'begin', consistentSnapshot: false, span: cursor.spanFrom(start) };
  }
  cursor.expect('START');
  cursor.expect('TRANSACTION');
  let readOnly: boolean | undefined;
  let consistentSnapshot = false;
  if (!cursor.atEnd() && !cursor.is(';')) {
    do {
      if (cursor.acceptSequence('WITH', 'CONSISTENT', 'SNAPSHOT')) consistentSnapshot = true;
      else if (cursor.acceptSequence('READ', 'ONLY')) readOnly = true;
      else if (cursor.acceptSequence('READ', 'WRITE')) readOnly = false;
      else cursor.fail('a transaction characteristic');
    } while (cursor.accept(','));
  }
  const mode = readOnly === undefined ? {} : { readOnly };
  return { kind: 'begin', ...mode, consistentSnapshot, span: cursor.spanFrom(start) };
}

/** COMMIT and ROLLBACK with CHAIN and RELEASE, ROLLBACK TO a savepoint, and those of operators. */
export function parseTransactionEnd(cursor: TokenCursor): TransactionStatement | OtherStatement {
  const { start } = cursor;
  const kind = cursor.is('COMMIT') ? 'commit' : 'rollback';
  cursor.advance();
  if (cursor.acceptSequence('IN', 'DOUBT')) {
    if (!cursor.isString()) cursor.fail('the id of a transaction');
    const expressions = [cursor.operand()];
    const verb = kind === 'commit' ? 'COMMIT IN DOUBT' : 'ROLLBACK IN DOUBT';
    return { kind: 'other', verb, tables: [], expressions, span: cursor.spanFrom(start) };
  }
  cursor.accept('WORK');
  if (kind === 'rollback' && cursor.accept('TO')) {
    cursor.accept('SAVEPOINT');
    const name = cursor.identifier('a savepoint');
    return { kind: 'rollback-to', name, span: cursor.spanFrom(start) };
  }
  const chain = cursor.accept('AND') ? flag(cursor, 'CHAIN') : undefined;
  const releaseNext = cursor.is('RELEASE') || cursor.isSequence('NO', 'RELEASE');
  const release = releaseNext ? flag(cursor, 'RELEASE') : undefined;
  if (chain === true && release === true) cursor.fail('CHAIN or RELEASE, not both');
  return {
    kind,
    ...(chain === undefined ? {} : { chain }),
    ...(release === undefined ? {} : { release }),
    span: cursor.spanFrom(start),
  };
}

/** The word, or NO and the word. */
function flag(cursor: TokenCursor, word: string): boolean {
  const wanted = !cursor.accept('NO');
  cursor.expect(word);
  return wanted;
}

/** SAVEPOINT s and RELEASE SAVEPOINT s. */
export function parseSavepoint(cursor: TokenCursor): TransactionStatement {
  const { start } = cursor;
  const kind = cursor.accept('RELEASE') ? 'release-savepoint' : 'savepoint';
  cursor.expect('SAVEPOINT');
  const name = cursor.identifier('a savepoint');
  return { kind, name, span: cursor.spanFrom(start) };
}
