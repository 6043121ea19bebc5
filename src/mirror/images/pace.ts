// Long work in short turns: whoever waits for the event loop comes in between.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

export interface PaceOptions {
  /** Of its time, once it has worked for `headStartMs`; the rest is left to others, and to what it leaves them to do. */
  readonly share?: number;
  readonly headStartMs?: number;
  /** Rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** What a client that is served meanwhile does not notice. */
const turnMs = 5;

export class Pace {
  readonly #signal: AbortSignal;
  readonly #share: number;
  readonly #wait: NonNullable<PaceOptions['wait']>;
  #headStartMs: number;
  #beganAt = performance.now();

  constructor(signal: AbortSignal, { share = 1, headStartMs = 0, wait = usualWait }: PaceOptions = {}) {
    this.#signal = signal;
    this.#share = share;
    this.#wait = wait;
    this.#headStartMs = headStartMs;
  }

  /** To be called often: waits only at the end of a turn. Rejects with the signal's reason. */
  async rest(): Promise<void> {
    this.#signal.throwIfAborted();
    const workedMs = performance.now() - this.#beganAt;
    if (workedMs < turnMs) return;
    const restMs = this.#headStartMs > 0 ? 0 : workedMs * (1 / this.#share - 1);
    this.#headStartMs -= workedMs;
    await this.#wait(restMs, this.#signal).catch(() => {});
    this.#signal.throwIfAborted();
    this.#beganAt = performance.now();
  }
}

function usualWait(ms: number, signal: AbortSignal): Promise<unknown> {
  return ms > 0 ? sleep(ms, undefined, { signal }) : nextTurn();
}
