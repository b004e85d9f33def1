import { describe, expect, test } from 'vitest';
import type { Lease, ReplyEnd, ReplySink } from '../../../src/backend/lease.ts';
import { type Relay, relaySingle } from '../../../src/execute/relay.ts';
import { RecordedReply, shardId } from './statement-fixture.ts';

const end: ReplyEnd = {
  kind: 'ok',
  statusFlags: 2,
  warningCount: 0,
  affectedRows: 1,
  lastInsertId: 0,
  info: '',
};

/** A lease whose shard is played by the test, call by call. */
class HandLease implements Lease {
  readonly shard = shardId('s1');
  readonly serverThreadId = 1;
  readonly log: string[] = [];
  sink: ReplySink | undefined;

  send(command: Buffer, sink: ReplySink): void {
    this.log.push(`send ${command.toString('latin1', 1)}`);
    this.sink = sink;
  }
  pause(): void {
    this.log.push('pause');
  }
  resume(): void {
    this.log.push('resume');
  }
  release(): void {
    this.log.push('release');
  }
  destroy(): void {
    this.log.push('destroy');
  }
}

function begin() {
  const lease = new HandLease();
  const reply = new RecordedReply();
  const done: [ReplyEnd | undefined, Error | undefined][] = [];
  const relay: Relay = relaySingle({
    lease,
    command: Buffer.from('\x03DO 1'),
    reply,
    done: (ended, error) => done.push([ended, error]),
  });
  const sink = lease.sink as ReplySink;
  return { lease, reply, done, relay, sink };
}

describe('a relay', () => {
  test('passes bytes on at once and leaves the lease with its caller', () => {
    const { lease, reply, done, sink } = begin();

    sink.onReplyBytes(Buffer.from('abc'));
    sink.onReplyBytes(Buffer.from('de'));
    sink.onReplyEnd(end);

    expect(Buffer.concat(reply.relayed).toString()).toBe('abcde');
    expect(done).toEqual([[end, undefined]]);
    expect(lease.log).toEqual(['send DO 1']);
  });

  test('a slow client pauses the shard until it has read', () => {
    const { lease, reply, sink } = begin();
    reply.slow = true;

    sink.onReplyBytes(Buffer.from('a'));
    sink.onReplyBytes(Buffer.from('b')); // was on its way already
    reply.slow = false;
    reply.drain();
    sink.onReplyBytes(Buffer.from('c'));

    expect(lease.log).toEqual(['send DO 1', 'pause', 'resume']);
  });

  test('a lease does not go back paused, and is not resumed for its next user', () => {
    const { lease, reply, done, sink } = begin();
    reply.slow = true;

    sink.onReplyBytes(Buffer.from('a'));
    sink.onReplyEnd(end);
    lease.release();
    reply.drain();

    expect(done).toHaveLength(1);
    expect(lease.log).toEqual(['send DO 1', 'pause', 'resume', 'release']);
  });

  test('a connection lost before any byte is an error that names the shard', () => {
    const { lease, reply, done, sink } = begin();

    sink.onReplyLost(new Error('read ECONNRESET'));

    expect(done[0]?.[0]).toBeUndefined();
    expect(done[0]?.[1]).toMatchObject({ errno: 1429 });
    expect(done[0]?.[1]?.message).toMatch(/'s1'.*ECONNRESET.*may or may not/);
    expect(reply.started).toBe(false);
    expect(lease.log).toContain('destroy');
  });

  test('nothing happens after an abort', () => {
    const { lease, reply, done, relay, sink } = begin();

    relay.abort(new Error('client gone'));
    sink.onReplyBytes(Buffer.from('late'));
    sink.onReplyLost(new Error('destroyed'));
    relay.abort(new Error('again'));

    expect(done).toHaveLength(1);
    expect(done[0]?.[1]?.message).toBe('client gone');
    expect(reply.relayed).toEqual([]);
    expect(lease.log).toEqual(['send DO 1', 'destroy']);
  });

  test('an abort after the end does no harm to the lease', () => {
    const { lease, done, relay, sink } = begin();

    sink.onReplyEnd(end);
    relay.abort(new Error('late'));

    expect(done).toHaveLength(1);
    expect(lease.log).toEqual(['send DO 1']);
  });
});
