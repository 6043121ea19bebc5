// Names and addresses that never leave this machine.
import { plainAddress } from '../access/address-set.ts';

/** As an address to listen on, or the name in a Host header. A shortened form such as `127.1` does not count. */
export function isLoopback(host: string): boolean {
  const address = plainAddress(host);
  if (address === undefined) return host.toLowerCase() === 'localhost';
  return address === '::1' || address.startsWith('127.');
}

/** Without the port, and the brackets around IPv6; `undefined` for what is no host. */
export function hostnameOf(header: string | undefined): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(header ?? '') ?? [];
  return bracketed ?? plain;
}
