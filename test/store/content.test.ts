// Content as readers see it: a blob that rests in the store, or still arrives.
import { readSync } from 'node:fs';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { never, readFrom, ScratchStore } from './scratch-store.ts';

test('the content of a stored blob is there from every position, at once, and in its file', async () => {
  await using scratch = await ScratchStore.open();
  const bytes = Buffer.alloc(100_000, '0123456789');
  const digest = digestOf(bytes);
  await scratch.store.put(digest, bytes);
  const content = await scratch.store.open(digest, bytes.length);
  if (!content) throw new Error('what was put is not there');
  expect(content.size).toBe(bytes.length);
  expect((await readFrom(content)).equals(bytes)).toBe(true);
  expect((await readFrom(content, 99_997)).toString()).toBe('789');
  expect(await content.read(Buffer.alloc(100), 99_994)).toBe(6);
  expect(await content.read(Buffer.alloc(100), 100_000)).toBe(0);
  const byDescriptor = Buffer.alloc(3);
  expect(readSync(content.fd ?? -1, byDescriptor, 0, 3, 7)).toBe(3);
  expect(byDescriptor.toString()).toBe('789');
  await content.close();
});

test('the content of a blob that still arrives is in its file, at its own places', async () => {
  await using scratch = await ScratchStore.open();
  const spool = await scratch.spool(Buffer.from('0123456789'));
  const content = spool.read();
  await spool.write(Buffer.from('456'), 4);
  expect(await content?.waitFor(4, never)).toBe(7);
  const byDescriptor = Buffer.alloc(3);
  expect(readSync(content?.fd ?? -1, byDescriptor, 0, 3, 4)).toBe(3);
  expect(byDescriptor.toString()).toBe('456');
  await Promise.all([content?.close(), spool.close()]);
});
