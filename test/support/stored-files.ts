// What lies in a cache directory, judged from outside: a committed blob is a file that hashes to its own name.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** All files below a folder called `blobs`, wherever the format's version puts it; relative to the cache directory. */
export async function committedFiles(cacheDir: string): Promise<string[]> {
  const entries = await readdir(cacheDir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(cacheDir, join(entry.parentPath, entry.name)))
    .filter((file) => file.split(sep).slice(0, -1).includes('blobs'));
}

/** Those committed files that are not what their names promise: always none. */
export async function lyingFiles(cacheDir: string): Promise<string[]> {
  const lying: string[] = [];
  for (const file of await committedFiles(cacheDir)) {
    const hex = basename(file);
    const hash = createHash(hex.length === 128 ? 'sha512' : 'sha256');
    await pipeline(createReadStream(join(cacheDir, file)), hash);
    if (hash.digest('hex') !== hex) lying.push(file);
  }
  return lying;
}

export async function isCommitted(cacheDir: string, digest: string): Promise<boolean> {
  const hex = digest.split(':')[1] ?? '';
  return (await committedFiles(cacheDir)).some((file) => basename(file) === hex);
}
