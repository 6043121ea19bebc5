// The blobs of an archive while it is written: open, all of them, so that an eviction meanwhile takes nothing out of it.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Content } from '../store/content.ts';

/** Each takes a descriptor, or up to 64 KiB of memory. */
const mostBlobs = 4096;
const atOnce = 8;
const chunkBytes = 256 * 1024;

export class HeldBlobs {
  readonly #store: Pick<BlobStore, 'open' | 'has'>;
  readonly #blobs: readonly Descriptor[];
  readonly #open = new Map<Digest, Content>();

  /** Throws `OciError` UNSUPPORTED for more than can be held. */
  constructor(store: Pick<BlobStore, 'open' | 'has'>, blobs: readonly Descriptor[]) {
    this.#store = store;
    this.#blobs = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
    if (this.#blobs.length > mostBlobs)
      throw new OciError('UNSUPPORTED', `more than ${mostBlobs} blobs go into no archive; export fewer images at once`);
  }

  /** The first that has no file, or one of another length. */
  async missing(signal: AbortSignal): Promise<Digest | undefined> {
    let lost: Digest | undefined;
    await this.#each(signal, async ({ digest, size }) => {
      if (!(await this.#store.has(digest, size))) lost ??= digest;
    });
    return lost;
  }

  /** Holds them from the first byte that is asked for to the last. */
  async *during(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      await this.#each(signal, async ({ digest, size }) => {
        const content = await this.#store.open(digest, size);
        if (!content) throw new Error(`${digest} left the cache before the archive was begun; export it again`);
        this.#open.set(digest, content);
      });
      yield* bytes;
    } finally {
      await Promise.all(Array.from(this.#open.values(), (content) => content.close()));
      this.#open.clear();
    }
  }

  async *read({ digest }: Descriptor, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const content = this.#open.get(digest);
    if (!content) throw new Error(`${digest} is not open`);
    for (let position = 0; position < content.size; ) {
      const end = await content.waitFor(position, signal);
      // Whoever takes it may keep it.
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - position));
      const read = await content.read(buffer, position);
      if (read === 0) throw new Error(`the file of ${digest} was cut short at byte ${position}`);
      position += read;
      yield buffer.subarray(0, read);
    }
  }

  async #each(signal: AbortSignal, act: (blob: Descriptor) => Promise<void>): Promise<void> {
    for (let at = 0; at < this.#blobs.length; at += atOnce) {
      signal.throwIfAborted();
      const acts = await Promise.allSettled(this.#blobs.slice(at, at + atOnce).map(act));
      const failed = acts.find((ended) => ended.status === 'rejected');
      if (failed) throw failed.reason;
    }
  }
}
