// Stored files that are open: one descriptor for all who read a blob, kept for a while for those who come next.
import type { FileHandle } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import type { Content } from './content.ts';
import { SharedFile } from './shared-file.ts';

export interface OpenFilesOptions {
  /** `undefined` when there is no such file. */
  readonly open: (digest: Digest) => Promise<FileHandle | undefined>;
  /** How many stay open, beside those that are read. */
  readonly most?: number;
}

const mostOpen = 128;
/** One that nobody read between two sweeps goes: what something else deleted takes room for as long as it is open. */
const sweepMs = 1000;

export class OpenFiles {
  readonly #open: OpenFilesOptions['open'];
  readonly #kept: LRUCache<Digest, SharedFile>;
  #sweeping: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ open, most = mostOpen }: OpenFilesOptions) {
    this.#open = open;
    this.#kept = new LRUCache({ max: most, dispose: (file) => void file.letGo() });
  }

  /** `undefined` when there is no file of this length under its name; the caller closes the content. */
  async open(digest: Digest, size: number): Promise<Content | undefined> {
    const known = this.now(digest, size);
    if (known) return known;
    const file = this.#kept.get(digest) ?? this.#begin(digest);
    let content: Content | undefined;
    try {
      content = await file.read(size);
      return content;
    } finally {
      if (!content) this.#kept.delete(digest);
    }
  }

  /** As `open`, of what is open already. */
  now(digest: Digest, size: number): Content | undefined {
    const file = this.#kept.get(digest);
    if (!file?.isOpen) return undefined;
    const content = file.readNow(size);
    if (!content) this.#kept.delete(digest);
    return content;
  }

  /** The next `open` opens anew. Resolves when the file is closed, or left to those who still read it. */
  async forget(digest: Digest): Promise<void> {
    const file = this.#kept.peek(digest);
    this.#kept.delete(digest);
    await file?.letGo();
  }

  /** What is still read is closed by its last reader. Whoever opens something later has it to himself. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#kept.keys()].map((digest) => this.forget(digest)));
    this.#sweep();
  }

  #begin(digest: Digest): SharedFile {
    const file = new SharedFile(this.#open(digest));
    if (this.#isClosed) {
      void file.letGo();
      return file;
    }
    this.#kept.set(digest, file);
    this.#sweeping ??= setInterval(() => this.#sweep(), sweepMs).unref();
    return file;
  }

  #sweep(): void {
    for (const [digest, file] of [...this.#kept.entries()]) if (file.isIdle()) this.#kept.delete(digest);
    if (this.#kept.size > 0) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }
}
