// Addresses in one form each, and which networks they are in.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressSet, plainAddress } from '../../src/access/address-set.ts';

describe('an address', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:0a01:0203', '10.1.2.3'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
  ])('%j is written %j', (text, plain) => {
    expect(plainAddress(text)).toBe(plain);
  });

  test.each([
    '',
    'unknown',
    '10.1.2',
    '10.1.2.3.4',
    '10.1.2.256',
    '010.1.2.3',
    '10.1.2.3/32',
    ' 10.1.2.3',
    '10.1.2.3\n',
    '[::1]',
    '1',
    ':::',
    'localhost',
  ])('%j is none', (text) => {
    expect(plainAddress(text)).toBeUndefined();
  });

  test('has one form only', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(address, (text) => {
        const plain = plainAddress(text);
        expect(plain).toBeDefined();
        expect(plainAddress(plain ?? '')).toBe(plain);
        expect(plainAddress(text.toUpperCase())).toBe(plain);
      }),
    );
  });
});

describe('a set of networks', () => {
  test.each([
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['11.0.0.0', '9.255.255.255', '::a00:1']],
    ['10.1.2.3', ['10.1.2.3', '::ffff:10.1.2.3'], ['10.1.2.4']],
    ['10.9.9.9/8', ['10.0.0.1'], ['11.0.0.1']],
    ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4'], ['::1', '2001:db8::1']],
    ['::/0', ['::1', '2001:db8::1'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['fd00::/8', ['fd00::1', 'FDFF::1', 'fd00::1%eth0'], ['fc00::1', 'fe80::1']],
    ['2001:db8::1', ['2001:db8::1', '2001:db8:0:0::1'], ['2001:db8::2']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.1', '::1']],
    ['::ffff:10.0.0.0/64', ['::1', '::a00:1'], ['10.0.0.1', '2001:db8::1']],
    ['::ffff:10.1.2.3', ['10.1.2.3'], ['10.1.2.4']],
  ])('%s has what is inside alone', (network, inside, outside) => {
    const set = new AddressSet([network]);
    for (const address of inside) expect([address, set.has(address)]).toEqual([address, true]);
    for (const address of outside) expect([address, set.has(address)]).toEqual([address, false]);
  });

  test('has nothing that is no address', () => {
    const set = new AddressSet(['0.0.0.0/0', '::/0']);
    for (const text of ['', 'unknown', '10.0.0.0/8', '1.2.3']) expect(set.has(text)).toBe(false);
    expect(new AddressSet([]).has('10.1.2.3')).toBe(false);
  });

  test.each(['', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', 'localhost', '10.0.0/8'])(
    'cannot have %j',
    (network) => {
      expect(() => new AddressSet([network])).toThrow(`not a network: ${JSON.stringify(network)}`);
    },
  );

  test('agrees with the arithmetic of IPv4', () => {
    const numberOf = (address: string) => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (network, address, prefix) => {
        const size = 2 ** (32 - prefix);
        const isInside = Math.floor(numberOf(network) / size) === Math.floor(numberOf(address) / size);
        expect(new AddressSet([`${network}/${prefix}`]).has(address)).toBe(isInside);
      }),
    );
  });
});
