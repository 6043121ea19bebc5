// Addresses that gave too many wrong credentials: for a while they are not listened to.
import { LRUCache } from 'lru-cache';
import { addressBlock } from './address-block.ts';

export interface LockoutOptions {
  /** Milliseconds that only go forward. */
  readonly now?: () => number;
  /** This many failures within the window lock an address. */
  readonly most?: number;
  readonly windowMs?: number;
  readonly lockedMs?: number;
  /** An address is locked from now on. */
  readonly onLocked?: (address: string) => void;
}

interface Offender {
  /** When it failed, within the window; none while it is locked. */
  failures: readonly number[];
  lockedUntil: number;
}

const mostAddresses = 10_000;

/** Counts by address and never by user: nobody can lock out somebody elsewhere. */
export class Lockout {
  readonly #now: () => number;
  readonly #most: number;
  readonly #windowMs: number;
  readonly #lockedMs: number;
  readonly #onLocked: (address: string) => void;
  readonly #offenders = new LRUCache<string, Offender>({ max: mostAddresses });

  constructor(options: LockoutOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#most = options.most ?? 10;
    this.#windowMs = options.windowMs ?? 60_000;
    this.#lockedMs = options.lockedMs ?? 60_000;
    this.#onLocked = options.onLocked ?? (() => {});
  }

  isLocked(address: string): boolean {
    return this.retryInMs(address) > 0;
  }

  /** 0 for an address that is not locked. */
  retryInMs(address: string): number {
    const offender = this.#offenders.get(addressBlock(address));
    return offender ? Math.max(0, offender.lockedUntil - this.#now()) : 0;
  }

  /** What fails while it is locked does not lock it for longer. */
  failed(address: string): void {
    if (this.isLocked(address)) return;
    const block = addressBlock(address);
    const now = this.#now();
    const offender = this.#offenders.get(block) ?? { failures: [], lockedUntil: 0 };
    offender.failures = [...offender.failures.filter((at) => at > now - this.#windowMs), now];
    if (offender.failures.length >= this.#most) {
      offender.failures = [];
      offender.lockedUntil = now + this.#lockedMs;
      this.#onLocked(block);
    }
    this.#offenders.set(block, offender);
  }
}
