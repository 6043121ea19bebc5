// A file that is more than the buffers of both ends of a connection take.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unhashedContent } from '../support/served-content.ts';
import { tempDir } from '../support/temp-dir.ts';
import { GrowingContent } from './growing-content.ts';

export interface LargeFile extends AsyncDisposable {
  readonly dir: string;
  readonly bytes: Buffer;
  /** It as content that is there as far as `end`. */
  open(end?: number): Promise<GrowingContent>;
}

export const largeSize = 24 * 1024 * 1024;

export async function largeFile(): Promise<LargeFile> {
  const { path: dir, remove } = await tempDir('large-file');
  const path = join(dir, 'blob');
  const bytes = Buffer.concat([...unhashedContent({ size: largeSize, seed: 1 }).read(0, largeSize)]);
  await writeFile(path, bytes);
  return { dir, bytes, open: (end) => GrowingContent.open(path, end), [Symbol.asyncDispose]: remove };
}
