// A bounded number of things at once; who comes too late waits its turn, behind those that are urgent.

export interface Claim {
  /** Looked at whenever a slot is free. */
  readonly isUrgent?: () => boolean;
  /** Whether who is not urgent may have a slot at all now. */
  readonly mayRun?: () => boolean;
  /** In the turn in which the slot is taken. */
  readonly onTaken?: () => void;
}

interface Waiting {
  readonly isUrgent: () => boolean;
  readonly mayRun: () => boolean;
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
  async acquire(signal: AbortSignal, claim: Claim = {}): Promise<() => void> {
    const { isUrgent = () => true, mayRun = () => true, onTaken } = claim;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener('abort', leave);
        this.#free--;
        onTaken?.();
        resolve(() => {
          this.#free++;
          this.next();
        });
      };
      const waiting = { isUrgent, mayRun, take };
      const leave = () => {
        this.#queue = this.#queue.filter((other) => other !== waiting);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#queue.push(waiting);
      this.next();
    });
  }

  /** Lets in who may come in now; to be called when a claim has changed. */
  next(): void {
    while (this.#free > 0) {
      const next = this.#queue.find(({ isUrgent }) => isUrgent()) ?? this.#queue.find(({ mayRun }) => mayRun());
      if (!next) return;
      this.#queue = this.#queue.filter((other) => other !== next);
      next.take();
    }
  }
}
