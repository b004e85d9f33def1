import { Fingerprinter } from '../../src/sql/fingerprint.ts';
import type { LexicalContext } from '../../src/sql/statement.ts';

const context: LexicalContext = {
  ansiQuotes: false,
  noBackslashEscapes: false,
  pipesAsConcat: false,
  ignoreSpace: false,
  highNotPrecedence: false,
  flavour: 'mariadb',
  serverVersion: 101119,
};

const STATEMENTS = {
  'point select': 'SELECT c FROM sbtest1 WHERE id = 4711234',
  'point select with strings': "SELECT a, b FROM shop.notes WHERE tenant = 'acme' AND id = 17",
  'five-line join':
    'SELECT o.id, o.total, u.name, COUNT(*) AS n, SUM(l.price * l.quantity) AS value\n' +
    'FROM orders AS o JOIN users AS u ON u.id = o.user_id\n' +
    'LEFT JOIN order_lines AS l ON l.order_id = o.id AND l.user_id = o.user_id\n' +
    "WHERE o.user_id = 12345 AND o.status IN ('open', 'paid', 'sent') AND o.at >= '2026-01-01'\n" +
    'GROUP BY o.id, o.total, u.name HAVING COUNT(*) > 2 ORDER BY o.id DESC LIMIT 20',
};

const fingerprinter = new Fingerprinter();

for (const [name, sql] of Object.entries(STATEMENTS)) {
  const text = Buffer.from(sql);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round++) {
    const rounds = 200_000;
    const before = process.cpuUsage();
    for (let i = 0; i < rounds; i++) fingerprinter.scan(text, 0, text.length, context);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / rounds);
  }
  console.log(`${name}: ${text.length} bytes, ${best.toFixed(3)} µs`);
}
