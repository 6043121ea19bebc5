// Who holds how much of the disk: what is stored, what fills were granted, and what the disk has left.
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Evictor } from './evictor.ts';
import { type Figures, used, type Wanted } from './room.ts';

/** Bytes, or a share of the whole disk (0.8 for "80%"). */
export type Size = { readonly bytes: number } | { readonly share: number };

/** Room on the disk, held until `release`. */
export interface Reservation {
  /** False: larger than all that can be kept. It passes through its spool and is not committed. */
  readonly isKept: boolean;
  /** So many bytes more of it are on the disk; negative when they were dropped. */
  wrote(bytes: number): void;
  /** Idempotent. For what is kept, in the turn in which its record is put. */
  release(): void;
}

/** Spools of fills that broke off, kept for the next fill of their digest. */
export interface Leftovers {
  /** Of all that no fill has taken over. */
  readonly bytes: number;
  /** Removes at least that much, or all there is; resolves, when the files are gone, to how much it was. */
  drop(bytes: number): Promise<number>;
}

export interface Bounds {
  readonly maxSize: Size;
  /** What stays free on the disk, whatever `maxSize` says; a number is bytes. */
  readonly minFree: Size | number;
}

export interface HoldingsOptions extends Bounds {
  readonly disk: Pick<Disk, 'space'>;
  readonly records: Pick<Records, 'totals'>;
  readonly evictor: Pick<Evictor, 'leavingBytes'>;
  readonly leftovers: Pick<Leftovers, 'bytes'>;
  /** Hears the limit when it has changed. */
  readonly onBudget?: (limit: number) => void;
}

export interface Terms {
  readonly isKept: boolean;
  readonly isOver: boolean;
}

/** A look at the disk is believed this long, while there is more room than anybody fills in that time. */
const believedMs = 1000;
const plentyBytes = 2 ** 30;

export class Holdings {
  readonly #options: HoldingsOptions;
  #bounds: Bounds;
  #reserved = 0;
  #written = 0;
  #claimed = 0;
  #over: Wanted | undefined;
  #max: number;
  #ceiling = 0;
  #limit = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(options: HoldingsOptions) {
    this.#options = options;
    this.#bounds = options;
    this.#max = bytesOf(options.maxSize, 0);
  }

  /** As of the next look at the disk, which is taken then. */
  use(bounds: Bounds): void {
    this.#bounds = bounds;
    this.#measuredAt = Number.NEGATIVE_INFINITY;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Looks at the disk, unless it did so just now and there is plenty. */
  async measure(wanted: number): Promise<void> {
    const { maxSize, minFree } = this.#bounds;
    const room = this.#ceiling - used(this.figures()) - wanted;
    if (room > plentyBytes && performance.now() - this.#measuredAt < believedMs) return;
    const before = this.#onDisk();
    const { total, free } = await this.#options.disk.space();
    this.#measuredAt = performance.now();
    // Whatever was written or removed while it looked: the disk has no more than the lesser of the two.
    this.#ceiling = Math.min(before, this.#onDisk()) + free - bytesOf(minFree, total);
    this.#max = bytesOf(maxSize, total);
    this.#tellLimit();
  }

  figures(pinned = 0): Figures {
    const { records, evictor, leftovers } = this.#options;
    const committed = records.totals.bytes;
    const figures = {
      committed,
      leaving: evictor.leavingBytes,
      reserved: this.#reserved,
      over: 0,
      leftovers: leftovers.bytes,
      claimed: this.#claimed,
      pinned,
      evictable: Math.max(0, committed - pinned) + leftovers.bytes,
      max: this.#max,
      ceiling: this.#ceiling,
    };
    // What went over the budget is within it as soon as others have left.
    if (used(figures) <= this.#max) this.#over = undefined;
    return { ...figures, over: this.#over?.size ?? 0 };
  }

  /** A leftover whose new fill waits for room. Returns what ends that, once. */
  claim(bytes: number): () => void {
    this.#claimed += bytes;
    return () => {
      this.#claimed -= bytes;
      bytes = 0;
    };
  }

  hold(wanted: Wanted, { isKept, isOver }: Terms, onReleased: () => void): Reservation {
    let [size, written] = [wanted.size, wanted.claimed];
    this.#reserved += size;
    this.#written += written;
    if (isOver) this.#over = wanted;
    const wrote = (bytes: number) => {
      const now = Math.min(size, Math.max(0, written + bytes));
      this.#written += now - written;
      written = now;
    };
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      this.#reserved -= size;
      wrote(-written);
      size = 0;
      if (this.#over === wanted) this.#over = undefined;
      onReleased();
    };
    return { isKept, wrote, release };
  }

  /** What the cache has on the disk, as far as it knows. */
  #onDisk(): number {
    const { committed, leaving, leftovers, claimed } = this.figures();
    return committed + leaving + leftovers + claimed + this.#written;
  }

  #tellLimit(): void {
    const limit = Math.max(0, Math.min(this.#max, this.#ceiling));
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#options.onBudget?.(limit);
  }
}

function bytesOf(size: Size | number, total: number): number {
  if (typeof size === 'number') return size;
  return 'bytes' in size ? size.bytes : Math.floor(size.share * total);
}
