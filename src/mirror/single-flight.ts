// One piece of work a key at a time: whoever asks while it runs waits for the same result.
import { abandonable } from '../upstream/abandonable.ts';

export class SingleFlight<T> {
  readonly #running = new Map<string, { readonly result: Promise<T>; readonly startedAt: number }>();
  readonly #longestMs: number;

  /** By default a token, a HEAD and a GET fit in, each with its redirects. */
  constructor(longestMs = 30_000) {
    this.#longestMs = longestMs;
  }

  /**
   * `joined` tells whether the work had been started by somebody else. The work does not depend on any one caller, who
   * only stops waiting; its own signal ends it, so that an upstream that drips cannot hold the key.
   */
  async do(
    key: string,
    signal: AbortSignal,
    work: (bound: AbortSignal) => Promise<T>,
  ): Promise<{ value: T; joined: boolean }> {
    const running = this.#running.get(key);
    const flight = running?.result ?? this.#start(key, work);
    return { value: await abandonable(flight, signal), joined: running !== undefined };
  }

  /** How long the work has been running; 0 when it is not. */
  ageMs(key: string): number {
    const running = this.#running.get(key);
    return running ? performance.now() - running.startedAt : 0;
  }

  #start(key: string, work: (bound: AbortSignal) => Promise<T>): Promise<T> {
    const result = work(AbortSignal.timeout(this.#longestMs)).finally(() => this.#running.delete(key));
    result.catch(() => {}); // whoever still waits hears of it
    this.#running.set(key, { result, startedAt: performance.now() });
    return result;
  }
}
