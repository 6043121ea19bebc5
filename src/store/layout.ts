// Where things lie in the cache directory, and the version of that order.
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
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

  get index(): string {
    return join(this.root, 'index.db');
  }

  get lock(): string {
    return join(this.root, 'lock');
  }

  get spools(): string {
    return join(this.root, 'spools');
  }

  blob(digest: Digest): string {
    const encoded = digestEncoded(digest);
    return join(this.root, 'blobs', digestAlgorithm(digest), encoded.slice(0, 2), encoded);
  }

  /** Unique a spool, so that the remains of a failed one can never be taken for the next. */
  spool(digest: Digest, attempt: string): string {
    return join(this.spools, `${digestAlgorithm(digest)}-${digestEncoded(digest)}.${attempt}`);
  }
}

/** Makes the folders. Throws when they cannot be written, or were made by a newer program. */
export async function prepareLayout(cacheDir: string): Promise<Layout> {
  const layout = new Layout(cacheDir);
  try {
    await mkdir(layout.spools, { recursive: true });
    await writeFile(join(cacheDir, 'CACHEDIR.TAG'), cacheDirTag);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new Error(`cache.dir cannot be written: ${cacheDir}: ${why}; choose another folder or mend its permissions`, {
      cause,
    });
  }
  const newer = (await readdir(cacheDir)).find((name) => /^v\d+$/.test(name) && Number(name.slice(1)) > formatVersion);
  if (newer)
    throw new Error(
      `cache.dir was written by a newer Stillwater: ${cacheDir} holds format ${newer}, this program knows v${formatVersion}; use the newer program or another folder`,
    );
  return layout;
}

/** Removes what a process that died left half written. Only the holder of the lock may call it. */
export async function clearSpools(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.spools)) await rm(join(layout.spools, name), { force: true });
}

/** Moves a complete file to its final name so that a power loss leaves either nothing or all of it. */
export async function publish(file: { datasync(): Promise<void> }, from: string, to: string): Promise<void> {
  await file.datasync();
  const created = await mkdir(dirname(to), { recursive: true });
  await rename(from, to);
  await syncDir(dirname(to));
  if (created) await syncDir(dirname(created));
}

async function syncDir(path: string): Promise<void> {
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
