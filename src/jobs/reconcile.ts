// Brings disk and index together after a start: files that no record knows, records that no file bears out.
import { type Dirent, statSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, type Log } from '../observe/log.ts';
import { type Digest, type DigestAlgorithm, parseDigest } from '../oci/digest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Layout } from '../store/layout.ts';
import type { Records } from '../store/records.ts';

export interface ReconcileOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly store: BlobStore;
  /** What a fill is about to commit is left alone. */
  readonly isFilling: (digest: Digest) => boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Between two turns, and before what failed is tried again; rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

export interface Reconciled {
  /** Files that have a record now. Nobody is served of them before they were hashed. */
  readonly adopted: number;
  /** Records whose file was gone or of another length. */
  readonly forgotten: number;
  /** Files under names that no blob has there, removed. */
  readonly strays: number;
}

const encodedLengths: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };
const turnSize = 64;
/** Of its time; the rest is left to those who pull. */
const workingShare = 1 / 4;
/** A folder that cannot be read, or recorded, is tried again so often and so much later. */
const attempts = 5;
const retryMs = 60_000;

/** One pass over every folder, in small turns. Ends early, without an error, when the signal fires. */
export async function reconcile(options: ReconcileOptions): Promise<Reconciled> {
  const pass = new Pass(options);
  try {
    await pass.run();
  } catch (error) {
    if (!options.signal.aborted) throw error;
  }
  pass.report();
  return pass.done;
}

/** `sha256:00` to `sha512:ff`: what the digests of a folder begin with. */
function allPrefixes(): string[] {
  const pairs = Array.from({ length: 256 }, (_, pair) => pair.toString(16).padStart(2, '0'));
  return Object.keys(encodedLengths).flatMap((algorithm) => pairs.map((pair) => `${algorithm}:${pair}`));
}

class Pass {
  readonly done = { adopted: 0, forgotten: 0, strays: 0 };
  readonly #options: ReconcileOptions;
  readonly #wait: (ms: number) => Promise<unknown>;
  /** The folders in a folder, as of the first look. */
  readonly #known = new Map<string, ReadonlySet<string>>();

  constructor(options: ReconcileOptions) {
    this.#options = options;
    const { signal, wait = (ms) => sleep(ms, undefined, { signal }) } = options;
    this.#wait = (ms) => {
      signal.throwIfAborted();
      return wait(ms, signal);
    };
  }

  async run(): Promise<void> {
    let left = await this.#folders(allPrefixes());
    for (let attempt = 1; left.length > 0 && attempt < attempts; attempt++) {
      await this.#wait(retryMs);
      left = await this.#folders(left);
    }
  }

  /** Resolves to those that could not be checked. */
  async #folders(prefixes: readonly string[]): Promise<string[]> {
    const { log, signal } = this.#options;
    const failed: string[] = [];
    for (const prefix of prefixes) {
      try {
        await this.#folder(prefix);
      } catch (error) {
        signal.throwIfAborted();
        if (failed.length === 0) log.warn({ folder: prefix, reason: errorText(error) }, 'blobs could not be checked');
        failed.push(prefix);
      }
    }
    return failed;
  }

  report(): void {
    const { adopted, forgotten, strays } = this.done;
    if (adopted + forgotten + strays > 0)
      this.#options.log.warn(this.done, 'the blobs on the disk were not those of the index; they are now');
  }

  async #folder(prefix: string): Promise<void> {
    const { records } = this.#options;
    const sizes = (await this.#exists(prefix)) ? await this.#sizes(prefix) : new Map<Digest, number>();
    for (let last = prefix; ; ) {
      const began = performance.now();
      const known = records.blobsAfter(last, turnSize);
      const here = known.filter(({ digest }) => digest.startsWith(prefix));
      this.#settle(here.filter(({ digest, size }) => sizes.get(digest) !== size).map(({ digest }) => digest));
      for (const { digest } of here) sizes.delete(digest);
      await this.#rest(began);
      if (here.length < turnSize) break;
      last = here.at(-1)?.digest ?? last;
    }
    await this.#inTurns([...sizes.keys()], async (digests) => this.#settle(digests));
  }

  /** A young cache has few of its folders, and what is asked for in vain costs more than it. */
  async #exists(prefix: string): Promise<boolean> {
    const folder = this.#folderOf(prefix);
    const above = dirname(folder);
    this.#known.set(above, this.#known.get(above) ?? new Set((await entriesOf(above)).map(({ name }) => name)));
    return this.#known.get(above)?.has(basename(folder)) === true;
  }

  /** Of the files that are named as blobs of this folder are. Others are removed if they can only be ours. */
  async #sizes(prefix: string): Promise<Map<Digest, number>> {
    const sizes = new Map<Digest, number>();
    const folder = this.#folderOf(prefix);
    await this.#inTurns(await entriesOf(folder), async (entries) => {
      await Promise.all(
        entries.map(async (entry) => {
          const path = join(folder, entry.name);
          const digest = digestIn(prefix, entry.name);
          if (digest) {
            const found = await stat(path).catch(() => undefined);
            if (found?.isFile()) sizes.set(digest, found.size);
          } else if (entry.isFile() && !entry.name.startsWith('.')) await this.#removeStray(path);
        }),
      );
    });
    return sizes;
  }

  /**
   * In one turn, so that no commit and no eviction comes between look and act:
   *   1  a fill or an eviction may have ended since the folder was read: look at record and file again
   *   2  no record, but a file: adopt it
   *   3  a record, but no such file: forget it, and remove what lies there instead
   */
  #settle(digests: readonly Digest[]): void {
    const { layout, records, store, isFilling, log } = this.#options;
    const found = { adopted: 0, forgotten: 0 };
    const wrong: Digest[] = [];
    if (digests.length === 0) return;
    records.batch(() => {
      found.adopted = 0;
      found.forgotten = 0;
      for (const digest of digests) {
        if (isFilling(digest)) continue;
        const record = records.blob(digest);
        const file = statSync(layout.blob(digest), { throwIfNoEntry: false });
        const isFile = file?.isFile() === true;
        if (!record && isFile) {
          records.putUnproven(digest, file.size, file.mtimeMs);
          found.adopted++;
          log.debug({ digest, size: file.size }, 'adopted a file that no record knew');
        } else if (record && !(isFile && file.size === record.size)) {
          records.deleteBlob(digest);
          found.forgotten++;
          if (isFile) wrong.push(digest);
          log.debug({ digest, size: record.size, found: file?.size }, 'forgot a blob whose file is gone or cut short');
        }
      }
    });
    this.done.adopted += found.adopted;
    this.done.forgotten += found.forgotten;
    for (const digest of wrong)
      store.remove(digest).catch((error: unknown) => {
        log.warn({ digest, reason: errorText(error) }, 'a file of a wrong length could not be removed');
      });
  }

  async #removeStray(path: string): Promise<void> {
    await rm(path, { force: true });
    this.done.strays++;
    this.#options.log.warn({ file: path }, 'removed a file that is named as no blob here is');
  }

  async #inTurns<T>(items: readonly T[], act: (some: readonly T[]) => Promise<void>): Promise<void> {
    for (let at = 0; at < items.length; at += turnSize) {
      const began = performance.now();
      await act(items.slice(at, at + turnSize));
      await this.#rest(began);
    }
  }

  async #rest(began: number): Promise<void> {
    await this.#wait((performance.now() - began) * (1 / workingShare - 1));
  }

  #folderOf(prefix: string): string {
    const algorithm = prefix.slice(0, prefix.indexOf(':')) as DigestAlgorithm;
    const first = parseDigest(prefix.padEnd(algorithm.length + 1 + encodedLengths[algorithm], '0'));
    if (!first) throw new Error(`no digest begins with ${prefix}`);
    return dirname(this.#options.layout.blob(first));
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function digestIn(prefix: string, name: string): Digest | undefined {
  const digest = parseDigest(`${prefix.slice(0, prefix.indexOf(':'))}:${name}`);
  return digest?.startsWith(prefix) ? digest : undefined;
}
