import { createConnection, type RowDataPacket } from 'mysql2/promise';

/** A client of the proxy or of a server, as any application would be one. */
export interface ClientConnection {
  /** The rows, as objects by column name; empty for statements without rows. */
  query(sql: string): Promise<readonly Record<string, unknown>[]>;
  end(): Promise<void>;
}

export interface ClientLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database?: string;
}

const CONNECT_TIMEOUT_MS = 10_000;

export async function connectClient(login: ClientLogin): Promise<ClientConnection> {
  const { host, port, user, password, database } = login;
  const connection = await createConnection({
    host,
    port,
    user,
    password,
    ...(database === undefined ? {} : { database }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    supportBigNumbers: true,
    dateStrings: true,
  });
  return {
    async query(sql) {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return Array.isArray(rows) ? rows : [];
    },
    end: () => connection.end(),
  };
}
