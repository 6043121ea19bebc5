// Where verified content rests: what is found there, and what is not.
import { existsSync } from 'node:fs';
import { appendFile, mkdir, open, readdir, rm, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { BlobStore } from '../../src/store/blob-store.ts';
import { readFrom, ScratchStore } from './scratch-store.ts';

const bytes = Buffer.from('the bytes of a manifest');
const digest = digestOf(bytes);

describe('a blob that was put', () => {
  test('is read whole, and in part', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    expect(await scratch.store.has(digest, bytes.length)).toBe(true);
    expect(await scratch.store.readAll(digest, bytes.length)).toEqual(new Uint8Array(bytes));
    const content = await scratch.store.open(digest, bytes.length);
    expect(content && (await readFrom(content, 4))).toEqual(bytes.subarray(4));
    await content?.close();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('may be looked at, which is remembered by nobody', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    expect(await scratch.store.look(digest, bytes.length)).toBe(scratch.store.remembered(digest));
    const other = new BlobStore(scratch.layout);
    expect(await other.look(digest, bytes.length)).toEqual(new Uint8Array(bytes));
    expect(other.remembered(digest)).toBeUndefined();
    expect(await other.look(digest, bytes.length + 1)).toBeUndefined();
    await rm(scratch.layout.blob(digest));
    expect(await other.look(digest, bytes.length)).toBeUndefined();
  });

  test('is the only file left, under its final name', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    expect(await scratch.spoolFiles()).toEqual([]);
    expect(await readdir(dirname(scratch.layout.blob(digest)))).toEqual([digest.slice(7)]);
  });

  test('may be put again, and by many at once', async () => {
    await using scratch = await ScratchStore.open();
    await Promise.all(Array.from({ length: 8 }, () => scratch.store.put(digest, bytes)));
    expect(await scratch.store.readAll(digest, bytes.length)).toEqual(new Uint8Array(bytes));
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test('may be empty', async () => {
    await using scratch = await ScratchStore.open();
    const empty = digestOf(new Uint8Array());
    await scratch.store.put(empty, new Uint8Array());
    expect(await scratch.store.has(empty, 0)).toBe(true);
    expect(await scratch.store.readAll(empty, 0)).toEqual(new Uint8Array());
  });

  test('needs no folder of arrivals: one that was removed is made again', async () => {
    await using scratch = await ScratchStore.open();
    await rm(scratch.layout.spools, { recursive: true });
    await scratch.store.put(digest, bytes);
    expect(await scratch.store.has(digest, bytes.length)).toBe(true);
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test('leaves nothing when it cannot get its name', async () => {
    await using scratch = await ScratchStore.open();
    await mkdir(scratch.layout.blob(digest), { recursive: true });
    await expect(scratch.store.put(digest, bytes)).rejects.toThrow();
    expect(await scratch.spoolFiles()).toEqual([]);
    expect(await scratch.openFiles()).toEqual([]);
  });
});

describe('a blob that is not there', () => {
  test('is undefined', async () => {
    await using scratch = await ScratchStore.open();
    expect(await scratch.store.open(digest, 1)).toBeUndefined();
    expect(await scratch.store.readAll(digest, 1)).toBeUndefined();
    expect(await scratch.store.has(digest, 1)).toBe(false);
  });

  test.each([
    ['cut short', (path: string) => truncate(path, bytes.length - 1)],
    ['emptied', (path: string) => truncate(path, 0)],
    ['longer than it was', (path: string) => appendFile(path, 'x')],
    ['removed', (path: string) => rm(path)],
  ])('is a miss, not a wrong body, when its file was %s', async (_, damage) => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    await damage(scratch.layout.blob(digest));
    expect(await scratch.store.open(digest, bytes.length)).toBeUndefined();
    expect(await scratch.store.readAll(digest, bytes.length)).toBeUndefined();
    expect(await scratch.store.has(digest, bytes.length)).toBe(false);
    expect(scratch.store.remembered(digest)).toBeUndefined();
    expect(await scratch.openFiles()).toEqual([]);
    await scratch.store.put(digest, bytes);
    expect(await scratch.store.has(digest, bytes.length)).toBe(true);
  });
});

describe('a blob that is removed', () => {
  test('is a miss at once, in the same turn, and leaves nothing', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    const removed = scratch.store.remove(digest);
    expect(existsSync(scratch.layout.blob(digest))).toBe(false);
    await removed;
    expect(await scratch.store.open(digest, bytes.length)).toBeUndefined();
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test('is read to its end by who has it open', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    const content = await scratch.store.open(digest, bytes.length);
    await scratch.store.remove(digest);
    expect(content && (await readFrom(content))).toEqual(bytes);
    await content?.close();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('can be stored again before its old file is gone', async () => {
    await using scratch = await ScratchStore.open();
    for (let round = 0; round < 20; round++) {
      await scratch.store.put(digest, bytes);
      const removed = scratch.store.remove(digest);
      const put = scratch.store.put(digest, bytes);
      await Promise.all([removed, put]);
      expect(await scratch.store.readAll(digest, bytes.length)).toEqual(new Uint8Array(bytes));
    }
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test('may be gone already, or removed by many at once', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.remove(digest);
    await scratch.store.put(digest, bytes);
    await Promise.all(Array.from({ length: 8 }, () => scratch.store.remove(digest)));
    expect(await scratch.isStored(digest)).toBe(false);
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test('is gone although nothing can be put aside', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    await rm(scratch.layout.spools, { recursive: true });
    await scratch.store.remove(digest);
    expect(await scratch.isStored(digest)).toBe(false);
  });

  test('is an error when the disk refuses', async () => {
    await using scratch = await ScratchStore.open();
    // A folder where the file should be can neither be unlinked nor taken for a blob.
    await mkdir(join(scratch.layout.blob(digest), 'inside'), { recursive: true });
    await expect(scratch.store.remove(digest)).rejects.toThrow();
  });
});

describe('a file that is committed', () => {
  test('moves to the name of its digest, and may be committed twice', async () => {
    await using scratch = await ScratchStore.open();
    for (const attempt of ['one', 'two']) {
      const path = scratch.layout.arrival(digest, attempt);
      const file = await open(path, 'wx+');
      await file.writeFile(bytes);
      expect(await scratch.isStored(digest)).toBe(attempt === 'two');
      await scratch.store.commit(digest, file, path);
      await file.close();
    }
    expect(await scratch.spoolFiles()).toEqual([]);
    expect(await scratch.store.readAll(digest, bytes.length)).toEqual(new Uint8Array(bytes));
  });
});

describe('a blob that is too large for memory', () => {
  test('stays open for who comes next, until it is removed, put or committed', async () => {
    await using scratch = await ScratchStore.open();
    const { store } = scratch;
    const large = Buffer.alloc(2_000_000, 'a');
    const name = digestOf(large);
    const replace = async () => {
      const path = scratch.layout.arrival(name, 'again');
      await using file = await open(path, 'wx+');
      await file.writeFile(large);
      await store.commit(name, file, path);
    };
    await store.put(name, large);
    for (const change of [() => store.put(name, large), replace, () => store.remove(name)]) {
      expect(store.openNow(name, large.length)).toBeUndefined();
      await (await store.open(name, large.length))?.close();
      const content = store.openNow(name, large.length);
      expect(content && (await readFrom(content))).toEqual(large);
      await content?.close();
      expect(await scratch.openFiles()).toEqual([scratch.layout.blob(name)]);
      await change();
      expect(await scratch.openFiles()).toEqual([]);
    }
    expect(store.remembered(name)).toBeUndefined();
  });

  test('gives its bytes back to the disk with the last who reads it', async () => {
    await using scratch = await ScratchStore.open();
    const large = Buffer.alloc(2_000_000, 'a');
    await scratch.store.put(digestOf(large), large);
    const opened = [1, 2].map(() => scratch.store.open(digestOf(large), large.length));
    const [first, last] = await Promise.all(opened);
    await scratch.store.remove(digestOf(large));
    await first?.close();
    expect(await scratch.openFiles()).toEqual([expect.stringContaining('(deleted)')]);
    expect(last && (await readFrom(last))).toEqual(large);
    await last?.close();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('is closed with the store', async () => {
    await using scratch = await ScratchStore.open();
    const large = Buffer.alloc(2_000_000, 'a');
    await scratch.store.put(digestOf(large), large);
    await (await scratch.store.open(digestOf(large), large.length))?.close();
    expect(await scratch.openFiles()).toHaveLength(1);
    await scratch.store.close();
    expect(await scratch.openFiles()).toEqual([]);
  });
});
