// Which files of a cache this process holds open: the blobs and spools, without the index and the lock. Linux only.
import { readdirSync, readlinkSync } from 'node:fs';

export function openFiles(cacheDir: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(cacheDir) && /\/(blobs|spools)\//.test(path) ? [path] : [];
    } catch {
      return []; // closed since it was listed
    }
  });
}
