// A blob that rests in the store or still arrives, as readers see it.
import { readSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobContent } from '../../src/store/content.ts';
import { tempDir } from '../support/temp-dir.ts';
import { never, readFrom, ScratchStore } from './scratch-store.ts';

test('the content of a blob is there from every position, at once', async () => {
  await using dir = await tempDir('content');
  const path = join(dir.path, 'blob');
  await writeFile(path, '0123456789');
  const content = new BlobContent(await open(path, 'r'), 10);
  expect(content.size).toBe(10);
  expect((await readFrom(content)).toString()).toBe('0123456789');
  expect((await readFrom(content, 7)).toString()).toBe('789');
  expect(await content.read(Buffer.alloc(100), 4)).toBe(6);
  expect(await content.read(Buffer.alloc(100), 10)).toBe(0);
  const byDescriptor = Buffer.alloc(3);
  expect(readSync(content.fd, byDescriptor, 0, 3, 7)).toBe(3);
  expect(byDescriptor.toString()).toBe('789');
  await content.close();
  await expect(content.read(Buffer.alloc(1), 0)).rejects.toThrow();
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
