// One open file for all who read it at the same time.
import { fstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Content } from './content.ts';

/** Closed when nobody reads it, once it is not kept any more. */
export class SharedFile {
  readonly #opening: Promise<FileHandle | undefined>;
  #file: FileHandle | undefined;
  #closed: Promise<void> | undefined;
  /** Those who wait for it to be open among them. */
  #readers = 0;
  #isKept = true;
  #wasRead = true;

  constructor(opening: Promise<FileHandle | undefined>) {
    this.#opening = opening;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** As soon as it is open. What replaces it from then on is the same, so only its length counts. */
  async read(size: number): Promise<Content | undefined> {
    this.#readers++;
    try {
      this.#file = await this.#opening;
      return this.#file && this.#contentOf(this.#file, size, fstatSync(this.#file.fd).size);
    } finally {
      await this.#leave();
    }
  }

  /** If it is open. `undefined` also when it was removed, or cut short, by something else. */
  readNow(size: number): Content | undefined {
    if (!this.#file) return undefined;
    const found = fstatSync(this.#file.fd);
    return found.nlink > 0 ? this.#contentOf(this.#file, size, found.size) : undefined;
  }

  /** Whether nobody reads it, nor did since this was last asked. */
  isIdle(): boolean {
    const wasRead = this.#wasRead;
    this.#wasRead = false;
    return this.#readers === 0 && !wasRead;
  }

  letGo(): Promise<void> {
    this.#isKept = false;
    return this.#closeIfUnused();
  }

  #contentOf(file: FileHandle, size: number, found: number): Content | undefined {
    if (found !== size) return undefined;
    this.#readers++;
    this.#wasRead = true;
    return new SharedContent(file, size, () => this.#leave());
  }

  #leave(): Promise<void> {
    this.#readers--;
    return this.#closeIfUnused();
  }

  async #closeIfUnused(): Promise<void> {
    if (this.#isKept || this.#readers > 0 || !this.#file) return;
    // Nothing was written that could be lost.
    this.#closed ??= this.#file.close().catch(() => {});
    await this.#closed;
  }
}

class SharedContent implements Content {
  readonly size: number;
  readonly #file: FileHandle;
  readonly #leave: () => Promise<void>;
  #isClosed = false;

  constructor(file: FileHandle, size: number, leave: () => Promise<void>) {
    this.#file = file;
    this.size = size;
    this.#leave = leave;
  }

  get fd(): number | undefined {
    return this.#file.fd;
  }

  async waitFor(_position: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    return this.size;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return (await this.#file.read(buffer, 0, buffer.length, position)).bytesRead;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#leave();
  }
}
