// Where things lie in the cache directory, and how a file comes to its final name.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Layout, prepareLayout, publish } from '../../src/store/layout.ts';
import { tempDir } from '../support/temp-dir.ts';

const digest = digestOf(Buffer.from('a layer'));

describe('a layout', () => {
  test('gives every digest a file of its own, in a folder of its algorithm and two letters', () => {
    const layout = new Layout('/cache');
    const path = layout.blob(digest);
    expect(path.split(sep).slice(-4)).toEqual(['blobs', 'sha256', digest.slice(7, 9), digest.slice(7)]);
    expect(path.startsWith(layout.root)).toBe(true);
    expect(layout.blob(digestOf(Buffer.from('a layer'), 'sha512'))).toContain(`${sep}sha512${sep}`);
  });

  test('gives every digest a spool and its journal, and every attempt an arrival, never where blobs are', () => {
    const layout = new Layout('/cache');
    expect(layout.arrival(digest, 'one')).not.toBe(layout.arrival(digest, 'two'));
    const paths = [layout.spool(digest), layout.journal(digest), layout.arrival(digest, 'one'), layout.trash('one')];
    expect(new Set(paths).size).toBe(4);
    for (const path of paths) expect(dirname(path)).toBe(layout.spools);
    expect(basename(layout.spool(digest))).toContain(digest.slice(7));
  });
});

describe('preparing a cache directory', () => {
  test('makes it, with the tag that tells backups to leave it out', async () => {
    await using dir = await tempDir('layout');
    const cacheDir = join(dir.path, 'deep', 'cache');
    const layout = await prepareLayout(cacheDir);
    // The first line is fixed by https://bford.info/cachedir/
    expect(await readFile(join(cacheDir, 'CACHEDIR.TAG'), 'utf8')).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    expect((await stat(layout.spools)).isDirectory()).toBe(true);
  });

  test('again changes nothing', async () => {
    await using dir = await tempDir('layout');
    const { spools } = await prepareLayout(dir.path);
    await writeFile(join(spools, 'left'), 'x');
    await prepareLayout(dir.path);
    expect(await readdir(spools)).toEqual(['left']);
  });

  test.each(['v2', 'v10'])('refuses one that holds the newer format %s', async (format) => {
    await using dir = await tempDir('layout');
    await mkdir(join(dir.path, format));
    await expect(prepareLayout(dir.path)).rejects.toThrow(
      new RegExp(`written by a newer Stillwater: ${dir.path} holds format ${format}, this program knows v1`),
    );
  });

  test.each(['v0', 'v1', 'v2.bak', 'version2', 'lost+found'])('accepts one that holds %s', async (name) => {
    await using dir = await tempDir('layout');
    await mkdir(join(dir.path, name));
    await expect(prepareLayout(dir.path)).resolves.toBeInstanceOf(Layout);
  });

  test('refuses a place that cannot be a directory, and names it', async () => {
    await using dir = await tempDir('layout');
    const file = join(dir.path, 'file');
    await writeFile(file, '');
    for (const place of [file, join(file, 'below')])
      await expect(prepareLayout(place)).rejects.toThrow(
        new RegExp(`^cache.dir cannot be written: ${place}: (ENOTDIR|EEXIST); .+`),
      );
  });
});

test.each(['/proc/cache', '/proc/deep/cache'])('%s, where nobody can make a folder, is refused', async (place) => {
  await expect(prepareLayout(place)).rejects.toThrow(new RegExp(`^cache.dir cannot be written: ${place}: ENOENT; .+`));
});

describe('publishing a file', () => {
  test('shows it under its final name only after its bytes are on the disk', async () => {
    await using dir = await tempDir('layout');
    const [from, to] = [join(dir.path, 'from'), join(dir.path, 'a', 'b', 'to')];
    await writeFile(from, 'bytes');
    const seen: boolean[] = [];
    await publish({ datasync: async () => void seen.push(await exists(to)) }, from, to);
    expect(seen).toEqual([false]);
    expect(await readFile(to, 'utf8')).toBe('bytes');
    expect(await exists(from)).toBe(false);
  });

  test('shows nothing when the disk refuses the bytes', async () => {
    await using dir = await tempDir('layout');
    const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
    await writeFile(from, 'bytes');
    await expect(publish({ datasync: () => Promise.reject(new Error('EIO')) }, from, to)).rejects.toThrow('EIO');
    expect(await exists(to)).toBe(false);
  });
});

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
