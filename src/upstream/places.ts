// Places for so many at once. Others wait here, where waiting is not taken for the upstream's silence.
// Who has fewest is next: a crowd that asks for one thing does not hold up who asks for another.
import type { UpstreamRequest, UpstreamResponse } from './transport.ts';

interface Waiter {
  readonly whose: string;
  readonly enter: () => void;
}

/** Which of an endpoint's places a question waits for; one about a list needs one of the questions' as well. */
export function queueOf(kind: UpstreamRequest['kind']): 'transfers' | 'lists' | 'questions' {
  if (kind === 'blob') return 'transfers';
  return kind === 'tags' || kind === 'referrers' ? 'lists' : 'questions';
}

export class Places {
  #free: number;
  readonly #waiting: Waiter[] = [];
  /** How many places each has, of those that have any. */
  readonly #held = new Map<string, number>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with what gives the place back, idempotent. Rejects with the signal's reason. */
  async take(signal: AbortSignal, whose = ''): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      this.#hold(whose, 1);
    } else await this.#wait(signal, whose);
    let isTaken = true;
    return () => {
      if (isTaken) this.#give(whose);
      isTaken = false;
    };
  }

  #wait(signal: AbortSignal, whose: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiter = { whose, enter };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      this.#waiting.push(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** From hand to hand: who comes anew cannot overtake who waits. */
  #give(whose: string): void {
    // Who leaves still counts, so that turns are taken where there is one place.
    const [next] = this.#waiting.splice(this.#nextIndex(), 1);
    this.#hold(whose, -1);
    if (!next) {
      this.#free += 1;
      return;
    }
    this.#hold(next.whose, 1);
    next.enter();
  }

  /** Among equals, who came first. */
  #nextIndex(): number {
    let [best, fewest] = [0, Number.POSITIVE_INFINITY];
    for (const [index, { whose }] of this.#waiting.entries()) {
      const held = this.#held.get(whose) ?? 0;
      if (held < fewest) [best, fewest] = [index, held];
      if (fewest === 0) break;
    }
    return best;
  }

  #hold(whose: string, change: 1 | -1): void {
    const held = (this.#held.get(whose) ?? 0) + change;
    if (held === 0) this.#held.delete(whose);
    else this.#held.set(whose, held);
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
