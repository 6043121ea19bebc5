// A bounded number of things at once; who comes too late waits its turn, behind those that are urgent.

interface Waiting {
  readonly isUrgent: () => boolean;
  take(): void;
}

export class Slots {
  #free: number;
  #queue: Waiting[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  get free(): number {
    return this.#free;
  }

  /** Resolves to the function that gives the slot back, once. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal, isUrgent = () => true): Promise<() => void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener('abort', leave);
        this.#free--;
        resolve(() => this.#giveBack());
      };
      const waiting = { isUrgent, take };
      const leave = () => {
        this.#queue = this.#queue.filter((other) => other !== waiting);
        reject(signal.reason);
      };
      if (this.#free > 0) take();
      else {
        this.#queue.push(waiting);
        signal.addEventListener('abort', leave, { once: true });
      }
    });
  }

  #giveBack(): void {
    this.#free++;
    const next = this.#queue.find(({ isUrgent }) => isUrgent()) ?? this.#queue[0];
    this.#queue = this.#queue.filter((other) => other !== next);
    next?.take();
  }
}
