// A file whose bytes may be had when the test says so.
import { type FileHandle, open } from 'node:fs/promises';
import type { Content } from '../../src/store/content.ts';

export class GrowingContent implements Content {
  readonly size: number;
  /** Whether `fd` tells which file it is. */
  isFile = true;
  readonly #file: FileHandle;
  #end: number;
  #failure: Error | undefined;
  #wake = () => {};
  /** Settles when somebody waits for what is not here. */
  #waited = Promise.withResolvers<void>();

  private constructor(file: FileHandle, size: number, end: number) {
    this.#file = file;
    this.size = size;
    this.#end = end;
  }

  /** All of the file is in it from the start unless `end` says otherwise. */
  static async open(path: string, end?: number): Promise<GrowingContent> {
    const file = await open(path, 'r+');
    const { size } = await file.stat();
    return new GrowingContent(file, size, end ?? size);
  }

  get fd(): number | undefined {
    return this.isFile ? this.#file.fd : undefined;
  }

  /** Resolves when its reader has all there is so far and waits for more. */
  get waited(): Promise<void> {
    return this.#waited.promise;
  }

  grow(end: number): void {
    this.#end = end;
    this.#waited = Promise.withResolvers();
    this.#wake();
  }

  fail(failure: Error): void {
    this.#failure = failure;
    this.#wake();
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size);
  }

  async waitFor(position: number, signal: AbortSignal): Promise<number> {
    const left = () => this.#wake();
    signal.addEventListener('abort', left);
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#end > position || position >= this.size) return this.#end;
        if (this.#failure) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          this.#waited.resolve();
        });
      }
    } finally {
      signal.removeEventListener('abort', left);
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return (await this.#file.read(buffer, 0, buffer.length, position)).bytesRead;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
