// Places for so many at once, of which one client address has no more than its share.
import { addressBlock } from './address-block.ts';

export interface AddressPlacesOptions {
  readonly most: number;
  /** For one IPv4 address or one IPv6 /64. */
  readonly mostEach: number;
}

export class AddressPlaces {
  readonly #options: AddressPlacesOptions;
  /** Of those addresses that hold any. */
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(options: AddressPlacesOptions) {
    this.#options = options;
  }

  get mostEach(): number {
    return this.#options.mostEach;
  }

  /** What gives the place back, to be called once; `undefined` where there is none. */
  take(address: string): (() => void) | undefined {
    const { most, mostEach } = this.#options;
    const block = addressBlock(address);
    const held = this.#held.get(block) ?? 0;
    if (this.#taken >= most || held >= mostEach) return undefined;
    this.#taken += 1;
    this.#held.set(block, held + 1);
    return () => this.#give(block);
  }

  #give(block: string): void {
    this.#taken -= 1;
    const left = (this.#held.get(block) ?? 0) - 1;
    if (left > 0) this.#held.set(block, left);
    else this.#held.delete(block);
  }
}
