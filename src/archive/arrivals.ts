// The files of an archive on their way in: each in a folder of its own on the cache's disk, hashed while it is written,
// within the budget, and gone at the end unless it was moved into the store.
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Budget, Reservation } from '../mirror/budget.ts';
import { type Digest, type DigestAlgorithm, digestAlgorithm, parseDigest } from '../oci/digest.ts';
import type { Disk } from '../store/disk.ts';
import type { Layout } from '../store/layout.ts';
import type { Spools } from '../store/spools.ts';
import type { Following } from '../store/verifier.ts';
import { ArchiveError } from './archive-error.ts';
import type { ArchiveRoom } from './archive-room.ts';
import type { TarEntry } from './tar-entries.ts';

export interface ArrivalsOptions {
  readonly layout: Pick<Layout, 'spools'>;
  readonly spools: { readonly verifier: Pick<Spools['verifier'], 'follow'> };
  readonly budget: Pick<Budget, 'reserve'>;
  readonly disk: Pick<Disk, 'problem'>;
  readonly room: Pick<ArchiveRoom, 'take'>;
  readonly signal: AbortSignal;
}

export interface Arrived {
  /** Its name in the archive. */
  readonly entry: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Proven. Of a blob in an image layout by the algorithm of its name, else sha256. */
  readonly digest: Digest;
  /** To be released when it has a record, or when it goes. */
  readonly reservation: Reservation;
}

const blobForm = /^blobs\/([^/]+)\/([^/]+)$/;

export class Arrivals implements AsyncDisposable {
  readonly #options: ArrivalsOptions;
  readonly #folder: string;
  readonly #reservations: Reservation[] = [];
  #files = 0;

  private constructor(options: ArrivalsOptions) {
    this.#options = options;
    // Of a killed process the next start clears it away, as all that lies there and is no leftover of a fill.
    this.#folder = join(options.layout.spools, `import-${randomUUID()}`);
  }

  static async open(options: ArrivalsOptions): Promise<Arrivals> {
    const arrivals = new Arrivals(options);
    await mkdir(arrivals.#folder, { recursive: true });
    return arrivals;
  }

  /** Throws `ArchiveError` when there is no room for it, or its bytes are not those that its name promises. */
  async receive({ name, sizeBytes, body }: TarEntry): Promise<Arrived> {
    const promised = digestOfName(name);
    const reservation = await this.#reserve(name, sizeBytes);
    const path = join(this.#folder, String(this.#files++));
    const algorithm = promised ? digestAlgorithm(promised) : 'sha256';
    const digest = await this.#write(body, { path, algorithm, reservation });
    if (promised && digest !== promised) throw new ArchiveError(`${name} is damaged: its bytes hash to ${digest}`);
    return { entry: name, path, sizeBytes, digest, reservation };
  }

  /** Everything goes that was not moved away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    for (const reservation of this.#reservations) reservation.release();
  }

  async #reserve(name: string, sizeBytes: number): Promise<Reservation> {
    const { budget, disk, room, signal } = this.#options;
    room.take(name, sizeBytes);
    const reservation = await budget.reserve(sizeBytes, signal);
    if (reservation) this.#reservations.push(reservation);
    if (reservation?.isKept) return reservation;
    if (disk.problem !== undefined) throw new Error(`the cache's disk takes no bytes now: ${disk.problem}`);
    throw new ArchiveError(
      `there is no room for the ${sizeBytes} bytes of ${name} within cache.maxSize and cache.minFree; raise the one, or lower the other`,
    );
  }

  async #write(
    body: AsyncIterable<Uint8Array>,
    { path, algorithm, reservation }: { path: string; algorithm: DigestAlgorithm; reservation: Reservation },
  ): Promise<Digest> {
    const { spools } = this.#options;
    const file = await open(path, 'wx');
    let following: Following | undefined;
    try {
      following = spools.verifier.follow(path, algorithm);
      let end = 0;
      for await (const chunk of body) {
        await writeAll(file, chunk, end);
        end += chunk.length;
        reservation.wrote(chunk.length);
        following.advance(end);
      }
      return `${algorithm}:${await following.finish()}` as Digest;
    } catch (error) {
      following?.abandon();
      throw error;
    } finally {
      await file.close();
    }
  }
}

/** `undefined` for what is not named by its digest. */
function digestOfName(name: string): Digest | undefined {
  const [, algorithm, encoded] = blobForm.exec(name) ?? [];
  return parseDigest(`${algorithm}:${encoded}`);
}

async function writeAll(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    if (bytesWritten === 0) throw new Error('the disk took nothing');
    done += bytesWritten;
  }
}
