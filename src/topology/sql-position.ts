import { isCodePointOrder, isNoPad } from './collation.ts';
import { sqlHash } from './key-hash.ts';
import type { KeyType } from './strategy.ts';

/**
 * SQL that computes a key's position on the hash rings from a column, so that counting, verifying and cleaning up run
 * inside the shards. `column` is SQL for the column; `pad` what its collation pads with (`RoutingCaches.padOf`).
 */
export function sqlPositionExpression(column: string, type: KeyType, pad: string): string {
  const text = sqlKeyText(column, type, pad);
  return `COALESCE(${sqlHash(text)}, 0)`;
}

/** The column's value as the text whose hash places it: the same as `String(RoutingKey)`. */
function sqlKeyText(column: string, type: KeyType, pad: string): string {
  switch (type.kind) {
    case 'integer':
      // Plus 0, since the text of a ZEROFILL column has leading zeros.
      return `CAST(${column} + 0 AS CHAR)`;
    case 'decimal': {
      const text = `CAST(${column} + 0 AS CHAR)`;
      if (type.scale === 0) return text;
      return `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${text}))`;
    }
    case 'date':
      return `DATE_FORMAT(${column}, '%Y-%m-%d')`;
    case 'datetime':
      return `DATE_FORMAT(${column}, '%Y-%m-%d %H:%i:%s.%f')`;
    case 'binary':
      return column;
    case 'text': {
      if (isCodePointOrder(type.collation)) {
        const text = isNoPad(type.collation) ? column : `RTRIM(${column})`;
        return `CONVERT(${text} USING utf8mb4)`;
      }
      if (pad === '') return `WEIGHT_STRING(${column})`;
      const hex = Buffer.from(pad, 'latin1').toString('hex');
      return `TRIM(TRAILING x'${hex}' FROM WEIGHT_STRING(${column}))`;
    }
  }
}
