// Whether something that fails may be asked: by everybody, by one probe now and then, or not yet.
import type { UpstreamError } from './upstream.ts';

/** Leave for one question. Whoever got it says how it ended, once; what is said after that is not heard. */
export interface Permit {
  succeeded(): void;
  /** `about`: what was asked for; one broken thing is no outage. A failure that is an answer counts as success. */
  failed(error: UpstreamError, about?: string): void;
  /** Neither: whoever asked left, or another part was at fault. */
  released(): void;
}

export interface CircuitOptions {
  readonly onChange?: (isOpen: boolean) => void;
  /** The first rest, and the longest that it doubles to. */
  readonly restMs?: number;
  readonly longestRestMs?: number;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

interface Rest {
  until: number;
  /** Asked for from outside: answers to earlier questions do not end it. */
  readonly isOrdered: boolean;
}

const maxFailures = 5;
/** While a probe is under way nobody knows; this is when to look again. */
const probeMs = 1000;

export class Circuit {
  readonly #onChange: (isOpen: boolean) => void;
  readonly #restMs: number;
  readonly #longestRestMs: number;
  readonly #now: () => number;
  #rest: Rest | undefined;
  /** In a row, without a success in between. */
  #rests = 0;
  #probe: Permit | undefined;
  #failures = 0;
  /** What was asked for when it failed, since the last success. */
  readonly #broken = new Set<string>();
  /** It failed whatever is asked for. */
  #isBroad = false;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;

  constructor({ onChange, restMs = 5000, longestRestMs = 60_000, now }: CircuitOptions = {}) {
    this.#onChange = onChange ?? (() => {});
    this.#restMs = restMs;
    this.#longestRestMs = longestRestMs;
    this.#now = now ?? (() => performance.now());
  }

  get isOpen(): boolean {
    return this.#rest !== undefined;
  }

  /** Whether `enter` would give leave now. */
  get mayEnter(): boolean {
    return this.#rest === undefined || (this.#probe === undefined && this.#now() >= this.#rest.until);
  }

  /** Until it may be worth asking again; `undefined` while it is closed. */
  get retryInMs(): number | undefined {
    return this.#rest && Math.max(this.#probe ? probeMs : 0, this.#rest.until - this.#now());
  }

  /** What the last failure said; `undefined` after a success. */
  get problem(): string | undefined {
    return this.#problem;
  }

  enter(): Permit | undefined {
    if (!this.mayEnter) return undefined;
    const rest = this.#rest;
    const enteredAt = this.#now();
    let isSettled = false;
    const settle = (how: () => void) => {
      if (isSettled) return;
      isSettled = true;
      const isProbe = this.#probe === permit;
      if (isProbe) this.#probe = undefined;
      how();
    };
    const permit: Permit = {
      succeeded: () => settle(() => this.#succeeded(rest)),
      failed: (error, about) =>
        settle(() => {
          if (!isFault(error)) return this.#succeeded(rest);
          this.#failed(error, { about, isProbe: rest !== undefined && rest === this.#rest, enteredAt });
        }),
      released: () => settle(() => {}),
    };
    if (rest) this.#probe = permit;
    return permit;
  }

  /** Opens it for that long, or for the next of its rests. `by`: whose answer asked for that. */
  open(forMs?: number, problem?: string, by?: Permit): void {
    this.#problem = problem;
    // Questions that were sent side by side are refused side by side: that is one refusal, and only a probe's is another.
    if (by && this.#rest && by !== this.#probe)
      this.#rest.until = Math.max(this.#rest.until, this.#now() + (forMs ?? this.#restMs));
    else this.#open(forMs, true);
  }

  #succeeded(knew: Rest | undefined): void {
    this.#answeredAt = this.#now();
    // Sent before somebody asked for a rest: it cannot tell whether that rest is over.
    if (this.#rest?.isOrdered && this.#rest !== knew) return;
    const wasOpen = this.isOpen;
    this.#rest = undefined;
    this.#rests = 0;
    this.#problem = undefined;
    this.#forgetFailures();
    if (wasOpen) this.#onChange(false);
  }

  #failed(
    error: UpstreamError,
    { about, isProbe, enteredAt }: { about: string | undefined; isProbe: boolean; enteredAt: number },
  ): void {
    if (this.isOpen && !isProbe) return;
    this.#problem = error.message;
    this.#failures += 1;
    if (about !== undefined && mayBeOfOneThing(error)) this.#broken.add(about);
    else this.#isBroad = true;
    // Who answered others meanwhile does not hang: it is overloaded, or slow on this one thing.
    const hangs = error.failure === 'timeout' && this.#answeredAt <= enteredAt;
    const isOut = this.#failures >= maxFailures && (this.#isBroad || this.#broken.size > 1);
    if (isProbe || hangs || isOut) this.#open(undefined, false);
  }

  #open(forMs: number | undefined, isOrdered: boolean): void {
    const wasOpen = this.isOpen;
    this.#rest = { until: this.#now() + (forMs ?? this.#nextRestMs()), isOrdered };
    this.#forgetFailures();
    if (!wasOpen) this.#onChange(true);
  }

  /** Less up to a fifth by chance: many that lost it together do not come back together. */
  #nextRestMs(): number {
    const restMs = Math.min(this.#restMs * 2 ** this.#rests, this.#longestRestMs);
    this.#rests += 1;
    return restMs * (1 - Math.random() / 5);
  }

  #forgetFailures(): void {
    this.#failures = 0;
    this.#broken.clear();
    this.#isBroad = false;
  }
}

/** It was no answer. */
export function isFault({ failure }: UpstreamError): boolean {
  return failure === 'timeout' || failure === 'unreachable' || failure === 'failing';
}

/** Without a connection nothing could be had; a connection that ends under a question may end for that one. */
function mayBeOfOneThing({ failure, cause }: UpstreamError): boolean {
  const { code } = (cause ?? {}) as { code?: unknown };
  return failure !== 'unreachable' || ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(code));
}
