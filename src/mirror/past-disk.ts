// A blob streamed past a disk that has no room for it: one reader, straight from the upstream, and no less checked.
import { createHash } from 'node:crypto';
import type { WantedRange } from '../oci/byte-range.ts';
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { Content } from '../store/content.ts';
import type { Source } from '../upstream/upstreams.ts';
import { goesOnPastDisk } from './fill-failure.ts';
import { type Piece, receivePart } from './receive-part.ts';

export interface PassingOptions {
  readonly source: Source;
  readonly digest: Digest;
  readonly wanted: WantedRange;
  readonly onResume: (position: number, cause: unknown) => void;
  /** All of the blob has come from the source, and is what it is called. */
  readonly onProven?: () => void;
}

export interface SpooledOptions extends Omit<PassingOptions, 'onProven'> {
  /** Its reader closes it; may be called again. */
  readonly onClosed: () => void;
}

/** `undefined` when the upstream proved that it has no such blob. The content can be read once, forwards. */
export async function openPastDisk(options: PassingOptions, signal: AbortSignal): Promise<Content | undefined> {
  const { upstream, repository } = options.source;
  const size = await upstream.proveBlob(repository.path, options.digest, signal);
  if (size === undefined) return undefined;
  // Of nothing there is no last byte to withhold.
  const { digest } = options;
  const ofNothing = digestOf(new Uint8Array(0), digestAlgorithm(digest));
  if (size === 0 && digest !== ofNothing) throw new DigestMismatchError(digest, ofNothing);
  return new PassingContent(options, size);
}

/** Reads a spool as long as it lives, and goes on past the disk when something ends it that is no fault of the upstream. */
export class SpooledContent implements Content {
  readonly size: number;
  readonly #spooled: Content;
  readonly #options: SpooledOptions;
  #isRead = false;
  #passing: PassingContent | undefined;

  constructor(spooled: Content, options: SpooledOptions) {
    this.size = spooled.size;
    this.#spooled = spooled;
    this.#options = options;
  }

  get fd(): number | undefined {
    return (this.#passing ?? this.#spooled).fd;
  }

  async waitFor(position: number, signal: AbortSignal): Promise<number> {
    if (this.#passing) return this.#passing.waitFor(position, signal);
    try {
      const end = await this.#spooled.waitFor(position, signal);
      this.#isRead = true;
      return end;
    } catch (error) {
      if (!goesOnPastDisk(error)) throw error;
      this.#passing = new PassingContent(this.#options, this.size, { content: this.#spooled, isRead: this.#isRead });
      return this.#passing.waitFor(position, signal);
    }
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return (this.#passing ?? this.#spooled).read(buffer, position);
  }

  async close(): Promise<void> {
    this.#options.onClosed();
    await this.#passing?.close();
    await this.#spooled.close();
  }
}

const readBytes = 1024 * 1024;

interface Before {
  readonly content: Content;
  /** The client has bytes of it. */
  readonly isRead: boolean;
}

class PassingContent implements Content {
  readonly size: number;
  readonly fd = undefined;
  readonly #options: PassingOptions;
  readonly #before: Before | undefined;
  readonly #ending = new AbortController();
  #pieces: AsyncIterator<Piece> | undefined;
  #piece: Piece = { position: 0, bytes: new Uint8Array(0) };

  constructor(options: PassingOptions, size: number, before?: Before) {
    this.size = size;
    this.#options = options;
    this.#before = before;
  }

  async waitFor(position: number, signal: AbortSignal): Promise<number> {
    this.#pieces ??= this.#stream(position, AbortSignal.any([signal, this.#ending.signal]));
    for (;;) {
      const end = this.#piece.position + this.#piece.bytes.length;
      if (position >= this.#piece.position && position < end) return end;
      const { value, done } = await this.#pieces.next();
      if (done) throw new Error(`nothing comes after byte ${position}`);
      this.#piece = value;
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    const at = position - this.#piece.position;
    const bytes = this.#piece.bytes.subarray(at, at + buffer.length);
    buffer.set(bytes);
    return bytes.length;
  }

  async close(): Promise<void> {
    this.#ending.abort();
  }

  /** From `position` on. The piece with the last byte comes only when all of the blob has hashed to its digest. */
  async *#stream(position: number, signal: AbortSignal): AsyncGenerator<Piece> {
    const { source, digest, wanted, onResume, onProven } = this.#options;
    const { size } = this;
    const hash = wanted.end === undefined || wanted.end >= size ? createHash(digestAlgorithm(digest)) : undefined;
    let start = hash ? 0 : position;
    if (hash && this.#before) {
      for await (const bytes of readUpTo(this.#before.content, position, signal)) {
        hash.update(bytes);
        start += bytes.length;
      }
      // What comes from the upstream now says nothing about what the client has.
      if (start < position && this.#before.isRead)
        throw new Error(`${digest} cannot be proven: the disk has lost what lies before byte ${position}`);
    }
    const end = hash ? size : (wanted.end ?? size);
    for await (const piece of receivePart({ source, digest, size, start, end, signal, onResume })) {
      hash?.update(piece.bytes);
      const pieceEnd = piece.position + piece.bytes.length;
      if (hash && pieceEnd === size) {
        const found = `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
        if (found !== digest) throw new DigestMismatchError(digest, found);
        onProven?.();
      }
      if (pieceEnd > position) yield piece;
    }
  }
}

/** What a spool still has without a gap from its first byte to `end`. */
async function* readUpTo(spooled: Content, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const readable = Math.min(end, await spooled.waitFor(0, signal).catch(() => 0));
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, readable));
  for (let position = 0; position < readable; ) {
    const read = await spooled.read(buffer.subarray(0, Math.min(buffer.length, readable - position)), position);
    if (read === 0) return;
    yield buffer.subarray(0, read);
    position += read;
  }
}
