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
 * A wait ends at once when this much can be read, and after `wakeMs` for less: an upstream hands out pieces far smaller
 * than what is worth a turn of every reader (50 readers at 200 MB/s: half the garbage and CPU, measured).
 */
const wakeBytes = 256 * 1024;
const wakeMs = 4;

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
  #wakePlanned: NodeJS.Timeout | undefined;
  #verified = false;
  #failure: Error | undefined;
  #users = 1;

  static async create(layout: Layout, verifier: Verifier, digest: Digest, size: number): Promise<Spool> {
    const path = layout.spool(digest, randomUUID());
    const file = await open(path, 'wx+');
    try {
      return new Spool(digest, size, path, file, verifier.follow(path, digestAlgorithm(digest)));
    } catch (error) {
      await file.close();
      throw error;
    }
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
    this.#wake(wakeBytes);
    if (this.#waiters.size > 0) this.#wakePlanned ??= setTimeout(() => this.#wake(1), wakeMs);
  }

  /** Throws `DigestMismatchError`; afterwards readers may have the last byte. */
  async verify(): Promise<void> {
    const encoded = await this.#following.finish();
    const found = `${digestAlgorithm(this.digest)}:${encoded}`;
    if (found !== this.digest) throw new DigestMismatchError(this.digest, found);
    this.#verified = true;
    this.#wake(1);
  }

  /** Moves the file into the store. Readers go on with the descriptor they share. */
  commit(store: BlobStore): Promise<void> {
    return store.commit(this.digest, this.#file, this.#path);
  }

  /** Ends all readers where they are and removes the file. */
  async discard(failure: Error): Promise<void> {
    this.#failure = failure;
    this.#following.abandon();
    this.#wake(0);
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
    return new SpoolReader(this, this.#file, this.#waiters, () => this.#release());
  }

  /** The exclusive end of what readers may have from `position` on. Throws once the rest will never come. */
  readableEnd(position: number): number {
    const written = this.#extents.endFrom(position);
    const end = this.#verified ? written : Math.min(written, this.size - 1);
    if (end <= position && this.#failure) throw this.#failure;
    return end;
  }

  /** Wakes who has at least `bytes` to read; 0 wakes everybody. */
  #wake(bytes: number): void {
    if (bytes < wakeBytes) {
      clearTimeout(this.#wakePlanned);
      this.#wakePlanned = undefined;
    }
    for (const waiter of [...this.#waiters])
      if (bytes === 0 || this.readableEnd(waiter.position) - waiter.position >= bytes) waiter.wake();
  }

  async #release(): Promise<void> {
    if (--this.#users === 0) await this.#file.close();
  }
}

class SpoolReader implements Content {
  readonly size: number;
  readonly #spool: Spool;
  readonly #file: FileHandle;
  readonly #waiters: Set<Waiter>;
  readonly #release: () => Promise<void>;
  #pending: Waiter | undefined;
  #signal: AbortSignal | undefined;
  #closed = false;

  constructor(spool: Spool, file: FileHandle, waiters: Set<Waiter>, release: () => Promise<void>) {
    this.size = spool.size;
    this.#spool = spool;
    this.#file = file;
    this.#waiters = waiters;
    this.#release = release;
  }

  async waitFor(position: number, signal: AbortSignal): Promise<number> {
    this.#listen(signal);
    for (;;) {
      signal.throwIfAborted();
      if (position >= this.size) return this.size;
      const end = this.#spool.readableEnd(position);
      if (end > position) return end;
      await this.#growth(position);
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return (await this.#file.read(buffer, 0, buffer.length, position)).bytesRead;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#interrupt);
    await this.#release();
  }

  /** One listener a reader, not one a wait: waits come by the thousand. */
  #listen(signal: AbortSignal): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#interrupt);
    this.#signal = signal;
    signal.addEventListener('abort', this.#interrupt);
  }

  readonly #interrupt = (): void => this.#pending?.wake();

  #growth(position: number): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        position,
        wake: () => {
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#pending = waiter;
      this.#waiters.add(waiter);
    });
  }
}
