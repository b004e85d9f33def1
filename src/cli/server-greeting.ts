import { connect } from 'node:net';
import type { ServerFlavour } from './server-binaries.ts';

const PROTOCOL_VERSION_10 = 0x0a;
const HEADER_BYTES = 4;

/** What a server says of itself before anybody logs in. */
export interface ServerGreeting {
  readonly flavour: ServerFlavour;
  readonly version: string;
}

/** Reads the first packet of a server; `undefined` when nobody answers there as MySQL does. */
export function readGreeting(
  address: { readonly host: string; readonly port: number },
  timeoutMs: number,
): Promise<ServerGreeting | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    let received = Buffer.alloc(0);
    const finish = (greeting: ServerGreeting | undefined): void => {
      socket.destroy();
      resolve(greeting);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length <= HEADER_BYTES) return;
      if (received[HEADER_BYTES] !== PROTOCOL_VERSION_10) return finish(undefined);
      const end = received.indexOf(0, HEADER_BYTES + 1);
      if (end !== -1) finish(describe(received.toString('latin1', HEADER_BYTES + 1, end)));
    });
  });
}

// MariaDB up to 10.x puts "5.5.5-" before its version for the sake of old replicas.
function describe(announced: string): ServerGreeting {
  const flavour = announced.includes('MariaDB') ? 'mariadb' : 'mysql';
  return { flavour, version: announced.replace(/^5\.5\.5-(?=.*MariaDB)/, '') };
}
