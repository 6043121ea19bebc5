// A blob still arriving: one writer, many readers, each at its own place and pace.
import { type FileHandle, rm } from 'node:fs/promises';
import { type Digest, digestAlgorithm } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { BlobStore } from './blob-store.ts';
import type { Content } from './content.ts';
import { Extents } from './extents.ts';
import { SpoolReader, type Waiter } from './spool-reader.ts';
import { Turns } from './turns.ts';
import type { Following, JournalFile, Verifier } from './verifier.ts';

/**
 * A wait ends at once when this much can be read, and after `wakeMs` for less: an upstream hands out pieces far smaller
 * than what is worth a turn of every reader (50 readers at 200 MB/s: half the garbage and CPU, measured).
 */
const wakeBytes = 256 * 1024;
const wakeMs = 4;

/**
 * Writes of all spools at once: half of the four threads that node reads files with, so that no slow disk keeps a hit from
 * its bytes. One a spool: more would only wait for each other in the kernel, and its next pieces gather meanwhile.
 */
const writes = new Turns(2);

/** A blob this large takes a thread for as long as the disk needs for all of it: one at a time, small ones beside it. */
const largeBytes = 8 * 1024 * 1024;
const largeCommits = new Turns(1);

/** What a spool begins with. */
export interface SpoolFile {
  readonly digest: Digest;
  readonly size: number;
  readonly path: string;
  /** `undefined` when a broken transfer leaves nothing to go on from. */
  readonly journal: JournalFile | undefined;
  readonly file: FileHandle;
}

/**
 * Life: write… → verify → commit → close; or → suspend, which leaves the file for the next fill, or → discard, then close,
 * at any point. Readers get everything that is written except the last byte, and that one only after `verify`: a blob
 * with a wrong digest never arrives complete.
 */
export class Spool {
  readonly digest: Digest;
  readonly size: number;
  /** What an earlier fill claims to have written, from the first byte; it becomes readable as it proves true. */
  readonly claimed: number;
  /** Resolves to how much of that was true. */
  readonly recovered: Promise<number>;
  /** Told when a reader waits for bytes that do not follow from what has arrived. */
  onWanted: (() => void) | undefined;
  readonly #path: string;
  readonly #journal: string | undefined;
  readonly #file: FileHandle;
  readonly #following: Following;
  readonly #extents = new Extents();
  readonly #writes = new Turns(1);
  readonly #waiters = new Set<Waiter>();
  #wakePlanned: NodeJS.Timeout | undefined;
  #verified = false;
  #isStored = false;
  /** Its file has another name, and that one's may be the next spool's. */
  #isCommitted = false;
  #failure: Error | undefined;
  readonly #closed = Promise.withResolvers<void>();
  #users = 1;

  constructor(verifier: Verifier, { digest, size, path, journal, file }: SpoolFile) {
    this.digest = digest;
    this.size = size;
    this.#path = path;
    this.#journal = journal?.path;
    this.#file = file;
    this.claimed = journal?.checkpoints.at(-1)?.end ?? 0;
    const recovered = Promise.withResolvers<number>();
    this.recovered = recovered.promise;
    if (this.claimed === 0) recovered.resolve(0);
    const onTrusted = (end: number, isLast: boolean) => {
      this.#arrived(0, end);
      if (isLast) recovered.resolve(end);
    };
    this.#following = verifier.follow(path, digestAlgorithm(digest), journal && { journal, onTrusted });
  }

  /** The first byte that is missing. */
  get prefix(): number {
    return this.#extents.endFrom(0);
  }

  get written(): Extents {
    return this.#extents;
  }

  /** Where readers wait, the longest first. */
  wanted(): number[] {
    return Array.from(this.#waiters, ({ position }) => position);
  }

  /** Each byte once: what is written may be hashed already. */
  write(chunk: Uint8Array, position: number): Promise<void> {
    return this.#writes.run(async () => {
      if (position + chunk.length > this.size) throw new Error(`more bytes arrived than the ${this.size} announced`);
      if (this.#extents.endFrom(position) > position) throw new Error(`byte ${position} arrived twice`);
      await writes.run(() => this.#write(chunk, position));
      this.#arrived(position, position + chunk.length);
    });
  }

  /** The file is whole already: only its digest is to be proven. */
  adopt(): void {
    this.#isStored = true;
    this.#arrived(0, this.size);
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
  async commit(store: BlobStore): Promise<void> {
    const commit = () => store.commit(this.digest, this.#file, this.#path);
    await (this.size < largeBytes ? commit() : largeCommits.run(commit));
    this.#isCommitted = true;
    if (this.#journal) await rm(this.#journal, { force: true });
  }

  /** Ends all readers where they are; the file waits for the next fill, if anything in it is worth that. */
  async suspend(failure: Error): Promise<void> {
    if (this.#isStored || this.#isCommitted) {
      this.#fail(failure);
      this.#following.abandon();
      return;
    }
    if (!this.#journal || (this.prefix === 0 && this.claimed === 0)) return this.discard(failure);
    this.#fail(failure);
    await this.#following.suspend();
  }

  /** Removes the file. With a failure all readers end where they are; without, they finish with what they have open. */
  async discard(failure?: Error): Promise<void> {
    if (failure) this.#fail(failure);
    this.#following.abandon();
    if (this.#isCommitted) return;
    await rm(this.#path, { force: true });
    if (this.#journal) await rm(this.#journal, { force: true });
  }

  /** Resolves when the last reader has closed it. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The writer is done with it; the file closes with its last reader. */
  close(): Promise<void> {
    return this.#release();
  }

  /** Another reader; `undefined` once the spool has failed or its file is closed. */
  read(): Content | undefined {
    if (this.#failure || this.#users === 0) return undefined;
    this.#users++;
    return new SpoolReader(this.size, this.#file, {
      readableEnd: (position) => this.#readableEnd(position),
      wait: (waiter) => {
        this.#waiters.add(waiter);
        if (waiter.position > this.prefix) this.onWanted?.();
      },
      leave: (waiter) => this.#waiters.delete(waiter),
      release: () => this.#release(),
    });
  }

  /** The exclusive end of what readers may have from `position` on. Throws once the rest will never come. */
  #readableEnd(position: number): number {
    const written = this.#extents.endFrom(position);
    const end = this.#verified ? written : Math.min(written, this.size - 1);
    if (end <= position && this.#failure) throw this.#failure;
    return end;
  }

  async #write(chunk: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, position + done);
      if (bytesWritten === 0) throw new Error(`the disk took nothing at byte ${position + done} of ${this.#path}`);
      done += bytesWritten;
    }
  }

  #arrived(start: number, end: number): void {
    this.#extents.add(start, end);
    this.#following.advance(this.prefix);
    this.#wake(wakeBytes);
    if (this.#waiters.size > 0) this.#wakePlanned ??= setTimeout(() => this.#wake(1), wakeMs);
  }

  #fail(failure: Error): void {
    this.#failure = failure;
    this.#wake(0);
  }

  /** Wakes who has at least `bytes` to read; 0 wakes everybody. */
  #wake(bytes: number): void {
    if (bytes < wakeBytes) {
      clearTimeout(this.#wakePlanned);
      this.#wakePlanned = undefined;
    }
    for (const waiter of [...this.#waiters])
      if (bytes === 0 || this.#readableEnd(waiter.position) - waiter.position >= bytes) waiter.wake();
  }

  async #release(): Promise<void> {
    if (--this.#users > 0) return;
    try {
      await this.#file.close();
    } finally {
      this.#closed.resolve();
    }
  }
}
