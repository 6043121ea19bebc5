// Archives in and out of a directory that no mirror holds.
import { exportImages } from '../archive/export-images.ts';
import { importArchive } from '../archive/import-archive.ts';
import { parseImageName } from '../oci/image-name.ts';
import { parsePlatform } from '../oci/platform.ts';
import type { DirectoryFlags } from './cached-images.ts';
import type { ExportWish } from './export.ts';
import type { Importer, ImportLine } from './import.ts';
import { openLocalCache } from './local-cache.ts';

export async function openImporter(flags: DirectoryFlags): Promise<AsyncDisposable & { readonly run: Importer }> {
  const {
    cache,
    resolve,
    [Symbol.asyncDispose]: close,
  } = await openLocalCache(flags, { mayMake: true, mayChange: true });
  const run: Importer = async function* ({ body, sizeBytes, name }, signal): AsyncGenerator<ImportLine> {
    const images = await importArchive(cache, { body, sizeBytes, resolve, name, signal });
    for (const image of images) yield { type: 'image', ...image };
    yield { type: 'done', images: images.length, bytes: images.reduce((sum, { bytes }) => sum + bytes, 0) };
  };
  return { run, [Symbol.asyncDispose]: close };
}

export async function exportDirectory(
  { images, platforms }: ExportWish,
  flags: DirectoryFlags,
  signal: AbortSignal,
): Promise<AsyncDisposable & { readonly body: AsyncIterable<Uint8Array> }> {
  const { cache, find, [Symbol.asyncDispose]: close } = await openLocalCache(flags);
  try {
    const wanted = images.map((image) => {
      const { name, reference } = parseImageName(image);
      return { repository: find(name), reference };
    });
    const chosen = platforms?.flatMap((text) => parsePlatform(text) ?? []);
    const wish = platforms?.[0] === 'all' ? 'all' : chosen;
    const { body } = await exportImages(cache, { images: wanted, platforms: wish, signal });
    return { body, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
