// Somebody in a queue: for a bounded time, and only as long as their signal allows.

export interface WaiterOptions {
  readonly signal: AbortSignal;
  /** After this it is settled with `undefined`. */
  readonly waitMs: number;
  /** Called once, in the turn in which it settles, whoever settled it. */
  readonly onSettled: () => void;
}

export class Waiter<T> {
  /** Rejects with the signal's reason. */
  readonly settled: Promise<T | undefined>;
  readonly #promise = Promise.withResolvers<T | undefined>();
  readonly #options: WaiterOptions;
  readonly #late: NodeJS.Timeout;
  #isSettled = false;

  constructor(options: WaiterOptions) {
    options.signal.throwIfAborted();
    this.settled = this.#promise.promise;
    this.#options = options;
    this.#late = setTimeout(() => this.settle(undefined), options.waitMs);
    options.signal.addEventListener('abort', this.#leave);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  settle(value: T | undefined): void {
    if (this.#end()) this.#promise.resolve(value);
  }

  fail(error: unknown): void {
    if (this.#end()) this.#promise.reject(error);
  }

  readonly #leave = (): void => this.fail(this.#options.signal.reason);

  #end(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    clearTimeout(this.#late);
    this.#options.signal.removeEventListener('abort', this.#leave);
    this.#options.onSettled();
    return true;
  }
}
