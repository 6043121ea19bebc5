// Where blobs arrive: a spool a digest, gone on with where an earlier fill, or an earlier process, left it.
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import type { Digest } from '../oci/digest.ts';
import type { BlobStore } from './blob-store.ts';
import { type Journal, journalHead } from './journal.ts';
import type { Layout } from './layout.ts';
import { Leftovers } from './leftovers.ts';
import { Spool, type SpoolFile } from './spool.ts';
import { Verifier } from './verifier.ts';

export class Spools {
  readonly verifier = new Verifier();
  readonly leftovers: Leftovers;
  readonly #layout: Layout;
  /** Who has a digest's file, until it is put away: two writers would spoil each other's bytes behind the hash. */
  readonly #inUse = new Map<Digest, PromiseWithResolvers<void>>();
  readonly #uses = new WeakMap<Spool, PromiseWithResolvers<void>>();

  private constructor(layout: Layout) {
    this.#layout = layout;
    this.leftovers = new Leftovers(layout);
  }

  /** Only the holder of the directory's lock may open it: it removes what cannot be gone on with. */
  static async open(layout: Layout): Promise<Spools> {
    const spools = new Spools(layout);
    await spools.leftovers.takeStock();
    return spools;
  }

  /** Resolves when nobody writes to the digest's file any more. */
  async free(digest: Digest): Promise<void> {
    for (let user = this.#inUse.get(digest); user; user = this.#inUse.get(digest)) await user.promise;
  }

  /**
   * Goes on with what is left of the digest, if its size and its `origin` are the same. The caller ends it by `commit`,
   * `suspend` or `discard`.
   */
  open(digest: Digest, size: number, origin?: string): Promise<Spool> {
    return this.#use(digest, async () => {
      const left = await this.leftovers.journal(digest, origin);
      const path = this.#layout.spool(digest);
      const found = left?.size === size ? await open(path, 'r+').catch(() => undefined) : undefined;
      const file = found ?? (await this.#create(digest, { size, origin }));
      this.leftovers.claim(digest);
      const checkpoints = (found && left?.checkpoints) ?? [];
      return { digest, size, path, file, journal: { path: this.#layout.journal(digest), size, origin, checkpoints } };
    });
  }

  /** A whole file that lies in the store without anybody's word for it, to be proven while it is read. Rejects without a file. */
  async adopt(digest: Digest, size: number): Promise<Spool> {
    const path = this.#layout.blob(digest);
    const spool = await this.#use(digest, async () => ({
      digest,
      size,
      path,
      file: await open(path, 'r'),
      journal: undefined,
    }));
    spool.adopt();
    return spool;
  }

  /** One that fails leaves the spool to `suspend` or `discard`. */
  async commit(spool: Spool, store: BlobStore): Promise<void> {
    await spool.commit(store);
    await this.#endUse(spool, async () => {});
  }

  /** For a transfer that broke off: the next fill goes on with it. */
  suspend(spool: Spool, failure: Error): Promise<void> {
    return this.#endUse(spool, async () => {
      await spool.suspend(failure);
      // After a commit the file of that name may be the next spool's.
      if (this.#inUse.get(spool.digest) === this.#uses.get(spool)) await this.leftovers.add(spool.digest);
    });
  }

  /** Nothing is left of it; with a failure its readers end where they are. */
  discard(spool: Spool, failure?: Error): Promise<void> {
    return this.#endUse(spool, () => spool.discard(failure));
  }

  async close(): Promise<void> {
    await this.verifier.close();
  }

  async #use(digest: Digest, make: () => Promise<SpoolFile>): Promise<Spool> {
    while (this.#inUse.has(digest)) await this.free(digest);
    const use = Promise.withResolvers<void>();
    this.#inUse.set(digest, use);
    try {
      const spool = new Spool(this.verifier, await make());
      this.#uses.set(spool, use);
      return spool;
    } catch (error) {
      await this.leftovers.add(digest);
      this.#release(digest, use);
      throw error;
    }
  }

  async #endUse(spool: Spool, end: () => Promise<void>): Promise<void> {
    try {
      await end();
    } finally {
      const use = this.#uses.get(spool);
      if (use) this.#release(spool.digest, use);
    }
  }

  #release(digest: Digest, use: PromiseWithResolvers<void>): void {
    if (this.#inUse.get(digest) === use) this.#inUse.delete(digest);
    use.resolve();
  }

  async #create(digest: Digest, head: Pick<Journal, 'size' | 'origin'>): Promise<FileHandle> {
    // Somebody may have removed the folder under us: it costs nothing to make it again.
    await mkdir(this.#layout.spools, { recursive: true });
    await this.leftovers.remove(digest);
    await writeFile(this.#layout.journal(digest), journalHead(head));
    return open(this.#layout.spool(digest), 'wx+');
  }
}
