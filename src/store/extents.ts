// Which byte ranges of a spool are written: sorted, disjoint, never touching.

interface Extent {
  start: number;
  /** Exclusive. */
  end: number;
}

export class Extents {
  #list: Extent[] = [];

  add(start: number, end: number): void {
    if (start >= end) return;
    const first = this.#list.findIndex((extent) => extent.end >= start);
    if (first === -1) {
      this.#list.push({ start, end });
      return;
    }
    let after = first;
    const merged = { start, end };
    for (let extent = this.#list[after]; extent && extent.start <= end; extent = this.#list[++after]) {
      merged.start = Math.min(merged.start, extent.start);
      merged.end = Math.max(merged.end, extent.end);
    }
    this.#list.splice(first, after - first, merged);
  }

  get total(): number {
    return this.#list.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The exclusive end of what is written without a gap from `position` on; `position` itself when nothing is. */
  endFrom(position: number): number {
    const extent = this.#list.find(({ start, end }) => start <= position && position < end);
    return extent?.end ?? position;
  }

  /** Where the next extent behind `position` begins; `undefined` when nothing behind it is written. */
  startAfter(position: number): number | undefined {
    return this.#list.find(({ start }) => start > position)?.start;
  }

  /** What of a range is not written, in order. */
  gaps(start: number, end: number): { readonly start: number; readonly end: number }[] {
    const found: { start: number; end: number }[] = [];
    for (let at = start; at < end; ) {
      const from = this.endFrom(at);
      if (from >= end) break;
      const to = Math.min(end, this.startAfter(from) ?? end);
      found.push({ start: from, end: to });
      at = to;
    }
    return found;
  }
}
