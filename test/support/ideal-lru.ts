// The cache that a budget is measured against: least recently used, exact, without a life of its own.

export class IdealLru {
  readonly #capacity: number;
  /** In order of last use; a Map keeps the order of insertion. */
  readonly #sizes = new Map<string, number>();
  #used = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether it was there; it is now. What is larger than everything is never kept. */
  use(name: string, size: number): boolean {
    const isHit = this.#sizes.delete(name);
    if (!isHit) this.#used += size;
    this.#sizes.set(name, size);
    for (const [oldest, freed] of this.#sizes) {
      if (this.#used <= this.#capacity) break;
      this.#sizes.delete(oldest);
      this.#used -= freed;
    }
    return isHit;
  }
}
