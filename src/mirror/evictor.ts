// Makes room: forgets what nobody has used for longest and removes its files. Never anything that is pinned.
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Digest } from '../oci/digest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { isDiskFull } from '../store/disk.ts';
import type { Records, UsedBlob } from '../store/records.ts';
import type { Pins } from './pins.ts';

export interface EvictorOptions {
  readonly records: Pick<Records, 'oldest' | 'deleteBlob' | 'batch'>;
  readonly store: Pick<BlobStore, 'remove'>;
  readonly pins: Pick<Pins, 'isPinned' | 'isCurrent' | 'version' | 'refresh' | 'storedBytes'>;
  readonly metrics: Pick<Metrics, 'evictions'>;
  readonly log: Log;
  /** What must stay for now: a fill is about to replace it. */
  readonly isBusy?: (digest: Digest) => boolean;
  /** Ends a pass between two turns. */
  readonly stopping?: AbortSignal;
}

export type Removable = Pick<UsedBlob, 'digest' | 'size'>;

type Reason = 'size' | 'age';
/** `freed`: what the pass has freed when it comes to this blob. */
type IsWanted = (blob: UsedBlob, freed: number) => boolean;

/** A record and a rename take some 100 µs together: a turn of this many holds nobody up. */
const turnSize = 32;

export class Evictor {
  readonly #options: EvictorOptions;
  #leavingBytes = 0;
  /** Everything up to this one is pinned, as of that version of the pins: no pass looks at it again. */
  #skipped: UsedBlob | undefined;
  #skippedVersion = -1;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** Of blobs whose records are gone and whose files are not yet. */
  get leavingBytes(): number {
    return this.#leavingBytes;
  }

  /** What rests here and cannot be evicted; up to a second old. */
  async pinnedBytes(): Promise<number> {
    await this.#options.pins.refresh();
    return this.#options.pins.storedBytes();
  }

  /**
   * Frees at least that much, or all it can. Resolves, when the files are gone, to how much it was. Rejects when the
   * index or the disk refuses; what was freed before that stays so.
   */
  async evict(bytes: number): Promise<number> {
    await this.#untilPinsAreCurrent();
    const from = this.#skipped;
    let freed = await this.#pass('size', from, (_blob, freed) => freed < bytes);
    if (freed < bytes && from) {
      // What came since may be older: a file that was found on the disk is as old as the file.
      this.#skipped = undefined;
      freed += await this.#pass('size', undefined, (_blob, more) => freed + more < bytes);
    }
    return freed;
  }

  /** Frees what nobody has used for that long. Resolves to how much it was. */
  expire(maxAgeMs: number): Promise<number> {
    const since = Date.now() - maxAgeMs;
    return this.#pass('age', undefined, ({ usedAt }) => usedAt < since);
  }

  /**
   * Records and files in one turn, so that a blob that is committed right after is never undone. What `letGo` deletes
   * goes with them. Resolves, when the files are gone, to how much it was.
   */
  async remove(blobs: readonly Removable[], letGo?: () => void): Promise<number> {
    if (blobs.length === 0 && !letGo) return 0;
    try {
      this.#forget(blobs, letGo);
    } catch (error) {
      // A full disk takes not even the deletion of a record. A record without a file is a miss and heals itself.
      if (!isDiskFull(error)) throw error;
      const freed = await this.#unlink(blobs);
      this.#forget(blobs, letGo);
      await this.#unlink(blobs);
      return freed;
    }
    return this.#unlink(blobs);
  }

  async #pass(reason: Reason, from: UsedBlob | undefined, isWanted: IsWanted): Promise<number> {
    const { records, metrics, log, stopping } = this.#options;
    let [freed, blobs, after] = [0, 0, from];
    while (!stopping?.aborted) {
      await this.#untilPinsAreCurrent();
      // From here to the removal it is one turn: nobody can pin, use or replace what is about to go.
      const found = after ? records.oldest(turnSize, after) : records.oldest(turnSize);
      const { chosen, last, isDone } = this.#choose(found, after, (blob, more) => isWanted(blob, freed + more));
      freed += await this.remove(chosen);
      blobs += chosen.length;
      metrics.evictions.inc({ reason }, chosen.length);
      if (isDone || found.length < turnSize) break;
      after = last;
      if (chosen.length === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (blobs > 0) log.debug({ reason, blobs, bytes: freed }, 'evicted');
    return freed;
  }

  #choose(found: readonly UsedBlob[], after: UsedBlob | undefined, isWanted: IsWanted) {
    const { pins, isBusy } = this.#options;
    const chosen: UsedBlob[] = [];
    let [bytes, last] = [0, after];
    for (const blob of found) {
      if (!isWanted(blob, bytes)) return { chosen, last, isDone: true };
      const isPinned = pins.isPinned(blob.digest);
      if (isPinned && last === this.#skipped) this.#skipped = blob;
      last = blob;
      if (isPinned || isBusy?.(blob.digest)) continue;
      chosen.push(blob);
      bytes += blob.size;
    }
    return { chosen, last, isDone: false };
  }

  async #untilPinsAreCurrent(): Promise<void> {
    const { pins } = this.#options;
    while (!pins.isCurrent) await pins.refresh();
    if (pins.version !== this.#skippedVersion) this.#skipped = undefined;
    this.#skippedVersion = pins.version;
  }

  #forget(blobs: readonly Removable[], letGo: (() => void) | undefined): void {
    const { records } = this.#options;
    records.batch(() => {
      letGo?.();
      for (const { digest } of blobs) records.deleteBlob(digest);
    });
  }

  async #unlink(blobs: readonly Removable[]): Promise<number> {
    const bytes = blobs.reduce((sum, { size }) => sum + size, 0);
    this.#leavingBytes += bytes;
    const removals = await Promise.allSettled(blobs.map(({ digest }) => this.#options.store.remove(digest)));
    this.#leavingBytes -= bytes;
    const failed = removals.find((removal) => removal.status === 'rejected');
    if (failed) throw failed.reason;
    return bytes;
  }
}
