// Addresses by the kind of network they belong to.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressKind } from '../../src/upstream/address-kind.ts';

const kinds = {
  public: ['1.1.1.1', '8.8.8.8', '100.63.255.255', '172.32.0.1', '198.20.0.1', '223.255.255.255', '2606:4700::1111'],
  private: [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '192.0.0.8',
    '198.18.0.1',
    'fc00::1',
    'fd12:3456::1',
    'fec0::1',
    '64:ff9b:1::1',
  ],
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  reserved: [
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '169.254.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '2001:db8::1',
    '2001::1',
    '100::1',
    '::7f00:1',
    '::8.8.8.8',
  ],
} as const;

describe.each(Object.entries(kinds))('%s', (kind, addresses) => {
  test.each(addresses)('%s', (address) => {
    expect(addressKind(address)).toBe(kind);
  });
});

test('an IPv4 address in the clothes of IPv6 is what it is without them', () => {
  const hex = (high: number, low: number) => ((high << 8) | low).toString(16);
  const known = Object.values(kinds).flatMap((addresses) => addresses.filter((address) => /^[\d.]+$/.test(address)));
  const address = fc.oneof(fc.constantFrom(...known), fc.ipV4());
  fc.assert(
    fc.property(address, (ipv4) => {
      const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number);
      const groups = `${hex(a, b)}:${hex(c, d)}`;
      const dressed = [
        `::ffff:${ipv4}`,
        `::ffff:${groups}`,
        `64:ff9b::${ipv4}`,
        `64:ff9b::${groups}`,
        `2002:${groups}::1`,
      ];
      for (const ipv6 of dressed) expect(`${ipv6} ${addressKind(ipv6)}`).toBe(`${ipv6} ${addressKind(ipv4)}`);
    }),
  );
});

test('what is no address is never public', () => {
  for (const text of ['', 'localhost', '1.2.3', '256.1.1.1', 'x::1', '1.1.1.1%'])
    expect(addressKind(text)).toBe('reserved');
});
