// What is cached in a directory that no mirror holds.
import { parsePartialImageName } from '../oci/image-name.ts';
import type { CachedImages, DirectoryFlags } from './cached-images.ts';
import { checkImage } from './image-argument.ts';
import { openLocalCache } from './local-cache.ts';

export async function openLocalImages(flags: DirectoryFlags): Promise<CachedImages> {
  const local = await openLocalCache(flags);
  const { images } = local.cache;
  return {
    list: (query, signal) => images.list(query, signal),
    find: async (image, signal) => {
      checkImage(image);
      const { name, reference } = parsePartialImageName(image);
      const found = await images.find(local.find(name), reference, signal);
      if (found.length > 0) return found;
      throw new Error(`nothing is cached as ${image} in ${flags.cacheDir}; see stillwater ls --cache-dir`);
    },
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  };
}
