import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../src/backend/run-command.ts';
import { connectToShard, queryCommand } from '../../src/backend/shard-connection.ts';
import { makeSelfSignedCertificate } from '../../src/listener/self-signed-certificate.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ShardConfig } from '../../src/topology/config-schema.ts';
import type { ShardId } from '../../src/topology/strategy.ts';
import { type DevServer, describeServers, startOwnServer } from '../support/mysql-servers.ts';

await describeServers('TLS to a shard', (flavour) => {
  let folder: string;
  let server: DevServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shardgate-tls-'));
    for (const name of ['right', 'other']) {
      const { certificatePem, keyPem } = makeSelfSignedCertificate({ now: Date.now() });
      await writeFile(join(folder, `${name}.crt`), certificatePem);
      await writeFile(join(folder, `${name}.key`), keyPem);
    }
    const options = [`--ssl-cert=${folder}/right.crt`, `--ssl-key=${folder}/right.key`];
    server = await startOwnServer({ flavour, options });
    const root = await connect({});
    await runCommand(root, queryCommand("CREATE USER secure IDENTIFIED BY 'pw' REQUIRE SSL"));
    await runCommand(root, queryCommand("GRANT ALL ON *.* TO 'secure'"));
    root.close();
  });

  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  test('an account that requires TLS gets in with the right authority', async () => {
    // Twice: caching_sha2_password sends the password in the tunnel at first, and not any more then.
    for (let login = 0; login < 2; login++) {
      const connection = await connect({ ...SECURE, tls: tls({ ca: `${folder}/right.crt` }) });
      await expect(runCommand(connection, queryCommand('DO 1'))).resolves.toMatchObject({
        kind: 'ok',
      });
      connection.close();
    }
  });

  test('a large reply comes whole through TLS', async () => {
    const connection = await connect({ ...SECURE, tls: tls({ verify: false }) });
    let bytes = 0;
    await new Promise<void>((resolve, reject) =>
      connection.send(queryCommand("SELECT REPEAT('x', 3000000)"), {
        onReplyBytes: (chunk) => {
          bytes += chunk.length;
        },
        onReplyEnd: () => resolve(),
        onReplyLost: reject,
      }),
    );
    connection.close();

    expect(bytes).toBeGreaterThan(3_000_000);
  });

  test('a certificate that another authority signed is refused', async () => {
    await expect(
      connect({ ...SECURE, tls: tls({ ca: `${folder}/other.crt` }) }),
    ).rejects.toMatchObject({
      code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      message: expect.stringContaining('certificate'),
    });
  });

  test('a certificate for another name is refused', async () => {
    const ca = `${folder}/right.crt`;
    await expect(
      connect({ ...SECURE, tls: tls({ ca, server_name: 'db.example.org' }) }),
    ).rejects.toThrow(/altnames|certificate/);
  });

  test('an authority file that is missing is told by name', async () => {
    await expect(connect({ ...SECURE, tls: tls({ ca: `${folder}/none.crt` }) })).rejects.toThrow(
      'none.crt',
    );
  });

  test('without TLS the account is refused', async () => {
    await expect(connect(SECURE)).rejects.toThrow('Access denied');
  });

  function connect(changes: Partial<ShardConfig>) {
    const { host, port, user, password } = server.address;
    const base = { host, port, user, password, replicas: [], connections_max: 1 };
    return connectToShard({
      address: { shard: 's1' as ShardId, config: { ...base, ...changes } },
      foundRows: false,
      connectTimeoutMs: 5_000,
      clock: systemClock,
    });
  }
});

const SECURE = { user: 'secure', password: 'pw' };

function tls(changes: Partial<NonNullable<ShardConfig['tls']>>): NonNullable<ShardConfig['tls']> {
  return { verify: true, ...changes };
}
