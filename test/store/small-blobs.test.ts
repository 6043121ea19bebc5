// Small blobs in memory: where they were read or put lately, as long as their files are believed to be there.
import { existsSync } from 'node:fs';
import { appendFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { Content } from '../../src/store/content.ts';
import { OpenFiles } from '../../src/store/open-files.ts';
import { never, readFrom, ScratchStore } from './scratch-store.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const bytes = Buffer.from('the bytes of a manifest');
const { length: size } = bytes;
const digest = digestOf(bytes);

/** Bytes of which nothing is remembered. */
async function putUnseen({ layout }: ScratchStore) {
  const path = layout.blob(digest);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

describe('the bytes of a small blob', () => {
  test.each<[string, (store: ScratchStore['store']) => Promise<unknown>]>([
    ['put', (store) => store.put(digest, bytes)],
    ['read', (store) => store.readAll(digest, size)],
    ['opened', (store) => store.open(digest, size)],
  ])('are remembered when they were %s', async (_how, act) => {
    await using scratch = await ScratchStore.open();
    await putUnseen(scratch);
    expect(scratch.store.openNow(digest, size)).toBeUndefined();
    await act(scratch.store);
    expect(scratch.store.remembered(digest)).toEqual(new Uint8Array(bytes));
    expect(await readFrom(scratch.store.openNow(digest, size) as Content)).toEqual(bytes);
    expect(scratch.store.openNow(digest, size + 1)).toBeUndefined();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('are read from the disk once for all who want them at once', async () => {
    await using scratch = await ScratchStore.open();
    await putUnseen(scratch);
    const reading = Array.from({ length: 8 }, () => scratch.store.readAll(digest, size));
    const [first, ...others] = await Promise.all(reading);
    expect(first).toEqual(new Uint8Array(bytes));
    for (const other of others) expect(other).toBe(first);
  });

  test('are those of their file again after a while: somebody has to look at it', async () => {
    await using scratch = await ScratchStore.open();
    const { store } = scratch;
    await store.put(digest, bytes);
    vi.useFakeTimers({ toFake: ['performance'] });
    await store.readAll(digest, size);
    vi.advanceTimersByTime(4999);
    expect(store.remembered(digest)).toBeDefined();
    vi.advanceTimersByTime(1);
    expect([store.remembered(digest), store.openNow(digest, size)]).toEqual([undefined, undefined]);
    await store.open(digest, size);
    expect(store.remembered(digest)).toBeDefined();
    await truncate(scratch.layout.blob(digest), size - 1);
    vi.advanceTimersByTime(5000);
    expect(await store.open(digest, size)).toBeUndefined();
    expect(store.remembered(digest)).toBeUndefined();
  });

  test('are read again where there was nothing, or something of another length', async () => {
    await using scratch = await ScratchStore.open();
    const { store } = scratch;
    expect(await store.readAll(digest, size)).toBeUndefined();
    await putUnseen(scratch);
    expect(await store.readAll(digest, size)).toEqual(new Uint8Array(bytes));
    await appendFile(scratch.layout.blob(digest), 'x');
    expect(await store.readAll(digest, size + 1)).toHaveLength(size + 1);
  });

  test('take no more memory than they have', async () => {
    await using scratch = await ScratchStore.open();
    const [slab, own] = [Buffer.alloc(1_000_000, bytes), Buffer.alloc(900_000, 'a')];
    const [part, whole] = [slab.subarray(0, size), new Uint8Array(own.buffer)];
    for (const some of [part, whole]) await scratch.store.put(digestOf(some), some);
    expect(scratch.store.remembered(digestOf(part))?.buffer.byteLength).toBe(size);
    expect(scratch.store.remembered(digestOf(whole))).toBe(whole);
  });

  test('are forgotten for others, and never remembered when they are large', async () => {
    await using scratch = await ScratchStore.open();
    const { store } = scratch;
    await store.put(digest, bytes);
    const mebibyte = 1024 * 1024;
    for (let number = 0; number < 32; number++) {
      const large = Buffer.alloc(mebibyte, number);
      await store.put(digestOf(large), large);
      expect(store.remembered(digestOf(large))).toBeDefined();
    }
    expect(store.remembered(digest)).toBeUndefined();
    const larger = Buffer.alloc(mebibyte + 1);
    await store.put(digestOf(larger), larger);
    expect(await store.readAll(digestOf(larger), larger.length)).toHaveLength(larger.length);
    expect(store.remembered(digestOf(larger))).toBeUndefined();
  });
});

describe('a small blob that is removed', () => {
  test('is remembered no more', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    const removed = scratch.store.remove(digest);
    expect([scratch.store.remembered(digest), scratch.store.openNow(digest, size)]).toEqual([undefined, undefined]);
    await removed;
  });

  test('while it is read is not remembered', async () => {
    await using scratch = await ScratchStore.open();
    await putUnseen(scratch);
    const reading = scratch.store.readAll(digest, size);
    await scratch.store.remove(digest);
    await reading;
    expect(scratch.store.remembered(digest)).toBeUndefined();
  });

  test('while it is put is not remembered', async () => {
    await using scratch = await ScratchStore.open();
    const put = scratch.store.put(digest, bytes);
    while (!existsSync(scratch.layout.blob(digest))) await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([scratch.store.remove(digest), put]);
    expect(await scratch.isStored(digest)).toBe(false);
    expect(scratch.store.remembered(digest)).toBeUndefined();
  });

  test('while what it replaces is closed is not remembered', async () => {
    await using scratch = await ScratchStore.open();
    const { store } = scratch;
    const large = Buffer.alloc(100_000, 'a');
    const name = digestOf(large);
    await store.put(name, large);
    await (await store.open(name, large.length))?.close();
    const { forget } = OpenFiles.prototype;
    let removed: Promise<void> | undefined;
    vi.spyOn(OpenFiles.prototype, 'forget').mockImplementationOnce(async function (this: OpenFiles, of) {
      const closed = forget.call(this, of);
      await Promise.resolve();
      removed = store.remove(of);
      await closed;
    });
    await store.put(name, large);
    await removed;
    expect([await store.has(name, large.length), store.remembered(name)]).toEqual([false, undefined]);
  });

  test('is read to its end by who has it open', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    const content = (await scratch.store.open(digest, size)) as Content;
    await scratch.store.remove(digest);
    expect(await readFrom(content, 4)).toEqual(bytes.subarray(4));
    expect(await content.read(Buffer.alloc(100), size)).toBe(0);
    await expect(content.waitFor(0, AbortSignal.abort())).rejects.toThrow();
    expect(await content.waitFor(0, never)).toBe(size);
    expect(content.fd).toBeUndefined();
  });
});
