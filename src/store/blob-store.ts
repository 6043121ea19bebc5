// Where verified content rests: one file a digest on the local disk. Nothing unverified is ever in it.
import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, rm, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Digest } from '../oci/digest.ts';
import type { Content } from './content.ts';
import { type Layout, publish } from './layout.ts';
import { OpenFiles } from './open-files.ts';
import { MemoryContent, SmallBlobs } from './small-blobs.ts';

/** What is read into memory whole when it is opened. */
const smallBytes = 64 * 1024;

export class BlobStore {
  readonly #layout: Layout;
  readonly #small = new SmallBlobs();
  readonly #files: OpenFiles;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#files = new OpenFiles({ open: (digest) => this.#openFile(digest) });
  }

  /**
   * `undefined` when there is no file, or one of another length than the index says: a file that something else cut
   * short must become a miss, not a short body.
   */
  async open(digest: Digest, size: number): Promise<Content | undefined> {
    if (size > smallBytes) return this.#files.open(digest, size);
    const bytes = await this.readAll(digest, size);
    return bytes && new MemoryContent(bytes);
  }

  /** As `open`, for what is open or in memory already; `undefined` says nothing. Waits for no disk. */
  openNow(digest: Digest, size: number): Content | undefined {
    const bytes = this.#small.now(digest);
    return bytes?.length === size ? new MemoryContent(bytes) : this.#files.now(digest, size);
  }

  /** A small blob's bytes, where they were read or put lately, and not to be changed; touches no disk. */
  remembered(digest: Digest): Uint8Array | undefined {
    return this.#small.now(digest);
  }

  /** Whether `open` would find it, without opening. */
  async has(digest: Digest, size: number): Promise<boolean> {
    return (await stat(this.#layout.blob(digest)).catch(() => undefined))?.size === size;
  }

  /** Of the file, whoever vouches for it; `undefined` when there is none. */
  async sizeOf(digest: Digest): Promise<number | undefined> {
    const found = await stat(this.#layout.blob(digest)).catch(() => undefined);
    return found?.isFile() ? found.size : undefined;
  }

  /** For manifests, which are small. Nobody changes the bytes: others are given the same. */
  async readAll(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const known = this.#small.unseen(digest);
    if (known?.length !== size) return this.#small.read(digest, size, () => this.#readFile(digest, size));
    if (await this.has(digest, size)) {
      this.#small.seen(digest);
      return known;
    }
    await this.#forget(digest);
    return undefined;
  }

  /** As `readAll`, for who goes through very many: what others asked for lately stays remembered, and this does not. */
  async look(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const known = this.#small.now(digest);
    return known?.length === size ? known : this.#readFile(digest, size);
  }

  /** Takes over a verified spool file. Idempotent: the same bytes may be committed twice. */
  async commit(digest: Digest, file: FileHandle, path: string): Promise<void> {
    await publish(file, path, this.#layout.blob(digest));
    await this.#forget(digest);
  }

  /** Stores bytes that the caller has hashed. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = this.#layout.arrival(digest, randomUUID());
    // Somebody may have removed the folder under us.
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx');
    try {
      await file.writeFile(bytes);
      const { forgotten } = this.#small;
      await publish(file, path, this.#layout.blob(digest));
      // What was removed meanwhile, this or another, may be this; what is removed from now on forgets this.
      const isThere = forgotten === this.#small.forgotten;
      const closed = this.#forget(digest);
      if (isThere) this.#small.remember(digest, bytes);
      await closed;
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  /**
   * Gone for everyone who opens it later when the call returns, so that a later commit is never undone; readers who have
   * it open finish. Resolves when its file is unlinked. Idempotent.
   */
  async remove(digest: Digest): Promise<void> {
    const path = this.#layout.blob(digest);
    const trash = this.#layout.trash(randomUUID());
    // A file gives its bytes back when it is neither named nor open.
    const closed = this.#forget(digest);
    try {
      renameSync(path, trash);
    } catch {
      // Nothing is there, or a full disk has no place for a name more.
      rmSync(path, { force: true });
      return closed;
    }
    await Promise.all([closed, unlink(trash)]);
  }

  /** Closes what nobody reads. Everything still works, and nothing is kept open. */
  close(): Promise<void> {
    return this.#files.close();
  }

  #forget(digest: Digest): Promise<void> {
    this.#small.forget(digest);
    return this.#files.forget(digest);
  }

  async #readFile(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const file = await this.#openFile(digest);
    if (!file) return undefined;
    try {
      if ((await file.stat()).size !== size) return undefined;
      const bytes = new Uint8Array(size);
      return (await file.read(bytes, 0, size, 0)).bytesRead === size ? bytes : undefined;
    } finally {
      await file.close();
    }
  }

  async #openFile(digest: Digest): Promise<FileHandle | undefined> {
    try {
      return await open(this.#layout.blob(digest), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
