import type { ClientConnection } from './client-connection.ts';

/** The database that `shardgate dev` shows: small, but with one of each kind of table. */
export const SHOP_CONFIG = `databases:
  shop:
    default: s1                      # tables not named below live here, whole
    strategies:
      by_user: { type: hash, shards: [s1, s2, s3, s4] }
    tables:
      users:     { key: id, strategy: by_user, generate: { id: sequence } }
      orders:    { key: user_id, strategy: by_user, generate: { id: sequence } }
      products:  reference           # a full copy on every shard: joins never leave one
      countries: reference
`;

const TABLES = [
  `CREATE TABLE countries (
    code CHAR(2) PRIMARY KEY,
    name VARCHAR(60) NOT NULL
  )`,
  `CREATE TABLE products (
    id INT PRIMARY KEY,
    name VARCHAR(60) NOT NULL,
    price DECIMAL(8,2) NOT NULL
  )`,
  `CREATE TABLE users (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    name VARCHAR(60) NOT NULL,
    country CHAR(2) NOT NULL
  )`,
  `CREATE TABLE orders (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    user_id BIGINT NOT NULL,
    product_id INT NOT NULL,
    quantity INT NOT NULL,
    amount DECIMAL(10,2) NOT NULL,
    KEY (user_id)
  )`,
  `CREATE TABLE settings (
    name VARCHAR(60) PRIMARY KEY,
    value VARCHAR(200) NOT NULL
  )`,
];

const COUNTRIES = [
  ['AT', 'Austria'],
  ['BR', 'Brazil'],
  ['CA', 'Canada'],
  ['DE', 'Germany'],
  ['IN', 'India'],
  ['JP', 'Japan'],
  ['KE', 'Kenya'],
  ['NO', 'Norway'],
] as const;

const PRODUCTS = [
  ['Anvil', 9900],
  ['Bicycle bell', 1250],
  ['Compass', 2480],
  ['Desk lamp', 4599],
  ['Easel', 7325],
  ['Flute', 15010],
] as const;

const FIRST_NAMES = ['Ada', 'Bo', 'Chidi', 'Dora', 'Emil', 'Fatima', 'Goro', 'Hana', 'Ines', 'Jun'];
const LAST_NAMES = ['Abel', 'Berg', 'Castro', 'Dahl', 'Endo', 'Fischer', 'Gupta', 'Haddad'];

const USER_COUNT = 200;
const ORDER_COUNT = 600;
const ROWS_PER_INSERT = 100;

interface Order {
  readonly userId: number;
  readonly productId: number;
  readonly quantity: number;
  readonly cents: number;
}

const USERS = Array.from({ length: USER_COUNT }, (_, index) => ({
  id: index + 1,
  name: `${cyclic(FIRST_NAMES, index)} ${cyclic(LAST_NAMES, Math.floor(index / 3))}`,
  country: cyclic(COUNTRIES, index * 5)[0],
}));

const ORDERS: readonly Order[] = Array.from({ length: ORDER_COUNT }, (_, index) => {
  const product = index % PRODUCTS.length;
  const quantity = (index % 4) + 1;
  const [, price] = cyclic(PRODUCTS, product);
  return {
    userId: ((index * 7) % USER_COUNT) + 1,
    productId: product + 1,
    quantity,
    cents: price * quantity,
  };
});

/** Creates the tables and fills them, through the proxy like any application would. */
export async function fillShop(shop: ClientConnection): Promise<void> {
  for (const table of TABLES) await shop.query(table);
  await insert(
    shop,
    'countries (code, name)',
    COUNTRIES.map(([code, name]) => [code, name]),
  );
  await insert(
    shop,
    'products (id, name, price)',
    PRODUCTS.map(([name, cents], index) => [index + 1, name, money(cents)]),
  );
  await insert(
    shop,
    'users (id, name, country)',
    USERS.map(({ id, name, country }) => [id, name, country]),
  );
  await insert(
    shop,
    'orders (user_id, product_id, quantity, amount)',
    ORDERS.map(({ userId, productId, quantity, cents }) => [
      userId,
      productId,
      quantity,
      money(cents),
    ]),
  );
  await insert(shop, 'settings (name, value)', [['motto', 'One MySQL, four servers']]);
}

/** A statement worth trying, and the answer one MySQL with all rows would give. */
export interface SampleStatement {
  readonly sql: string;
  readonly expected: readonly (readonly string[])[];
}

export const SAMPLE_STATEMENTS: readonly SampleStatement[] = [
  {
    sql: 'SELECT id, name FROM users WHERE id = 42',
    expected: USERS.filter(({ id }) => id === 42).map(({ id, name }) => [String(id), name]),
  },
  {
    sql:
      'SELECT u.name, p.name AS product, o.quantity FROM users u JOIN orders o ON o.user_id = u.id ' +
      'JOIN products p ON p.id = o.product_id WHERE u.id = 7 ORDER BY p.name, o.quantity',
    expected: ordersOfUser(7),
  },
  {
    sql: 'SELECT user_id, SUM(amount) AS spent FROM orders GROUP BY user_id ORDER BY spent DESC, user_id LIMIT 3',
    expected: bestCustomers(3),
  },
];

/** More statements with a known answer, one for each way through the proxy. */
export const CHECKS: readonly SampleStatement[] = [
  ...SAMPLE_STATEMENTS,
  { sql: 'SELECT COUNT(*) FROM users', expected: [[String(USER_COUNT)]] },
  {
    sql: 'SELECT COUNT(*), SUM(amount), MAX(quantity) FROM orders WHERE user_id BETWEEN 1 AND 8',
    expected: totalsOf(ORDERS.filter(({ userId }) => userId <= 8)),
  },
  { sql: "SELECT name FROM countries WHERE code = 'NO'", expected: [['Norway']] },
  { sql: 'SELECT value FROM settings', expected: [['One MySQL, four servers']] },
];

/** The rows of an answer as text, in the order of its columns: what `expected` is compared with. */
export function asText(rows: readonly Readonly<Record<string, unknown>>[]): string[][] {
  return rows.map((row) => Object.values(row).map(String));
}

async function insert(
  shop: ClientConnection,
  target: string,
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_PER_INSERT) {
    const values = rows
      .slice(start, start + ROWS_PER_INSERT)
      .map((row) => `(${row.map(literal).join(', ')})`);
    await shop.query(`INSERT INTO ${target} VALUES ${values.join(', ')}`);
  }
}

// The sample's own text holds neither quotes nor backslashes.
function literal(value: string | number): string {
  return typeof value === 'number' ? String(value) : `'${value}'`;
}

function ordersOfUser(id: number): readonly (readonly string[])[] {
  const user = USERS.find((candidate) => candidate.id === id);
  return ORDERS.filter(({ userId }) => userId === id)
    .map(({ productId, quantity }) => [
      user?.name ?? '',
      cyclic(PRODUCTS, productId - 1)[0],
      String(quantity),
    ])
    .sort((a, b) =>
      a[1] === b[1] ? Number(a[2]) - Number(b[2]) : (a[1] ?? '') < (b[1] ?? '') ? -1 : 1,
    );
}

function bestCustomers(count: number): readonly (readonly string[])[] {
  const spent = new Map<number, number>();
  for (const { userId, cents } of ORDERS) spent.set(userId, (spent.get(userId) ?? 0) + cents);
  return [...spent]
    .sort(([idA, a], [idB, b]) => b - a || idA - idB)
    .slice(0, count)
    .map(([id, cents]) => [String(id), money(cents)]);
}

function totalsOf(orders: readonly Order[]): readonly (readonly string[])[] {
  const cents = orders.reduce((sum, order) => sum + order.cents, 0);
  const quantity = Math.max(...orders.map((order) => order.quantity));
  return [[String(orders.length), money(cents), String(quantity)]];
}

function money(cents: number): string {
  return (cents / 100).toFixed(2);
}

function cyclic<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('an empty list has no items');
  return item;
}
