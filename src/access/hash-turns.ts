// Who may have a password hashed now: few at once, few wait, and no address takes all the places.

export interface HashTurnsOptions {
  readonly atOnce: number;
  readonly mostWaiting: number;
  /** Of one address, running and waiting. */
  readonly mostOfOne: number;
  /** Who has waited longer when his turn comes is sent away instead: his client has a limit of its own. */
  readonly patienceMs: number;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
}

export interface Asker {
  readonly address: string;
  /** Somebody there knew a password before: it goes ahead of those of whom nothing is known. */
  readonly isKnown: boolean;
}

interface Waiter {
  readonly address: string;
  readonly since: number;
  readonly admit: (isAdmitted: boolean) => void;
}

export class HashTurns {
  readonly #options: HashTurnsOptions;
  readonly #known: Waiter[] = [];
  readonly #others: Waiter[] = [];
  readonly #places = new Map<string, number>();
  #running = 0;

  constructor(options: HashTurnsOptions) {
    this.#options = options;
  }

  /** `undefined`, soon, when there is no place for the work. */
  async run<T>(asker: Asker, work: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#enter(asker))) return undefined;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#giveUp(asker.address);
      this.#admitNext();
    }
  }

  #enter({ address, isKnown }: Asker): boolean | Promise<boolean> {
    const { atOnce, mostWaiting, mostOfOne } = this.#options;
    const places = this.#places.get(address) ?? 0;
    if (places >= mostOfOne) return false;
    if (this.#running >= atOnce && this.#known.length + this.#others.length >= mostWaiting) {
      const displaced = isKnown ? this.#others.pop() : undefined;
      if (!displaced) return false;
      this.#giveUp(displaced.address);
      displaced.admit(false);
    }
    this.#places.set(address, places + 1);
    if (this.#running < atOnce) {
      this.#running++;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    (isKnown ? this.#known : this.#others).push({ address, since: this.#options.now(), admit: resolve });
    return promise;
  }

  #admitNext(): void {
    const { now, patienceMs } = this.#options;
    for (;;) {
      const next = this.#known.shift() ?? this.#others.shift();
      if (!next) return;
      if (now() - next.since <= patienceMs) {
        this.#running++;
        next.admit(true);
        return;
      }
      this.#giveUp(next.address);
      next.admit(false);
    }
  }

  #giveUp(address: string): void {
    const places = (this.#places.get(address) ?? 0) - 1;
    if (places > 0) this.#places.set(address, places);
    else this.#places.delete(address);
  }
}
