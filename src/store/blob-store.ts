// Where verified content rests: one file a digest on the local disk. Nothing unverified is ever in it.
import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { type FileHandle, mkdir, open, rm, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Digest } from '../oci/digest.ts';
import { BlobContent } from './content.ts';
import { type Layout, publish } from './layout.ts';

export class BlobStore {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /**
   * `undefined` when there is no file, or one of another length than the index says: a file that something else cut
   * short must become a miss, not a short body.
   */
  async open(digest: Digest, size: number): Promise<BlobContent | undefined> {
    const file = await this.#openFile(digest);
    if (!file) return undefined;
    const found = await file.stat().catch(() => undefined);
    if (found?.size === size) return new BlobContent(file, size);
    await file.close();
    return undefined;
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

  /** For manifests, which are small. */
  async readAll(digest: Digest, size: number): Promise<Uint8Array | undefined> {
    const content = await this.open(digest, size);
    if (!content) return undefined;
    try {
      const bytes = new Uint8Array(size);
      return (await content.read(bytes, 0)) === size ? bytes : undefined;
    } finally {
      await content.close();
    }
  }

  /** Takes over a verified spool file. Idempotent: the same bytes may be committed twice. */
  async commit(digest: Digest, file: FileHandle, path: string): Promise<void> {
    await publish(file, path, this.#layout.blob(digest));
  }

  /** Stores bytes that the caller has hashed. */
  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = this.#layout.arrival(digest, randomUUID());
    // Somebody may have removed the folder under us.
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx');
    try {
      await file.writeFile(bytes);
      await publish(file, path, this.#layout.blob(digest));
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
    try {
      renameSync(path, trash);
    } catch {
      // Nothing is there, or a full disk has no place for a name more.
      rmSync(path, { force: true });
      return;
    }
    await unlink(trash);
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
