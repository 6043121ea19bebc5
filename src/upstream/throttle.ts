// How many bytes a second an upstream's blobs may take of the line, all transfers together.
import { setTimeout as sleep } from 'node:timers/promises';

/** Time that was not used may be made up for, this much of it: timers are late, and lines have pauses. */
const creditMs = 100;
/** Not worth a timer: it is paid with the next bytes. */
const smallDebtMs = 5;

export class Throttle {
  readonly #bytesPerMs: number;
  /** When all bytes so far would have come at exactly the rate. */
  #paidUntil = Number.NEGATIVE_INFINITY;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** Waits until bytes that came are within the rate: whoever takes them reads on only then. Rejects on an abort. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#paidUntil = Math.max(this.#paidUntil, now - creditMs) + bytes / this.#bytesPerMs;
    const debtMs = this.#paidUntil - now;
    if (debtMs > smallDebtMs) await sleep(debtMs, undefined, { signal });
  }
}
