// A gate holds somebody at a known point until the test lets them pass; it replaces every sleep.

export class Gate {
  /** Settles when the first party stands at the gate. */
  readonly reached: Promise<void>;
  readonly #opened: Promise<void>;
  #announce: () => void = () => {};
  #release: () => void = () => {};
  #arrivals = 0;
  #isOpen = false;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#announce = resolve;
    });
    this.#opened = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** How many have come to the gate so far, open or not. */
  get arrivals(): number {
    return this.#arrivals;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async pass(): Promise<void> {
    this.#arrivals += 1;
    this.#announce();
    await this.#opened;
  }

  /** Lets everybody through, now and later; idempotent. */
  open(): void {
    this.#isOpen = true;
    this.#release();
  }
}
