// Whether an archive can fit at all: found out before others have to make room for it.
import type { Budget } from '../mirror/budget.ts';
import type { Evictor } from '../mirror/evictor.ts';
import type { Disk } from '../store/disk.ts';
import { ArchiveError } from './archive-error.ts';

export interface ArchiveRoomOptions {
  readonly budget: Pick<Budget, 'reserve' | 'limit'>;
  readonly evictor: Pick<Evictor, 'pinnedBytes'>;
  readonly disk: Pick<Disk, 'problem'>;
  readonly signal: AbortSignal;
}

/** What tars, and their folders and names, have beside the bytes that the budget counts. */
const mostOverheadBytes = 64 * 1024 * 1024;
/** Of an archive that is small: some, and an eighth of it. */
const someOverheadBytes = 1024 * 1024;
const overheadShare = 1 / 8;

export class ArchiveRoom {
  readonly #options: ArchiveRoomOptions;
  readonly #pinnedBytes: number;
  #taken = 0;

  private constructor(options: ArchiveRoomOptions, pinnedBytes: number) {
    this.#options = options;
    this.#pinnedBytes = pinnedBytes;
  }

  static async measure(options: ArchiveRoomOptions): Promise<ArchiveRoom> {
    const { budget, evictor, signal } = options;
    // What the cache may take of the disk is known once somebody has asked for room.
    const asked = await budget.reserve(0, signal);
    asked?.release();
    return new ArchiveRoom(options, await evictor.pinnedBytes());
  }

  /** As it is unpacked, with everything that is no file in it. */
  get mostBytes(): number {
    return this.#bytes + mostOverheadBytes;
  }

  /**
   * Throws `ArchiveError` for an archive of that length, packed or not, that cannot fit. One that is packed has more in
   * it, so some of them pass here that are refused when they are read.
   */
  check(archiveBytes: number): void {
    const overhead = Math.min(mostOverheadBytes, someOverheadBytes + archiveBytes * overheadShare);
    if (archiveBytes - overhead > this.#bytes) this.#refuse(`it has ${archiveBytes} bytes`);
  }

  /** Of all its files, in the order in which they come. Throws `ArchiveError` for the first that cannot fit with those before. */
  take(name: string, sizeBytes: number): void {
    this.#taken += sizeBytes;
    if (this.#taken > this.#bytes) this.#refuse(`with ${name} its files have ${this.#taken} bytes`);
  }

  /** What is pinned makes room for nothing. */
  get #bytes(): number {
    return Math.max(0, this.#options.budget.limit - this.#pinnedBytes);
  }

  #refuse(why: string): void {
    // A disk that takes nothing has words of its own.
    if (this.#options.disk.problem !== undefined) return;
    throw new ArchiveError(
      `there is no room for the archive: ${why}, and cache.maxSize, cache.minFree and what is pinned leave ${this.#bytes}; change one of them`,
    );
  }
}
