// Principals by where a client comes from.
import { AddressSet } from './address-set.ts';

export interface NetworkPrincipal {
  readonly cidr: string;
  readonly principal: string;
}

export class Networks {
  readonly #entries: readonly { readonly addresses: AddressSet; readonly principal: string }[];

  constructor(entries: readonly NetworkPrincipal[]) {
    this.#entries = entries.map(({ cidr, principal }) => ({ addresses: new AddressSet([cidr]), principal }));
  }

  /** Of the first network in order that the address is in. */
  principalOf(address: string): string | undefined {
    return this.#entries.find(({ addresses }) => addresses.has(address))?.principal;
  }
}
