// Principals by where a client comes from.
import { expect, test } from 'vitest';
import { Networks } from '../../src/access/networks.ts';

test('the first network that an address is in names the principal', () => {
  const networks = new Networks([
    { cidr: '10.1.0.0/16', principal: 'build' },
    { cidr: '10.0.0.0/8', principal: 'office' },
    { cidr: '10.1.2.0/24', principal: 'never' },
    { cidr: 'fd00::/8', principal: 'lab' },
  ]);
  expect(networks.principalOf('10.1.2.3')).toBe('build');
  expect(networks.principalOf('::ffff:10.1.2.3')).toBe('build');
  expect(networks.principalOf('10.2.0.1')).toBe('office');
  expect(networks.principalOf('fd12::1')).toBe('lab');
  expect(networks.principalOf('192.0.2.1')).toBeUndefined();
  expect(networks.principalOf('::1')).toBeUndefined();
  expect(networks.principalOf('')).toBeUndefined();
});

test('no network names nobody', () => {
  expect(new Networks([]).principalOf('10.1.2.3')).toBeUndefined();
});

test('what is no network is refused', () => {
  expect(() => new Networks([{ cidr: 'lan', principal: 'x' }])).toThrow('not a network: "lan"');
});
