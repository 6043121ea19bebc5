// When each blob was last used: one number a blob in memory, written to the index a page at a time.
import { beforeAll, byUse, firstUses, type Use } from './least-recent.ts';

/** A page and its row fit one page of the database, which has 4 KiB. */
export const usesPerPage = 500;

/** The finest step that a number of milliseconds of our epoch can show. */
const tickMs = 2 ** -12;
/** How many are looked up at a time, so that a scan of everything serves many evictions. */
const lineUp = 4096;
const longestLine = 16 * lineUp;

/** Ids are handed out here, and again after they were forgotten, so that memory follows the number of blobs. */
export class Usage {
  /** By id; 0 where there is no blob. */
  #times: Float64Array;
  #end: number;
  readonly #free: number[] = [];
  readonly #dirty = new Set<number>();
  #latest: number;
  /** The least recently used, in order: everything after `#lineStart` up to `#lineEnd`, and some who were used since. */
  #line: Use[] = [];
  #lineHead = 0;
  #lineStart: Use = beforeAll;
  #lineEnd: Use = beforeAll;
  readonly #now: () => number;

  /** `pages` as `page` gave them, in any order; times from the future are taken for now. */
  constructor(pages: readonly { page: number; times: Uint8Array }[] = [], now: () => number = Date.now) {
    this.#now = now;
    // Every page was written before the next was begun: one far beyond their number is nonsense.
    const real = pages.filter(({ page, times }) => page >= 0 && page < 2 * pages.length && times instanceof Uint8Array);
    const last = real.reduce((most, { page }) => Math.max(most, page), -1);
    this.#times = new Float64Array((last + 2) * usesPerPage);
    const bytes = new Uint8Array(this.#times.buffer);
    for (const { page, times } of real) bytes.set(times.subarray(0, usesPerPage * 8), page * usesPerPage * 8);
    this.#latest = now();
    this.#end = this.#mend(this.#latest);
    for (let id = this.#end - 1; id > 0; id--) if (this.#times[id] === 0) this.#free.push(id);
  }

  /** A new id. Without a time: used now. */
  add(usedAt = this.#clock()): number {
    const id = this.#free.pop() ?? this.#end++;
    if (id >= this.#times.length) {
      const grown = new Float64Array(this.#times.length * 2);
      grown.set(this.#times);
      this.#times = grown;
    }
    this.#set(id, Math.max(usedAt, 1));
    return id;
  }

  /** Nothing happens to an id that was forgotten. */
  touch(id: number): void {
    if (this.has(id)) this.#set(id, this.#clock());
  }

  has(id: number): boolean {
    return this.usedAt(id) !== undefined;
  }

  usedAt(id: number): number | undefined {
    return this.#times[id] || undefined;
  }

  /** What `restore` wants, should the index refuse to forget it too. */
  forget(id: number): number {
    const usedAt = this.#times[id] ?? 0;
    if (usedAt === 0) return 0;
    this.#times[id] = 0;
    this.#dirty.add(pageOf(id));
    this.#free.push(id);
    return usedAt;
  }

  restore(id: number, usedAt: number): void {
    const at = this.#free.lastIndexOf(id);
    if (usedAt === 0 || at === -1) return;
    this.#free.splice(at, 1);
    this.#set(id, usedAt);
  }

  /** The least recently used after `after`, in order, at most `limit`. */
  oldest(limit: number, after: Use = beforeAll): Use[] {
    const found: Use[] = [];
    if (byUse(after, this.#lineStart) < 0 || byUse(after, this.#lineEnd) > 0) this.#startLine(after);
    for (let at = this.#position(after); ; ) {
      for (; at < this.#line.length && found.length < limit; at++) {
        const use = this.#line[at];
        if (use && this.#times[use.id] === use.usedAt) found.push(use);
        else if (at === this.#lineHead) this.#lineHead++;
      }
      if (found.length >= limit) return found;
      if (this.#line.length > longestLine) {
        this.#startLine(this.#lineEnd);
        at = 0;
      }
      const next = firstUses(this.#times, this.#end, this.#lineEnd, Math.max(lineUp, limit));
      this.#lineEnd = next.at(-1) ?? this.#lineEnd;
      if (next.length === 0) return found;
      for (const use of next) this.#line.push(use);
    }
  }

  get dirtyPages(): number {
    return this.#dirty.size;
  }

  /** The pages that have been dirty for longest, at most `limit`; they are clean then. */
  takeDirty(limit: number): number[] {
    const pages = this.#dirty.values().take(limit).toArray();
    for (const page of pages) this.#dirty.delete(page);
    return pages;
  }

  /** For pages that were taken and could not be written. */
  keepDirty(pages: readonly number[]): void {
    for (const page of pages) this.#dirty.add(page);
  }

  /** The bytes to write, valid until the next call of anything here; `undefined` for a page that never was. */
  page(page: number): Uint8Array | undefined {
    const start = page * usesPerPage * 8;
    return start < this.#times.byteLength ? new Uint8Array(this.#times.buffer, start, usesPerPage * 8) : undefined;
  }

  #set(id: number, usedAt: number): void {
    this.#times[id] = usedAt;
    this.#dirty.add(pageOf(id));
    if (usedAt <= this.#lineEnd.usedAt) this.#startLine(beforeAll);
  }

  /** No two uses are of the same moment, and none is before an earlier one, whatever the system's clock does. */
  #clock(): number {
    this.#latest = Math.max(this.#now(), this.#latest + tickMs);
    return this.#latest;
  }

  #startLine(after: Use): void {
    this.#line = [];
    this.#lineHead = 0;
    this.#lineStart = after;
    this.#lineEnd = after;
  }

  /** Where those after `after` begin in the line. */
  #position(after: Use): number {
    let [low, high] = [this.#lineHead, this.#line.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const use = this.#line[middle];
      if (use && byUse(use, after) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Makes sense of what was read, and tells where the ids end. */
  #mend(now: number): number {
    let end = 1;
    for (let id = 0; id < this.#times.length; id++) {
      const time = this.#times[id] ?? 0;
      if (time === 0) continue;
      if (!(time > 0)) this.#times[id] = 1;
      else if (time > now) this.#times[id] = now;
      end = id + 1;
    }
    return end;
  }
}

export function pageOf(id: number): number {
  return Math.floor(id / usesPerPage);
}
