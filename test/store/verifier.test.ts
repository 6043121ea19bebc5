// Hashing in worker threads, of files that still grow.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { DigestAlgorithm } from '../../src/oci/digest.ts';
import { Verifier } from '../../src/store/verifier.ts';
import { tempDir } from '../support/temp-dir.ts';
import { ScratchStore } from './scratch-store.ts';

const mebibyte = 1024 * 1024;
const hashOf = (bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256') =>
  createHash(algorithm).update(bytes).digest('hex');

async function scene() {
  const dir = await tempDir('verifier');
  const verifier = new Verifier(1);
  return {
    verifier,
    path: (name: string) => join(dir.path, name),
    async [Symbol.asyncDispose]() {
      await verifier.close();
      await dir.remove();
    },
  };
}

describe('a verifier', () => {
  test.each(['sha256', 'sha512'] as const)('tells the %s of a file', async (algorithm) => {
    await using at = await scene();
    const bytes = Buffer.alloc(2.5 * mebibyte, 'some bytes');
    await writeFile(at.path('a'), bytes);
    const following = at.verifier.follow(at.path('a'), algorithm);
    following.advance(bytes.length);
    expect(await following.finish()).toBe(hashOf(bytes, algorithm));
  });

  test('tells the hash of a file of no bytes', async () => {
    await using at = await scene();
    await writeFile(at.path('a'), '');
    expect(await at.verifier.follow(at.path('a'), 'sha256').finish()).toBe(hashOf(Buffer.alloc(0)));
  });

  test('follows a file while it grows, and only as far as it was told', async () => {
    await using at = await scene();
    const pieces = [1, mebibyte, mebibyte + 1, 17, 3 * mebibyte].map((size, index) => Buffer.alloc(size, `${index}-`));
    const path = at.path('a');
    await writeFile(path, '');
    const following = at.verifier.follow(path, 'sha256');
    let written = 0;
    for (const piece of pieces) {
      await appendFile(path, piece);
      written += piece.length;
      following.advance(written);
    }
    await appendFile(path, 'more than was announced');
    expect(await following.finish()).toBe(hashOf(Buffer.concat(pieces)));
  });

  test('keeps many files apart that grow by turns', async () => {
    await using at = await scene();
    const files = Array.from({ length: 12 }, (_, index) => ({
      path: at.path(`${index}`),
      algorithm: index % 2 === 0 ? ('sha256' as const) : ('sha512' as const),
      piece: Buffer.alloc(300_000 + index, `file ${index}`),
    }));
    for (const { path } of files) await writeFile(path, '');
    const followings = files.map(({ path, algorithm }) => at.verifier.follow(path, algorithm));
    for (let turn = 1; turn <= 5; turn++)
      for (const [index, { path, piece }] of files.entries()) {
        await appendFile(path, piece);
        followings[index]?.advance(turn * piece.length);
      }
    const hashes = await Promise.all(followings.map((following) => following.finish()));
    expect(hashes).toEqual(files.map(({ piece, algorithm }) => hashOf(Buffer.concat(Array(5).fill(piece)), algorithm)));
  });

  test('ends a small file before a large one that came first', async () => {
    await using at = await scene();
    await (await open(at.path('large'), 'w')).close();
    await truncate(at.path('large'), 1024 * mebibyte);
    await writeFile(at.path('small'), 'small');
    const large = at.verifier.follow(at.path('large'), 'sha512');
    large.advance(1024 * mebibyte);
    const order: string[] = [];
    void large.finish().then(
      () => order.push('large'),
      () => {},
    );
    const small = at.verifier.follow(at.path('small'), 'sha256');
    small.advance(5);
    expect(await small.finish()).toBe(hashOf(Buffer.from('small')));
    expect(order).toEqual([]);
  });

  test('forgets a file that was abandoned, and closes it', async () => {
    await using scratch = await ScratchStore.open();
    const path = join(scratch.layout.spools, 'a');
    await writeFile(path, 'abc');
    const following = scratch.verifier.follow(path, 'sha256');
    following.advance(3);
    following.abandon();
    following.abandon();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('says so when the file is not there', async () => {
    await using at = await scene();
    const following = at.verifier.follow(at.path('missing'), 'sha256');
    await expect(following.finish()).rejects.toThrow(/^the file could not be hashed: ENOENT/);
  });

  test('says so when the file is shorter than it was told', async () => {
    await using at = await scene();
    await writeFile(at.path('a'), 'abc');
    const following = at.verifier.follow(at.path('a'), 'sha256');
    following.advance(5);
    await expect(following.finish()).rejects.toThrow(
      'the file could not be hashed: the file ends at 3, 5 bytes were announced',
    );
  });

  test('goes on with other files after one could not be read', async () => {
    await using at = await scene();
    await writeFile(at.path('a'), 'abc');
    const [bad, good] = ['missing', 'a'].map((name) => at.verifier.follow(at.path(name), 'sha256'));
    good?.advance(3);
    await expect(bad?.finish()).rejects.toThrow('ENOENT');
    expect(await good?.finish()).toBe(hashOf(Buffer.from('abc')));
  });
});

test.runIf(process.platform === 'linux')('hashes behind the event loop where both want the same core', async () => {
  await using at = await scene();
  await at.verifier
    .follow(at.path('missing'), 'sha256')
    .finish()
    .catch(() => {}); // its worker runs
  const stats = (await readdir('/proc/self/task')).map((task) => readFile(`/proc/self/task/${task}/stat`, 'latin1'));
  const niceness = (await Promise.all(stats)).map((stat) => Number(stat.split(') ')[1]?.split(' ')[16]));
  expect(niceness.filter((nice) => nice === Math.min(19, getPriority() + 5))).toHaveLength(1);
});

describe('a verifier whose worker dies', () => {
  /** Follows a file that takes long to hash, and hands out the worker that does it. */
  async function hashing(at: Awaited<ReturnType<typeof scene>>) {
    await writeFile(at.path('long'), '');
    await truncate(at.path('long'), 64 * 1024 * mebibyte);
    const started = once(process, 'worker') as Promise<[Worker]>;
    const following = at.verifier.follow(at.path('long'), 'sha512');
    following.advance(64 * 1024 * mebibyte);
    const [worker] = await started;
    return { following, worker };
  }

  test('rejects what was being hashed, and what is asked of it later', async () => {
    await using at = await scene();
    const { following, worker } = await hashing(at);
    const finishing = expect(following.finish()).rejects.toThrow('the hashing worker ended');
    await worker.terminate();
    await finishing;
    await expect(following.finish()).rejects.toThrow('the hashing worker ended');
    following.advance(1);
    following.abandon();
  });

  test('hashes the next file in a new one', async () => {
    await using at = await scene();
    const { worker } = await hashing(at);
    await worker.terminate();
    await writeFile(at.path('a'), 'abc');
    const following = at.verifier.follow(at.path('a'), 'sha256');
    following.advance(3);
    expect(await following.finish()).toBe(hashOf(Buffer.from('abc')));
  });
});
