// Whether there is room for one blob more: the whole arithmetic of the budget, without its waiting.

/** All in bytes. */
export interface Figures {
  /** Blobs with a record, pinned ones included. */
  readonly committed: number;
  /** Blobs without a record whose files are being unlinked. */
  readonly leaving: number;
  /** Everything that running fills were granted, written or not, the one over the budget included. */
  readonly reserved: number;
  /** Of these, that of the one fill that was let in over the budget; 0 when there is none. */
  readonly over: number;
  /** Spools that a later fill may go on with. */
  readonly leftovers: number;
  /** Leftovers that fills have taken over which still wait for room. */
  readonly claimed: number;
  readonly pinned: number;
  /** What could still be removed. */
  readonly evictable: number;
  /** What the configuration allows. */
  readonly max: number;
  /** What the disk allows: all that the cache has on it and all that is free, less what must stay free. */
  readonly ceiling: number;
}

export interface Wanted {
  readonly size: number;
  /** Bytes of it that lie here already, counted in `claimed`. */
  readonly claimed: number;
}

export type Verdict =
  | { readonly kind: 'grant'; readonly isKept: boolean; readonly isOver: boolean }
  | { readonly kind: 'evict'; readonly bytes: number; readonly isForDisk: boolean }
  /** A fill that ends, or a file that is gone at last, may change it. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'refuse' };

export function used({ committed, leaving, reserved, leftovers, claimed }: Figures): number {
  return committed + leaving + reserved + leftovers + claimed;
}

/**
 * At most one reservation is over the budget, and it was granted while the rest was within it: so use never exceeds the
 * budget by more than one blob. The disk's own limit is never exceeded.
 */
export function verdict(figures: Figures, { size, claimed }: Wanted): Verdict {
  const { over, reserved, leaving, pinned, evictable, max, ceiling } = figures;
  const others = used(figures) - claimed;
  const pastDisk = others + size - ceiling;
  const pastBudget = others - over + size - max;
  if (pastDisk <= 0 && pastBudget <= 0) return { kind: 'grant', isKept: true, isOver: false };
  if (pinned + size > ceiling) return { kind: 'refuse' };

  const evict = (bytes: number): Verdict => ({ kind: 'evict', bytes, isForDisk: pastDisk > 0 });
  const isKept = pinned + size <= max;
  const excess = Math.max(pastDisk, pastBudget);
  if (isKept && excess <= evictable) return evict(excess);
  if (over > 0) return { kind: 'wait' };
  // Nothing that is kept makes room for what is not.
  if (!isKept && pastDisk > 0) return { kind: 'refuse' };
  const othersExcess = Math.max(pastDisk, others - Math.max(max, pinned));
  if (othersExcess <= 0) return { kind: 'grant', isKept, isOver: true };
  if (othersExcess <= evictable) return evict(othersExcess);
  return reserved > 0 || leaving > 0 ? { kind: 'wait' } : { kind: 'refuse' };
}

/** How much must go for use to be within the limit again, the one fill over the budget aside. */
export function pastLimit(figures: Figures): number {
  const { over, pinned, max, ceiling } = figures;
  return Math.max(used(figures) - over - Math.max(max, pinned), used(figures) - ceiling);
}
