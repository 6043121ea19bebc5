// One endpoint's chance to answer one question: how long it has, and who ended it.
import { UpstreamError } from './upstream.ts';

export interface AttemptOptions {
  readonly patienceMs: number;
  /** What a time-out is said of. */
  readonly name: string;
}

export class Attempt {
  /** Fires when whoever asked leaves, also after the answer began, or when the endpoint was waited for long enough. */
  readonly signal: AbortSignal;
  readonly #name: string;
  readonly #patienceMs: number;
  readonly #late = new AbortController();
  #leftMs: number;

  constructor(asker: AbortSignal, { patienceMs, name }: AttemptOptions) {
    this.signal = AbortSignal.any([asker, this.#late.signal]);
    this.#patienceMs = patienceMs;
    this.#leftMs = patienceMs;
    this.#name = name;
  }

  /** The time of this work counts; that of waiting for others of us, between two works, does not. */
  async timed<T>(work: () => Promise<T>): Promise<T> {
    const since = performance.now();
    const late = () => this.#late.abort(new UpstreamError('timeout', `${this.#name} did not answer in time`));
    const timer = setTimeout(late, Math.max(0, this.#leftMs));
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      this.#leftMs -= performance.now() - since;
    }
  }

  /** So much of the time went to others, a token server for one, that lateness now says nothing of the endpoint. */
  get isRushed(): boolean {
    return this.#leftMs < this.#patienceMs / 4;
  }

  /** Whoever asked is gone; what fails now says nothing of the endpoint. */
  get isAbandoned(): boolean {
    return this.signal.aborted && !this.#late.signal.aborted;
  }
}
