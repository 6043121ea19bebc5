// What kind of network an address belongs to, as far as it matters for whom an upstream may send us to.
import { BlockList, isIPv4 } from 'node:net';

/**
 * Loopback is this machine, where services trust who asks. Reserved is what no registry is ever at, such as link-local,
 * metadata services, multicast or documentation.
 */
export type AddressKind = 'public' | 'private' | 'loopback' | 'reserved';

// https://www.iana.org/assignments/iana-ipv4-special-registry/ and …/iana-ipv6-special-registry/
const loopback = blockList(['127.0.0.0/8'], ['::1/128']);
const privateNetworks = blockList(
  [
    '10.0.0.0/8',
    '172.16.0.0/12',
    '192.168.0.0/16',
    '100.64.0.0/10', // shared by the customers of a carrier
    '192.0.0.0/24',
    '198.18.0.0/15', // benchmarks, and proxies that answer for every name
  ],
  [
    'fc00::/7',
    'fec0::/10',
    '64:ff9b:1::/48', // a network's own NAT64
  ],
);
const reservedNetworks = blockList(
  [
    '0.0.0.0/8',
    '169.254.0.0/16', // link-local, where clouds have their metadata
    '100.100.100.200/32', // metadata of Alibaba Cloud
    '168.63.129.16/32', // metadata of Azure
    '192.0.0.192/32', // metadata of Oracle Cloud
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
  ],
  [
    'fd00:ec2::254/128', // metadata of AWS
    'fd20:ce::254/128', // metadata of Google Cloud
    '2001::/23',
    '2001:db8::/32',
    '3fff::/20',
  ],
);
/** All of IPv6 that leads anywhere; the first two are IPv4 in other clothes. */
const routed = blockList([], ['::ffff:0:0/96', '64:ff9b::/96', '2000::/3']);

/** An IPv6 address that has an IPv4 address inside is what that one is. */
export function addressKind(text: string): AddressKind {
  const family = isIPv4(text) ? 'ipv4' : 'ipv6';
  const address = text.replace(/%.*$/, '');
  if (reservedNetworks.check(address, family)) return 'reserved';
  if (loopback.check(address, family)) return 'loopback';
  if (privateNetworks.check(address, family)) return 'private';
  return family === 'ipv4' || routed.check(address, family) ? 'public' : 'reserved';
}

function blockList(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (network: string, prefix: number, family: 'ipv4' | 'ipv6') => list.addSubnet(network, prefix, family);
  for (const [network = '', prefix] of ipv4.map((net) => net.split('/'))) {
    const bits = Number(prefix);
    const [a = 0, b = 0, c = 0, d = 0] = network.split('.').map(Number);
    add(network, bits, 'ipv4');
    add(`::ffff:${network}`, 96 + bits, 'ipv6');
    add(`64:ff9b::${network}`, 96 + bits, 'ipv6');
    add(`2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::`, 16 + bits, 'ipv6');
  }
  for (const [network = '', prefix] of ipv6.map((net) => net.split('/'))) add(network, Number(prefix), 'ipv6');
  return list;
}
