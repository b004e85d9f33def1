import type { ClientTransport } from '../../../src/session/client-transport.ts';
import { Framer } from '../../../src/wire/framer.ts';

export interface SentPacket {
  readonly sequence: number;
  readonly payload: Buffer;
}

/** The client's end of a session, in memory: what was written, and what became of the socket. */
export class ScriptedClient implements ClientTransport {
  remoteAddress = '10.0.0.7';
  isSecure = false;
  offersTls = false;
  written = Buffer.alloc(0);
  writes = 0;
  paused = false;
  state: 'open' | 'ended' | 'destroyed' = 'open';
  startedTlsWith: Buffer | undefined;

  write(bytes: Buffer): boolean {
    this.written = Buffer.concat([this.written, bytes]);
    this.writes++;
    return true;
  }

  onceDrained(resume: () => void): void {
    resume();
  }

  startTls(unread: Buffer): void {
    this.startedTlsWith = unread;
    this.isSecure = true;
    this.offersTls = false;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.state = 'ended';
  }

  destroy(): void {
    this.state = 'destroyed';
  }

  packets(): readonly SentPacket[] {
    const framer = new Framer({ packetBytesMax: 1 << 26 });
    framer.push(this.written);
    const found: SentPacket[] = [];
    for (let payload = framer.next(); payload !== undefined; payload = framer.next()) {
      found.push({ sequence: framer.sequence, payload });
    }
    return found;
  }
}

export function packet(sequence: number, payload: Buffer | string): Buffer {
  const bytes = Buffer.from(payload);
  const header = Buffer.alloc(4);
  header.writeUIntLE(bytes.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, bytes]);
}
