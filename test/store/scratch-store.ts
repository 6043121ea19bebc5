// A cache directory of a test's own, with what the store's tests need of it.
import { randomUUID } from 'node:crypto';
import { open, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { BlobStore } from '../../src/store/blob-store.ts';
import type { Content } from '../../src/store/content.ts';
import { type Layout, prepareLayout } from '../../src/store/layout.ts';
import { Spool } from '../../src/store/spool.ts';
import { Verifier } from '../../src/store/verifier.ts';
import { tempDir } from '../support/temp-dir.ts';

export class ScratchStore implements AsyncDisposable {
  readonly dir: string;
  readonly layout: Layout;
  readonly store: BlobStore;
  /** One worker, so that its work is done in the order in which it was asked for. */
  readonly verifier = new Verifier(1);
  readonly #remove: () => Promise<void>;

  private constructor(dir: string, layout: Layout, remove: () => Promise<void>) {
    this.dir = dir;
    this.layout = layout;
    this.store = new BlobStore(layout);
    this.#remove = remove;
  }

  static async open(): Promise<ScratchStore> {
    const { path, remove } = await tempDir('store');
    return new ScratchStore(path, await prepareLayout(path), remove);
  }

  /** A spool for these bytes, or for others under their name. */
  async spool(bytes: Uint8Array, digest = digestOf(bytes)): Promise<Spool> {
    const path = this.layout.arrival(digest, randomUUID());
    const file = await open(path, 'wx+');
    return new Spool(this.verifier, { digest, size: bytes.length, path, file, journal: undefined });
  }

  async isStored(digest: Digest): Promise<boolean> {
    return stat(this.layout.blob(digest)).then(
      () => true,
      () => false,
    );
  }

  spoolFiles(): Promise<string[]> {
    return readdir(this.layout.spools);
  }

  /** Descriptors of this process, worker included, on files of the cache, removed ones too. */
  async openFiles(): Promise<string[]> {
    await this.verifier.follow(join(this.dir, 'CACHEDIR.TAG'), 'sha256').finish(); // its worker has closed the others
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return links.filter((path) => path.startsWith(this.layout.root));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.verifier.close();
    await this.store.close();
    await this.#remove();
  }
}

export const never = new AbortController().signal;

/** Everything from `position` on, read as a client's answer reads it. */
export async function readFrom(content: Content, position = 0, signal: AbortSignal = never): Promise<Buffer> {
  const bytes = Buffer.alloc(content.size - position);
  for (let at = 0; at < bytes.length; ) {
    const end = await content.waitFor(position + at, signal);
    at += await content.read(bytes.subarray(at, end - position), position + at);
  }
  return bytes;
}

/** Whether a promise still waits after everything that was ready has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const turn = new Promise<typeof isPending>((resolve) => setImmediate(resolve, isPending));
  return (await Promise.race([promise, turn])) === isPending;
}
