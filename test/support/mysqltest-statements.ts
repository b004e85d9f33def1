/** Statements of a mysqltest script, as written, without the words that only mysqltest knows. */
export function* statementsOf(script: string): Generator<string> {
  let delimiter = ';';
  let at = 0;
  while (at < script.length) {
    at = skipBlank(script, at);
    const lineEnd = endOfLine(script, at);
    const line = script.slice(at, lineEnd);
    if (/^(#|--|\}|\{)/.test(line)) {
      at = /^--\s*(perl|write_file|append_file)\b/i.test(line)
        ? pastHereDocument(script, at)
        : lineEnd;
      continue;
    }
    if (/^(perl|write_file|append_file)\b/i.test(line)) {
      at = pastHereDocument(script, at);
      continue;
    }
    if (/^(if|while)\s*\(/i.test(line)) {
      at = lineEnd;
      continue;
    }
    const end = statementEnd(script, at, delimiter);
    const statement = script.slice(at, end).trim();
    at = end + delimiter.length;
    const change = /^delimiter\s+(.*)$/is.exec(statement);
    if (change !== null) delimiter = (change[1] ?? ';').trim();
    // A dollar may be a variable that mysqltest replaces: what the server saw is unknown.
    else if (statement !== '' && !/\$\w/.test(statement)) yield statement;
  }
}

function skipBlank(script: string, from: number): number {
  let at = from;
  while (at < script.length && /\s/.test(script[at] ?? '')) at++;
  return at;
}

function endOfLine(script: string, from: number): number {
  const newline = script.indexOf('\n', from);
  return newline < 0 ? script.length : newline + 1;
}

/** Past the line EOF, or the word in brackets behind the file's name. */
function pastHereDocument(script: string, from: number): number {
  const first = endOfLine(script, from);
  const word = /\s(\w+)\s*;?\s*$/.exec(script.slice(from, first))?.[1];
  const marker = word !== undefined && /^[A-Z_]+$/.test(word) ? word : 'EOF';
  const found = script.indexOf(`\n${marker}`, first - 1);
  return found < 0 ? script.length : endOfLine(script, found + 1);
}

/** The delimiter outside of quotes and comments. */
function statementEnd(script: string, from: number, delimiter: string): number {
  let at = from;
  while (at < script.length) {
    if (script.startsWith(delimiter, at)) return at;
    const character = script[at] ?? '';
    if (character === "'" || character === '"' || character === '`') {
      at = quotedEnd(script, at);
    } else if (script.startsWith('/*', at)) {
      const end = script.indexOf('*/', at + 2);
      at = end < 0 ? script.length : end + 2;
    } else if (character === '#' || /^--\s/.test(script.slice(at, at + 3))) {
      at = endOfLine(script, at);
    } else {
      at++;
    }
  }
  return script.length;
}

function quotedEnd(script: string, from: number): number {
  const quote = script[from];
  let at = from + 1;
  while (at < script.length && script[at] !== quote) {
    if (script[at] === '\\' && quote !== '`') at++;
    at++;
  }
  return at + 1;
}
