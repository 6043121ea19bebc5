// Which address a client has, where proxies that are trusted stand between it and us.
import { AddressSet, plainAddress } from './address-set.ts';

export interface Hops {
  /** Who made the connection. */
  readonly peer: string;
  /** X-Forwarded-For: each proxy adds to the right whom it was asked by. */
  readonly forwardedFor: string | undefined;
}

export class TrustedProxies {
  readonly #proxies: AddressSet;

  constructor(networks: readonly string[]) {
    this.#proxies = new AddressSet(networks);
  }

  isTrusted(address: string): boolean {
    return this.#proxies.has(address);
  }

  /**
   * From the right, the first address that is not a trusted proxy's: all that stands left of it, or of anything that is
   * no address, may be what a client made up.
   */
  clientOf({ peer, forwardedFor }: Hops): string {
    let client = plainAddress(peer) ?? peer;
    for (const hop of forwardedFor?.split(',').reverse() ?? []) {
      if (!this.isTrusted(client)) break;
      const address = addressOf(hop.trim());
      if (address === undefined) break;
      client = address;
    }
    return client;
  }
}

/** `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5678`. */
function addressOf(hop: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*:[^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(hop) ?? [];
  return plainAddress(bracketed ?? plain ?? hop);
}
