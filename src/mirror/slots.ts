// A bounded number of things at once; who comes too late waits its turn, behind those that are urgent.

/** How many of the slots somebody's claims may take together. */
export interface Share {
  readonly most: number;
  taken: number;
}

export interface Claim {
  /** All that it counts for, `all` among them; who would exceed one waits, urgent or not, and others pass. */
  readonly shares?: readonly Share[];
  /** Looked at whenever a slot is free. */
  readonly isUrgent?: () => boolean;
  /** Whether who is not urgent may have a slot at all now. */
  readonly mayRun?: () => boolean;
  /** In the turn in which the slot is taken. */
  readonly onTaken?: () => void;
}

interface Waiting {
  readonly shares: readonly Share[];
  readonly isUrgent: () => boolean;
  readonly mayRun: () => boolean;
  take(): void;
}

export class Slots {
  /** Of everybody. */
  readonly all: Share;
  #queue: Waiting[] = [];

  constructor(count: number) {
    this.all = { most: count, taken: 0 };
  }

  /** Resolves to the function that gives the slot back, once. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal, claim: Claim = {}): Promise<() => void> {
    const { isUrgent = () => true, mayRun = () => true, onTaken } = claim;
    const { shares = [this.all] } = claim;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener('abort', leave);
        for (const share of shares) share.taken++;
        onTaken?.();
        resolve(() => {
          for (const share of shares) share.taken--;
          this.next();
        });
      };
      const waiting = { shares, isUrgent, mayRun, take };
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
    while (!isFull(this.all)) {
      const able = this.#queue.filter(({ shares }) => !shares.some(isFull));
      const next = able.find(({ isUrgent }) => isUrgent()) ?? able.find(({ mayRun }) => mayRun());
      if (!next) return;
      this.#queue = this.#queue.filter((other) => other !== next);
      next.take();
    }
  }
}

export function isFull({ taken, most }: Share): boolean {
  return taken >= most;
}
