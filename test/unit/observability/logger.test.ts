import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createLogger, type Logger } from '../../../src/observability/logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'shardgate-log-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function logged(write: (logger: Logger) => void): readonly Record<string, unknown>[] {
  const path = join(folder, 'log');
  const descriptor = openSync(path, 'w');
  write(createLogger({ level: 'info', descriptor }));
  closeSync(descriptor);
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}

test('a line bears the fields of its logger and its own', () => {
  const [line] = logged((logger) =>
    logger.child({ session: 5 }).child({ user: 'app' }).info('hello', { n: 1 }),
  );

  expect(line).toMatchObject({ level: 'info', session: 5, user: 'app', n: 1, msg: 'hello' });
  expect(line).not.toHaveProperty('pid');
});

test('less than the level is not written', () => {
  expect(logged((logger) => logger.debug('quiet'))).toEqual([]);
});

test('secrets are not written, however deep', () => {
  const text = JSON.stringify(
    logged((logger) =>
      logger.info('config', {
        password: 'geheim',
        shard: { password: 'geheim' },
        users: { app: { password_sha2: 'geheim' } },
      }),
    ),
  );

  expect(text).not.toContain('geheim');
  expect(text).toContain('***');
});

test('an error comes with its stack', () => {
  const [line] = logged((logger) => logger.error('broke', { error: new Error('why') }));

  expect(line).toMatchObject({
    err: { message: 'why', stack: expect.stringContaining('logger.test') },
  });
});
