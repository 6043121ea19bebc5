// Where things lie in the cache directory, and the version of that order.
import { mkdir, open, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, digestAlgorithm, digestEncoded } from '../oci/digest.ts';

const formatVersion = 1;

// https://bford.info/cachedir/
const cacheDirTag = `Signature: 8a477f597d28d172789f06886806bc55
# This directory is Stillwater's cache. Its content can be fetched again; backups may leave it out.
`;

export class Layout {
  readonly root: string;

  constructor(cacheDir: string) {
    this.root = join(cacheDir, `v${formatVersion}`);
  }

  /** May be opened by anybody: closing the index or the lock would let go of what SQLite has locked in them. */
  get tag(): string {
    return join(dirname(this.root), 'CACHEDIR.TAG');
  }

  get index(): string {
    return join(this.root, 'index.db');
  }

  get lock(): string {
    return join(this.root, 'lock');
  }

  get spools(): string {
    return join(this.root, 'spools');
  }

  get blobs(): string {
    return join(this.root, 'blobs');
  }

  blob(digest: Digest): string {
    return join(this.blobs, blobPath(digest));
  }

  /** Where a removed file waits for its unlinking; cleared at every start. */
  trash(name: string): string {
    return join(this.spools, `trash-${name}`);
  }

  /** One a digest, so that the next fill finds what the last one left. */
  spool(digest: Digest): string {
    return join(this.spools, `${digestAlgorithm(digest)}-${digestEncoded(digest)}`);
  }

  journal(digest: Digest): string {
    return `${this.spool(digest)}.journal`;
  }

  /** Unique an attempt, for what is written in one go. */
  arrival(digest: Digest, attempt: string): string {
    return `${this.spool(digest)}.${attempt}`;
  }
}

/** Below the folder of the blobs, with slashes. */
export function blobPath(digest: Digest): string {
  const encoded = digestEncoded(digest);
  return `${digestAlgorithm(digest)}/${encoded.slice(0, 2)}/${encoded}`;
}

/** Makes the folders. Throws when they cannot be written, or were made by a newer program. */
export async function prepareLayout(cacheDir: string): Promise<Layout> {
  const layout = new Layout(cacheDir);
  try {
    await makeFolder(cacheDir);
    await refuseNewerFormat(cacheDir);
    await makeFolder(layout.spools);
    await writeFile(layout.tag, cacheDirTag);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new Error(
      `cache.dir cannot be written: ${cacheDir}: ${code}; choose another folder or mend its permissions`,
      {
        cause,
      },
    );
  }
  return layout;
}

/** With those above it. `recursive` tries for ever where nothing can be made in a folder that is there, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const above = dirname(path);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || above === path) throw error;
    await makeFolder(above);
    await mkdir(path);
  }
}

async function refuseNewerFormat(cacheDir: string): Promise<void> {
  const newer = (await readdir(cacheDir)).find((name) => /^v\d+$/.test(name) && Number(name.slice(1)) > formatVersion);
  if (newer === undefined) return;
  throw new Error(
    `cache.dir was written by a newer Stillwater: ${cacheDir} holds format ${newer}, this program knows v${formatVersion}; use the newer program or another folder`,
  );
}

/** Moves a complete file to its final name so that a power loss leaves either nothing or all of it. */
export async function publish(file: { datasync(): Promise<void> }, from: string, to: string): Promise<void> {
  await file.datasync();
  const created = await mkdir(dirname(to), { recursive: true });
  await rename(from, to);
  // Every folder that got a new entry: that of the file, and those above it that were made for it.
  const last = created === undefined ? dirname(to) : dirname(created);
  for (let dir = dirname(to); ; dir = dirname(dir)) {
    await syncDir(dir);
    if (dir === last) return;
  }
}

async function syncDir(path: string): Promise<void> {
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
