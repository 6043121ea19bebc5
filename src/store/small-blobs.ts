// The bytes of small blobs that were read or put lately, in memory.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import type { Content } from './content.ts';

/** All of them, and the largest: most manifests have a few KiB. */
const mostBytes = 32 * 1024 * 1024;
const largest = 1024 * 1024;
/** What one costs beside its bytes, about. */
const overhead = 512;
/** For so long its file is taken to be as it was when somebody looked. */
const believedMs = 5000;

interface Remembered {
  readonly size: number;
  readonly reading: Promise<Uint8Array | undefined>;
  /** Once they are here. */
  bytes: Uint8Array | undefined;
  /** When its file was seen last, by `performance.now()`. */
  seenAt: number;
}

export class SmallBlobs {
  readonly #known = new LRUCache<Digest, Remembered>({
    maxSize: mostBytes,
    maxEntrySize: largest + overhead,
    sizeCalculation: ({ size }) => size + overhead,
  });
  #forgotten = 0;

  /** Grows with every `forget`. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** `undefined` also when its file was not looked at for a while. */
  now(digest: Digest): Uint8Array | undefined {
    const known = this.#known.get(digest);
    return known && performance.now() - known.seenAt < believedMs ? known.bytes : undefined;
  }

  /** As they were; whether the file still is there is the caller's to see, and to say. */
  unseen(digest: Digest): Uint8Array | undefined {
    return this.#known.get(digest)?.bytes;
  }

  /** Somebody looked: its file is there, as long as it should be. */
  seen(digest: Digest): void {
    const known = this.#known.peek(digest);
    if (known) known.seenAt = performance.now();
  }

  /** One reading for all who want the same at once; remembered unless it is forgotten meanwhile. */
  async read(
    digest: Digest,
    size: number,
    read: () => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    const known = this.#known.get(digest);
    if (known?.size === size) return known.reading;
    const begun: Remembered = { size, reading: read(), bytes: undefined, seenAt: performance.now() };
    this.#known.set(digest, begun);
    try {
      begun.bytes = await begun.reading;
    } finally {
      if (!begun.bytes) this.#known.delete(digest);
    }
    return begun.bytes;
  }

  remember(digest: Digest, bytes: Uint8Array): void {
    const { length: size } = bytes;
    // A small part of a larger buffer would keep all of that.
    const own = bytes.buffer.byteLength > size ? new Uint8Array(bytes) : bytes;
    this.#known.set(digest, { size, reading: Promise.resolve(own), bytes: own, seenAt: performance.now() });
  }

  forget(digest: Digest): void {
    this.#forgotten++;
    this.#known.delete(digest);
  }
}

/** Of a blob whose bytes are all in memory. */
export class MemoryContent implements Content {
  readonly fd = undefined;
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async waitFor(_position: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    return this.size;
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    const part = this.#bytes.subarray(position, position + buffer.length);
    buffer.set(part);
    return part.length;
  }

  async close(): Promise<void> {}
}
