// A bounded number of things at once; who comes too late waits its turn.

export class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves to the function that gives the slot back, once. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener('abort', leave);
        this.#free--;
        resolve(() => this.#giveBack());
      };
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(take), 1);
        reject(signal.reason);
      };
      if (this.#free > 0) take();
      else {
        this.#queue.push(take);
        signal.addEventListener('abort', leave, { once: true });
      }
    });
  }

  #giveBack(): void {
    this.#free++;
    this.#queue.shift()?.();
  }
}
