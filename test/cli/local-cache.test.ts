// A cache directory that a command opens for itself: whose it must be, and what it must have room for.
import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { namedLayout, sampleImage, tarOf } from '../archive/tar-content.ts';
import { directoryWith } from '../config/config-files.ts';
import { requireRoot } from '../support/tool.ts';
import { type Ended, here } from './run-command.ts';

const image = sampleImage('local');
const mirrorUser = 1000;
let dir = '';
let cache = '';

function local(argv: readonly string[], config: object = {}): Promise<Ended> {
  return here([...argv, '--cache-dir', cache], { files: { 'config.json': config } });
}

function owners(): readonly number[] {
  const all = readdirSync(cache, { recursive: true }).map((name) => join(cache, String(name)));
  return [...new Set([cache, ...all].map((path) => statSync(path).uid))];
}

function giveTo(user: number): void {
  for (const name of ['', ...readdirSync(cache, { recursive: true })]) chownSync(join(cache, String(name)), user, user);
}

beforeEach(async () => {
  dir = directoryWith({});
  cache = join(dir, 'cache');
  writeFileSync(join(dir, 'redis.tar'), await tarOf(namedLayout(image, 'docker.io/library/redis:7')));
  writeFileSync(join(dir, 'large.tar'), Buffer.alloc(32 * 1024 * 1024));
});

describe.skipIf(!requireRoot())('a directory of another user', () => {
  test.each([['import'], ['verify', '--repair']])('is not changed by %s', async (...argv) => {
    expect(await local(['import', join(dir, 'redis.tar')])).toMatchObject({ status: 0 });
    giveTo(mirrorUser);
    const files = argv[0] === 'import' ? [join(dir, 'redis.tar')] : [];
    expect(await local([...argv, ...files])).toEqual({
      status: 1,
      stdout: '',
      stderr: `stillwater: ${cache} belongs to user 1000, and what user 0 puts there the mirror could not remove: run this as that user, such as with sudo -u '#1000'\n`,
    });
    expect(owners()).toEqual([mirrorUser]);
  });

  test.each([['ls'], ['verify']])('is looked at by %s', async (...argv) => {
    await local(['import', join(dir, 'redis.tar')]);
    giveTo(mirrorUser);
    expect(await local(argv)).toMatchObject({ status: 0, stderr: '' });
  });

  test('is not begun with, even while it is empty', async () => {
    mkdirSync(cache);
    giveTo(mirrorUser);
    expect(await local(['import', join(dir, 'redis.tar')])).toMatchObject({ status: 1, stdout: '' });
    expect(readdirSync(cache)).toEqual([]);
  });

  test('is a volume that root has made, and empty: whoever is the mirror begins with it', async () => {
    mkdirSync(cache);
    const user = vi.spyOn(process, 'geteuid').mockReturnValue(mirrorUser);
    try {
      expect(await local(['import', join(dir, 'redis.tar')])).toMatchObject({ status: 0 });
      // It is root's from now on, as all of it was made by root.
      expect(await local(['import', join(dir, 'redis.tar')])).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('belongs to user 0, and what user 1000 puts there'),
      });
    } finally {
      user.mockRestore();
    }
  });
});

test('a file that cannot fit is refused, and nothing makes room for it', async () => {
  const config = { cache: { maxSize: '4MiB' } };
  await local(['import', join(dir, 'redis.tar')], config);
  const large = join(dir, 'large.tar');
  const ended = await local(['import', large], config);
  expect(ended).toEqual({
    status: 1,
    stdout: '',
    stderr: `stillwater: ${large}: there is no room for the archive: it has 33554432 bytes, and cache.maxSize, cache.minFree and what is pinned leave 4194304; change one of them\n`,
  });
  expect((await local(['ls'], config)).stdout).toContain('docker.io/library/redis  7');
});
