// What is cached, for the commands that show it: asked of a mirror, or of a directory that none holds.
import { CommanderError } from 'commander';
import type { ImageQuery } from '../mirror/images/images.ts';
import type { ShownImage } from './answers.ts';
import { type AdminFlags, adminClient } from './find-admin.ts';
import { ifMissing, imagePath } from './image-argument.ts';

export interface DirectoryFlags extends AdminFlags {
  readonly cacheDir?: string;
}

export interface ListPage {
  readonly images: readonly ShownImage[];
  readonly cursor?: string | undefined;
}

export interface CachedImages extends AsyncDisposable {
  list(query: ImageQuery, signal: AbortSignal): Promise<ListPage>;
  /** One image, or all of a repository; never empty. Throws where nothing is cached under that name. */
  find(image: string, signal: AbortSignal): Promise<readonly ShownImage[]>;
}

export const cacheDirOption = [
  '--cache-dir <dir>',
  'work on this directory itself, which no mirror may have open, rather than ask one',
] as const;

/** Throws wrong usage for flags that name two places. */
export function isDirectoryMeant({ admin, cacheDir }: DirectoryFlags): boolean {
  if (admin !== undefined && cacheDir !== undefined)
    throw new CommanderError(2, 'stillwater.place', '--admin and --cache-dir name two places: give one');
  return cacheDir !== undefined;
}

export async function openCachedImages(flags: DirectoryFlags): Promise<CachedImages> {
  if (isDirectoryMeant(flags)) return (await import('./local-images.ts')).openLocalImages(flags);
  const client = adminClient(flags, { hasDirectory: true });
  return {
    list: async (query, signal) => (await client.get(`/images?${queryText(query)}`, { signal })) as ListPage,
    find: async (image, signal) => {
      const found = await client.get(`/images/${imagePath(image)}`, { signal, ifMissing });
      return (found as ListPage).images;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function queryText(query: ImageQuery): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
