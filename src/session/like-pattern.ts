/** MySQL's LIKE with the default escape, without case: for the names that SHOW … LIKE filters. */
export function likePattern(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern.charAt(at);
    if (sign === '%') source += '.*';
    else if (sign === '_') source += '.';
    else if (sign === '\\' && at + 1 < pattern.length) source += escaped(pattern.charAt(++at));
    else source += escaped(sign);
  }
  return new RegExp(`^${source}$`, 'isu');
}

function escaped(sign: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(sign) ? `\\${sign}` : sign;
}
