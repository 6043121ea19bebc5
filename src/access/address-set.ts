// IP addresses in one form each, and sets of them by network.
import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net';

const mapped = '::ffff:';

/**
 * The one way we write an address: IPv6 in its short form, without a zone, and IPv4 as such where it comes inside of
 * IPv6. `undefined` for what is none.
 */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (!isIPv6(text)) return undefined;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const inside = address.startsWith(mapped) ? address.slice(mapped.length) : '';
  return isIPv4(inside) ? inside : address;
}

export class AddressSet {
  // Apart, because a BlockList takes every IPv4 address for a member of ::/0.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();

  /** Of addresses and networks such as `10.0.0.0/8`; throws for anything else. */
  constructor(networks: readonly string[]) {
    for (const network of networks) this.#add(network);
  }

  has(address: string): boolean {
    const plain = plainAddress(address);
    if (plain === undefined) return false;
    return isIPv4(plain) ? this.#ipv4.check(plain, 'ipv4') : this.#ipv6.check(plain, 'ipv6');
  }

  #add(network: string): void {
    const [, given = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
    const address = plainAddress(given);
    const width = isIPv4(given) ? 32 : 128;
    const prefix = Number(length ?? width);
    if (address === undefined || prefix > width)
      throw new Error(`not a network: ${JSON.stringify(network)}: write it as 10.0.0.0/8 or fd00::/8`);
    if (!isIPv4(address)) this.#ipv6.addSubnet(address, prefix, 'ipv6');
    else if (width === 32) this.#ipv4.addSubnet(address, prefix, 'ipv4');
    else if (prefix >= 96) this.#ipv4.addSubnet(address, prefix - 96, 'ipv4');
    else this.#ipv6.addSubnet(`${mapped}${address}`, prefix, 'ipv6');
  }
}
