// A blob still arriving: one writer, many readers, each at its own place and pace.
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { type Digest, digestAlgorithm } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { BlobStore } from './blob-store.ts';
import type { Content } from './content.ts';
import { Extents } from './extents.ts';
import type { Layout } from './layout.ts';
import type { Following, Verifier } from './verifier.ts';

interface Waiter {
  readonly position: number;
  wake(): void;
}

/**
 * Life: create → write… → verify → commit → close, or → discard → close at any point. Readers get everything that is
 * written except the last byte, and that one only after `verify`: a blob with a wrong digest never arrives complete.
 */
export class Spool {
  readonly digest: Digest;
  readonly size: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #following: Following;
  readonly #extents = new Extents();
  readonly #waiters = new Set<Waiter>();
  #verified = false;
  #failure: Error | undefined;
  #users = 1;

  static async create(layout: Layout, verifier: Verifier, digest: Digest, size: number): Promise<Spool> {
    const path = layout.spool(digest, randomUUID());
    const file = await open(path, 'wx+');
    return new Spool(digest, size, path, file, verifier.follow(path, digestAlgorithm(digest)));
  }

  private constructor(digest: Digest, size: number, path: string, file: FileHandle, following: Following) {
    this.digest = digest;
    this.size = size;
    this.#path = path;
    this.#file = file;
    this.#following = following;
  }

  /** The first byte that is missing: where a transfer goes on. */
  get prefix(): number {
    return this.#extents.endFrom(0);
  }

  async write(chunk: Uint8Array, position: number): Promise<void> {
    if (position + chunk.length > this.size) throw new Error(`more bytes arrived than the ${this.size} announced`);
    for (let done = 0; done < chunk.length; )
      done += (await this.#file.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
    this.#extents.add(position, position + chunk.length);
    this.#following.advance(this.prefix);
    this.#wake();
  }

  /** Throws `DigestMismatchError`; afterwards readers may have the last byte. */
  async verify(): Promise<void> {
    const encoded = await this.#following.finish();
    const found = `${digestAlgorithm(this.digest)}:${encoded}`;
    if (found !== this.digest) throw new DigestMismatchError(this.digest, found);
    this.#verified = true;
    this.#wake();
  }

  /** Moves the file into the store. Readers go on with the descriptor they share. */
  commit(store: BlobStore): Promise<void> {
    return store.commit(this.digest, this.#file, this.#path);
  }

  /** Ends all readers where they are and removes the file. */
  async discard(failure: Error): Promise<void> {
    this.#failure = failure;
    this.#following.abandon();
    this.#wake();
    await rm(this.#path, { force: true });
  }

  /** The writer is done with it; the file closes with its last reader. */
  close(): Promise<void> {
    return this.#release();
  }

  /** Another reader; `undefined` once the spool has failed or its file is closed. */
  read(): Content | undefined {
    if (this.#failure || this.#users === 0) return undefined;
    this.#users++;
    let open = true;
    return {
      size: this.size,
      waitFor: (position, signal) => this.#waitFor(position, signal),
      read: async (buffer, position) => (await this.#file.read(buffer, 0, buffer.length, position)).bytesRead,
      close: async () => {
        if (open) await this.#release();
        open = false;
      },
    };
  }

  #readableEnd(position: number): number {
    const end = this.#extents.endFrom(position);
    return this.#verified ? end : Math.min(end, this.size - 1);
  }

  async #waitFor(position: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      if (position >= this.size) return this.size;
      const end = this.#readableEnd(position);
      if (end > position) return end;
      if (this.#failure) throw this.#failure;
      await this.#growth(position, signal);
    }
  }

  #growth(position: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        position,
        wake: () => {
          this.#waiters.delete(waiter);
          signal.removeEventListener('abort', waiter.wake);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', waiter.wake, { once: true });
    });
  }

  #wake(): void {
    for (const waiter of [...this.#waiters])
      if (this.#failure || this.#readableEnd(waiter.position) > waiter.position) waiter.wake();
  }

  async #release(): Promise<void> {
    if (--this.#users === 0) await this.#file.close();
  }
}
