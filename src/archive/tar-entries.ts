// The entries of a tar as they arrive: only names that stay inside of it, each once, and nothing but files and links.
import { posix } from 'node:path';
import { type Extract, extract, type Header } from 'tar-stream';
import { ArchiveError } from './archive-error.ts';

export interface TarEntry {
  /** Relative, with slashes, without `.` or `..`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Of a symbolic or a hard link: the name of another entry, before or after it. */
  readonly target: string | undefined;
  /** To be read to its end before the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A hundred images of the old `docker save` have some ten thousand; folders count too. */
const mostEntries = 100_000;
const longestName = 1024;
/** Of what stands before an entry: a long name, or pax records, of which the library takes 4 MiB and copies those that are for all. */
const mostAsideBytes = 16 * 1024;
const mostPaxKeys = 64;

/**
 * Throws `ArchiveError` at the first entry that is not as it should be, what `bytes` throws, and the signal's reason, also
 * while no bytes come. Then it asks for no more.
 */
export async function* tarEntries(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<TarEntry> {
  using tar = new Tar(bytes, signal);
  const seen = new Set<string>();
  let count = 0;
  for await (const { header, body } of tar.read()) {
    if (++count > mostEntries) throw new ArchiveError(`the archive has more than ${mostEntries} entries`);
    if (Object.keys(header.pax ?? {}).length > mostPaxKeys)
      throw new ArchiveError(`the archive has more than ${mostPaxKeys} pax records for one entry`);
    const name = nameOf(header);
    if (header.type === 'directory') continue;
    if (seen.has(name)) throw new ArchiveError(`${name} is in the archive twice`);
    seen.add(name);
    yield { name, sizeBytes: header.size, target: targetOf(name, header), body };
  }
}

/** The library's reader, with one reason for whatever ends it. */
class Tar {
  readonly #reader: Extract = boundedExtract();
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#breakOff(this.#signal.reason);
  #broken: unknown;
  /** The name of the entry that was begun last. */
  #last: string | undefined;

  constructor(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort);
    void this.#feed(bytes).catch((error: unknown) => this.#breakOff(error));
  }

  async *read(): AsyncGenerator<{ readonly header: Header; readonly body: AsyncIterable<Uint8Array> }> {
    try {
      for await (const entry of this.#reader) {
        this.#last = entry.header.name;
        yield { header: entry.header, body: this.#bodyOf(entry) };
        // Of what nobody has read.
        entry.resume();
      }
    } catch (cause) {
      throw this.#reason(cause);
    }
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#reader.destroy();
  }

  async *#bodyOf(entry: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of entry) yield chunk as Uint8Array;
    } catch (cause) {
      throw this.#reason(cause);
    }
  }

  /** Resolves when the bytes or the reader have ended; who waits for bytes that never come is not waited for. */
  async #feed(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = this.#reader;
    const closed = new Promise<void>((resolve) => reader.once('close', () => resolve()));
    for await (const chunk of bytes) {
      if (reader.destroying) return;
      if (!reader.write(chunk))
        await Promise.race([closed, new Promise<void>((resolve) => reader.once('drain', () => resolve()))]);
    }
    reader.end(undefined);
  }

  #breakOff(error: unknown): void {
    this.#broken ??= error;
    this.#reader.destroy(error as Error);
  }

  /** The reader passes on what its bytes threw, or only that it was ended, or what it makes of them. */
  #reason(cause: unknown): unknown {
    if (this.#broken !== undefined) return this.#broken;
    if (cause instanceof ArchiveError) return cause;
    const where =
      this.#last === undefined
        ? 'the archive is not a tar, or damaged'
        : `the archive is damaged or cut short at ${JSON.stringify(this.#last.slice(0, longestName))}`;
    const { code, message } = cause as NodeJS.ErrnoException;
    // Whoever comes for an entry a little later hears only that the reader is gone.
    const isCut = code === 'STREAM_DESTROYED' || message === 'Unexpected end of data';
    return new ArchiveError(`${where}: ${isCut ? 'it ends too early' : message}`, { cause });
  }
}

/** The library has no option for it; what it calls is its own, and a test knows when it does so no longer. */
function boundedExtract(): Extract {
  const reader: Extract & { _decodeLongHeader?: (bytes: Uint8Array) => void } = extract();
  const decode = reader._decodeLongHeader;
  reader._decodeLongHeader = (bytes) => {
    if (bytes.length > mostAsideBytes)
      throw new ArchiveError(`the archive has more than ${mostAsideBytes} bytes of pax records or of a name at once`);
    decode?.call(reader, bytes);
  };
  return reader;
}

function nameOf({ name, type }: Header): string {
  const clean = posix.normalize(name).replace(/\/$/, '');
  // What is not text, a line break say, would make two lines of a message.
  const isUnsafe = !isInside(clean) || name.split('/').includes('..') || /\p{Cc}/u.test(name);
  if (isUnsafe || name.length > longestName || (clean === '.' && type !== 'directory'))
    throw new ArchiveError(`an entry has a name that it cannot have: ${JSON.stringify(name.slice(0, 100))}`);
  return clean;
}

function targetOf(name: string, { type, linkname }: Header): string | undefined {
  if (type === 'file' || type === 'contiguous-file') return undefined;
  if ((type !== 'symlink' && type !== 'link') || !linkname)
    throw new ArchiveError(`${name} is neither a file nor a link`);
  const target = posix.normalize(type === 'symlink' ? posix.join(posix.dirname(name), linkname) : linkname);
  if (!isInside(target) || linkname.startsWith('/'))
    throw new ArchiveError(
      `${name} is a link that leads out of the archive: ${JSON.stringify(linkname.slice(0, 100))}`,
    );
  return target;
}

function isInside(path: string): boolean {
  return !path.startsWith('/') && path !== '..' && !path.startsWith('../');
}
