import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { ConfigWatcher } from '../../src/topology/config-watcher.ts';

const isWhole = (text: string): boolean => text.endsWith('end\n');

describe.each([{ pollOnly: false }, { pollOnly: true }])('watching, %o', ({ pollOnly }) => {
  let folder: string;
  let path: string;
  let watcher: ConfigWatcher;
  const texts: string[] = [];
  const unreadable: unknown[] = [];

  async function watchFile(): Promise<void> {
    watcher = new ConfigWatcher({
      path,
      clock: systemClock,
      text: 'first end\n',
      isWhole,
      onText: (text) => texts.push(text),
      onUnreadable: (error) => unreadable.push(error),
      pollMs: 50,
      pollOnly,
    });
    await watcher.start();
  }

  beforeEach(async () => {
    texts.length = 0;
    unreadable.length = 0;
    folder = await mkdtemp(join(tmpdir(), 'shardgate-watch-'));
    path = join(folder, 'shards.yaml');
    await writeFile(path, 'first end\n');
  });
  afterEach(async () => {
    await watcher.stop();
    await rm(folder, { recursive: true });
  });

  test('tells of a file that is written in place, once', async () => {
    await watchFile();
    await writeFile(path, 'second end\n');

    await expect.poll(() => texts).toEqual(['second end\n']);
    await writeFile(path, 'second end\n');
    await writeFile(path, 'third end\n');
    await expect.poll(() => texts).toEqual(['second end\n', 'third end\n']);
  });

  test('waits for a writer that writes in pieces', async () => {
    await watchFile();
    await writeFile(path, 'second');
    await delay(150);
    await writeFile(path, 'second, all of it, end\n');

    await expect.poll(() => texts).toEqual(['second, all of it, end\n']);
  });

  test('a file that stays broken is told of, and so is its repair', async () => {
    await watchFile();
    await writeFile(path, 'cut');

    await expect.poll(() => texts).toEqual(['cut']);
    await writeFile(path, 'first end\n');
    await expect.poll(() => texts).toEqual(['cut', 'first end\n']);
  });

  test('an editor that renames a new file over the old one, again and again', async () => {
    await watchFile();
    for (const word of ['second', 'third']) {
      await writeFile(join(folder, '.tmp'), `${word} end\n`);
      await rename(join(folder, '.tmp'), path);
      await expect.poll(() => texts.at(-1)).toBe(`${word} end\n`);
    }
  });

  test('a ConfigMap whose ..data link is swapped', async () => {
    await rm(path);
    await mkdir(join(folder, '..1'));
    await writeFile(join(folder, '..1', 'shards.yaml'), 'first end\n');
    await symlink('..1', join(folder, '..data'));
    await symlink('..data/shards.yaml', path);
    await watchFile();
    for (const version of ['2', '3']) {
      await mkdir(join(folder, `..${version}`));
      await writeFile(join(folder, `..${version}`, 'shards.yaml'), `${version} end\n`);
      await symlink(`..${version}`, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));

      await expect.poll(() => texts.at(-1)).toBe(`${version} end\n`);
    }
  });

  test('a file that is deleted and comes back', async () => {
    await watchFile();
    await unlink(path);
    await expect.poll(() => unreadable).toHaveLength(1);
    await writeFile(path, 'second end\n');

    await expect.poll(() => texts).toEqual(['second end\n']);
  });

  test('fifty saves within a second are few deliveries, the last of them the last save', async () => {
    await watchFile();
    for (let save = 1; save <= 50; save++) {
      await writeFile(path, `save ${save} end\n`);
      await delay(10);
    }

    await expect.poll(() => texts.at(-1)).toBe('save 50 end\n');
    expect(texts.length).toBeLessThan(10);
  });
});
