// A tar written while it is read: no faster than its reader takes it, and the same bytes for the same files.
import { type Pack, pack } from 'tar-stream';

export interface TarFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Exactly that many bytes. What it holds open it closes when it is ended. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

const blockBytes = 512;
/** Names that do not fit a header have another in front, with a block of its own. */
const longestPlainName = 100;

export async function* writeTar(files: readonly TarFile[]): AsyncGenerator<Uint8Array> {
  const writer = pack();
  const filled = fill(writer, files).catch((error: unknown) => writer.destroy(error as Error));
  try {
    for await (const chunk of writer as AsyncIterable<unknown>) yield chunk as Uint8Array;
  } finally {
    writer.destroy();
    await filled;
  }
}

/** Of the whole tar. */
export function tarBytes(files: readonly Pick<TarFile, 'name' | 'sizeBytes'>[]): number {
  const sizes = files.map(({ name, sizeBytes }) => {
    const headers = name.length > longestPlainName ? 3 : 1;
    return (headers + Math.ceil(sizeBytes / blockBytes)) * blockBytes;
  });
  return sizes.reduce((sum, size) => sum + size, 2 * blockBytes);
}

async function fill(writer: Pack, files: readonly TarFile[]): Promise<void> {
  const closed = new Promise<void>((resolve) => writer.once('close', () => resolve()));
  for (const { name, sizeBytes, open } of files) {
    const written = Promise.withResolvers<void>();
    written.promise.catch(() => {}); // an archive that nobody reads on is given up before this is looked at
    const entry = writer.entry({ name, size: sizeBytes, mode: 0o644, mtime: new Date(0) }, (error) =>
      error ? written.reject(error) : written.resolve(),
    );
    entry.on('error', written.reject);
    for await (const chunk of open()) {
      if (writer.destroying) return;
      if (!entry.write(chunk))
        await Promise.race([closed, new Promise<void>((resolve) => entry.once('drain', () => resolve()))]);
    }
    entry.end(undefined);
    await Promise.race([closed, written.promise]);
  }
  writer.finalize();
}
