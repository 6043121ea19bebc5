// The commands on a cache directory that no mirror holds: the way over an air gap, without a server on either side.
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { Layout } from '../../src/store/layout.ts';
import { lockDirectory } from '../../src/store/lock.ts';
import { namedLayout, sampleImage, tarOf } from '../archive/tar-content.ts';
import { directoryWith } from '../config/config-files.ts';
import { type Ended, here, run } from './run-command.ts';

const image = sampleImage('local');
const name = 'docker.io/library/redis:7';
const [config] = image.blobs;
let dir = '';

async function local(...argv: readonly string[]): Promise<Ended> {
  return here([...argv, '--cache-dir', join(dir, 'cache')], { files: { 'config.json': { log: { level: 'trace' } } } });
}

beforeEach(async () => {
  dir = directoryWith({});
  writeFileSync(join(dir, 'redis.tar'), await tarOf(namedLayout(image, name)));
});

test('what was imported is listed, shown, verified and exported', async () => {
  const bytes = [image.manifest, ...image.blobs].reduce((sum, { size }) => sum + size, 0);
  expect(await local('import', join(dir, 'redis.tar'))).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^imported docker\.io\/library\/redis:7 {2}[0-9a-f]{12} {2}/),
    stderr: '',
  });
  const cached = { repository: 'docker.io/library/redis', tag: '7', digest: image.manifest.digest, isComplete: true };
  const { stdout } = await local('ls', '--json');
  expect(JSON.parse(stdout)).toEqual([expect.objectContaining({ ...cached, storedBytes: bytes })]);
  expect((await local('ls', 'redis')).stdout).toMatch(/\ndocker\.io\/library\/redis {2}7 {4}linux\/amd64 /);
  expect(JSON.parse((await local('inspect', 'redis:7', '--json')).stdout)).toEqual([expect.objectContaining(cached)]);
  expect(await local('verify')).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^4 blobs, .* checked: 0 damaged, 0 missing, 0 unread, 0 removed\n$/),
  });
  const out = join(dir, 'out.tar');
  expect(await local('export', 'redis:7', '--platform', 'linux/amd64', '-o', out)).toMatchObject({ status: 0 });

  // And once more, on another machine.
  const there = join(dir, 'there');
  expect(await here(['import', out, '--cache-dir', there])).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse((await here(['ls', '--json', '--cache-dir', there])).stdout)).toEqual([
    expect.objectContaining(cached),
  ]);
});

test('damage is found, and repaired', async () => {
  await local('import', join(dir, 'redis.tar'));
  const path = new Layout(join(dir, 'cache')).blob(config?.digest as Digest);
  writeFileSync(path, readFileSync(path).fill(0));
  const found = await local('verify');
  expect(found).toMatchObject({ status: 1, stderr: expect.stringContaining('1 blob damaged or missing') });
  expect(found.stdout).toContain(`${config?.digest}: damaged, `);
  expect(await local('verify', '--repair')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('what lied was removed'),
  });
  const again = await local('verify', '--json');
  expect(again.status).toBe(0);
  expect(JSON.parse(again.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'done',
    checkedBlobs: 3,
    damaged: 0,
  });
  expect(JSON.parse((await local('ls', '--json')).stdout)).toEqual([expect.objectContaining({ isComplete: false })]);
});

test('what cannot be read is told, and no repair removes it', async () => {
  await local('import', join(dir, 'redis.tar'));
  const path = new Layout(join(dir, 'cache')).blob(config?.digest as Digest);
  rmSync(path);
  symlinkSync(path, path);
  for (let count = 0; count < 2; count++) {
    const { status, stdout, stderr } = await local('verify', '--repair');
    expect([status, stderr]).toEqual([1, 'stillwater: 1 blob could not be read; the lines above say why\n']);
    expect(stdout).toMatch(new RegExp(`^${config?.digest}: unread, [^:]*: ELOOP`));
    expect(stdout).toMatch(/\n3 blobs, .* checked: 0 damaged, 0 missing, 1 unread, 0 removed\n$/);
  }
});

test('an archive without a name is given one', async () => {
  writeFileSync(join(dir, 'redis.tar'), await tarOf(namedLayout(image, '')));
  const { status } = await local('import', join(dir, 'redis.tar'), '--name', 'ghcr.io/acme/app:1');
  expect(status).toBe(0);
  expect((await local('inspect', 'ghcr.io/acme/app')).stdout).toContain('ghcr.io/acme/app:1\n');
});

describe('a directory', () => {
  const held = () => lockDirectory(new Layout(join(dir, 'cache')).lock, 'cache');

  test.each([['ls'], ['inspect', 'redis'], ['verify'], ['export', 'redis', '-o', 'x.tar'], ['import', 'redis.tar']])(
    'that a mirror holds is left alone by %s',
    async (...argv) => {
      await local('import', join(dir, 'redis.tar'));
      const lock = held();
      const ended = await run([...argv, '--cache-dir', 'cache'], { cwd: dir });
      lock.release();
      expect(ended).toEqual({
        status: 1,
        stdout: '',
        stderr: 'stillwater: a mirror runs on cache: ask it with --admin URL, or stop it first\n',
      });
    },
  );

  test.each([['ls'], ['inspect', 'redis'], ['verify'], ['export', 'redis', '-o', 'x.tar']])(
    'that is none is not made by %s',
    async (...argv) => {
      const ended = await here([...argv, '--cache-dir', join(dir, 'gone')]);
      expect(ended).toEqual({
        status: 1,
        stdout: '',
        stderr: `stillwater: --cache-dir: there is no cache in ${join(dir, 'gone')}\n`,
      });
      expect(existsSync(join(dir, 'gone'))).toBe(false);
    },
  );
});

test.each([
  [['inspect', 'nginx'], /^stillwater: nothing is cached as nginx in .*; see stillwater ls --cache-dir\n$/],
  [['export', 'redis:8', '-o', 'x.tar'], /^stillwater: .*docker\.io\/library\/redis:8.*\n$/],
])('%j of what is not there fails in one line', async (argv, stderr) => {
  await local('import', join(dir, 'redis.tar'));
  expect(await local(...argv)).toEqual({ status: 1, stdout: '', stderr: expect.stringMatching(stderr) });
});

test('an image of a registry that may not be pulled from is not imported', async () => {
  writeFileSync(join(dir, 'redis.tar'), await tarOf(namedLayout(image, 'images.example.com/a:1')));
  const { status, stderr } = await local('import', join(dir, 'redis.tar'));
  expect(status).toBe(1);
  expect(stderr).toMatch(/^stillwater: .*redis\.tar: .*images\.example\.com is not configured here.*\n$/);
  expect(readdirSync(new Layout(join(dir, 'cache')).spools)).toEqual([]);
});

test('an empty --cache-dir is wrong usage', async () => {
  expect(await here(['ls', '--cache-dir', ''])).toEqual({
    status: 2,
    stdout: '',
    stderr: 'stillwater: --cache-dir: cache.dir: found "", allowed is a text that is not empty\n',
  });
});
