// A blob that rests in the store, as readers see it.
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobContent } from '../../src/store/content.ts';
import { tempDir } from '../support/temp-dir.ts';
import { readFrom } from './scratch-store.ts';

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
  await content.close();
  await expect(content.read(Buffer.alloc(1), 0)).rejects.toThrow();
});
