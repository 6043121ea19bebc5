// Bytes a fake server can send from any offset: held in memory, or generated from a seed so that a gigabyte costs none.
import { createCipheriv, createHash } from 'node:crypto';

export interface ServedContent {
  readonly size: number;
  readonly digest: string;
  /** Yields the bytes of [start, end) in pieces of at most 1 MiB; the pieces are shared, so nobody may write to them. */
  read(start: number, end: number): Iterable<Buffer>;
}

const blockBytes = 1024 * 1024;
const stampBytes = 16;

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function contentOf(bytes: Uint8Array | string): ServedContent {
  const held = Buffer.from(bytes);
  return {
    size: held.length,
    digest: sha256(held),
    *read(start, end) {
      for (let at = start; at < end; at += blockBytes) yield held.subarray(at, Math.min(end, at + blockBytes));
    },
  };
}

export type GeneratedOptions = { readonly size: number; readonly seed: number };

/** One pseudo-random block repeated, each time with its own number stamped on its head, so no two blocks are equal. */
class GeneratedContent implements ServedContent {
  readonly size: number;
  digest = '';
  readonly #block: Buffer;
  readonly #seed: number;

  constructor({ size, seed }: GeneratedOptions) {
    this.size = size;
    this.#seed = seed;
    const key = createHash('sha256').update(`stillwater ${seed}`).digest();
    this.#block = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(blockBytes));
  }

  *read(start: number, end: number): Iterable<Buffer> {
    let at = start;
    while (at < end) {
      const within = at % blockBytes;
      const piece =
        within < stampBytes
          ? this.#stamp(Math.floor(at / blockBytes)).subarray(within, Math.min(stampBytes, within + end - at))
          : this.#block.subarray(within, Math.min(blockBytes, within + end - at));
      yield piece;
      at += piece.length;
    }
  }

  #stamp(index: number): Buffer {
    const stamp = Buffer.alloc(stampBytes);
    stamp.writeUInt32BE(this.#seed >>> 0, 0);
    stamp.writeBigUInt64BE(BigInt(index), 8);
    return stamp;
  }
}

/** The digest is computed once, in slices that let the event loop of the test breathe. */
export async function generateContent(options: GeneratedOptions): Promise<ServedContent> {
  const content = new GeneratedContent(options);
  const hash = createHash('sha256');
  const slice = 16 * blockBytes;
  for (let at = 0; at < content.size; at += slice) {
    for (const piece of content.read(at, Math.min(content.size, at + slice))) hash.update(piece);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  content.digest = `sha256:${hash.digest('hex')}`;
  return content;
}

/** Whether `chunk` is what `content` holds at `offset`: equality costs a memcmp, where hashing would cost the CPU. */
export function holdsAt(content: ServedContent, offset: number, chunk: Buffer): boolean {
  if (offset + chunk.length > content.size) return false;
  let at = 0;
  for (const piece of content.read(offset, offset + chunk.length)) {
    if (chunk.compare(piece, 0, piece.length, at, at + piece.length) !== 0) return false;
    at += piece.length;
  }
  return true;
}
