// Long work in short turns: whoever waits for the event loop comes in between.

/** What a client that is served meanwhile does not notice. */
const turnMs = 5;

export class Pace {
  readonly #signal: AbortSignal;
  #beganAt = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** To be called often: waits only at the end of a turn. Rejects with the signal's reason. */
  async rest(): Promise<void> {
    this.#signal.throwIfAborted();
    if (performance.now() - this.#beganAt < turnMs) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#beganAt = performance.now();
  }
}
