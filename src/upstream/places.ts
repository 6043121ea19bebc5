// Places for so many at once. Others wait here, where waiting is not taken for the upstream's silence.
import type { UpstreamResponse } from './transport.ts';

export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with what gives the place back, idempotent. Rejects with the signal's reason. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let isTaken = true;
    return () => {
      if (isTaken) this.#give();
      isTaken = false;
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason);
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** From hand to hand: who comes anew cannot overtake who waits. */
  #give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

/** A response whose place is taken until its body has ended, whoever ends it. */
export function holding(response: UpstreamResponse, giveBack: () => void, signal: AbortSignal): UpstreamResponse {
  const leave = () => {
    signal.removeEventListener('abort', leave);
    giveBack();
  };
  signal.addEventListener('abort', leave, { once: true });
  const body = async function* () {
    try {
      yield* response.body;
    } finally {
      leave();
    }
  };
  return {
    ...response,
    body: body(),
    bytes: (limit) => response.bytes(limit).finally(leave),
    discard: () => {
      leave();
      response.discard();
    },
  };
}
