import { hasFaithfulWeights, isNoPad } from '../topology/collation.ts';

/** Eight-bit sets whose plain collations weigh a space as itself (seen on MariaDB 10.11). */
const ONE_BYTE =
  /^(?:ascii|cp125[0167]|greek|hebrew|koi8r|latin[12])_(?:bin|(?:general|swedish|danish|german1|german2|spanish|croatian|hungarian|polish|bulgarian|ukrainian|lithuanian)_c[is])$/;

/**
 * The weight of one space, which a PAD SPACE collation compares shorter text with, as a latin1
 * string; empty for NO PAD; undefined when it is not known. WEIGHT_STRING does not tell whether a
 * collation pads, so the planner has to.
 */
export function padWeightOf(collation: string): string | undefined {
  if (!hasFaithfulWeights(collation)) return undefined;
  if (isNoPad(collation)) return '';
  if (ONE_BYTE.test(collation)) return '\x20';
  if (collation === 'utf8mb4_bin') return '\0\0\x20';
  const [charset, ...rest] = collation.split('_');
  if (charset !== 'utf8mb4' && charset !== 'utf8mb3' && charset !== 'utf8') return undefined;
  const name = rest.join('_');
  if (name === 'bin' || name.startsWith('general_')) return '\0\x20';
  if (name === 'unicode_520_ci' || name === 'myanmar_ci') return '\x02\x0a';
  if (name.startsWith('uca1400_')) return name.endsWith('_ai_ci') ? '\x02\x09' : undefined;
  return name.endsWith('_ci') ? '\x02\x09' : undefined;
}
