// The address of a client behind proxies, and that nobody can choose it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TrustedProxies } from '../../src/access/client-address.ts';

const proxies = new TrustedProxies(['10.0.0.0/8', 'fd00::/8']);

describe('the address of a client', () => {
  test.each([
    ['without a header is its peer', '10.0.0.1', undefined, '10.0.0.1'],
    ['with an empty header is its peer', '10.0.0.1', '', '10.0.0.1'],
    ['behind nobody is its peer, whatever it says', '192.0.2.9', '198.51.100.7', '192.0.2.9'],
    ['behind one proxy is what that wrote', '10.0.0.1', '192.0.2.9', '192.0.2.9'],
    ['is not what it wrote itself', '10.0.0.1', '198.51.100.7, 192.0.2.9', '192.0.2.9'],
    ['is not a trusted address that it wrote itself', '10.0.0.1', '10.0.0.7, 192.0.2.9', '192.0.2.9'],
    ['behind two proxies is what the first wrote', '10.0.0.1', '192.0.2.9, 10.0.0.2', '192.0.2.9'],
    ['behind a proxy that is not trusted is that of the proxy', '10.0.0.1', '192.0.2.9, 203.0.113.5', '203.0.113.5'],
    ['inside is the left-most', '10.0.0.1', '10.0.0.3,10.0.0.2', '10.0.0.3'],
    ['left of garbage is that of the last proxy', '10.0.0.1', '192.0.2.9, unknown, 10.0.0.2', '10.0.0.2'],
    ['left of an empty place is that of the last proxy', '10.0.0.1', '192.0.2.9,, 10.0.0.2', '10.0.0.2'],
    ['that is garbage is that of the proxy', '10.0.0.1', '<script>', '10.0.0.1'],
    ['left of a comma at the end is that of the proxy', '10.0.0.1', '192.0.2.9,', '10.0.0.1'],
    ['loses its port', '10.0.0.1', '192.0.2.9:4711', '192.0.2.9'],
    ['loses brackets', '10.0.0.1', '[2001:db8::1]', '2001:db8::1'],
    ['loses brackets and port', '10.0.0.1', '[2001:DB8::1]:4711', '2001:db8::1'],
    ['is IPv6 without brackets', '10.0.0.1', '2001:db8:0::1', '2001:db8::1'],
    ['is IPv4 where it comes in IPv6', '10.0.0.1', '::ffff:192.0.2.9', '192.0.2.9'],
    ['is IPv4 in brackets in IPv6', '10.0.0.1', '[::ffff:192.0.2.9]:1', '192.0.2.9'],
    ['is known from a mapped peer', '::ffff:10.0.0.1', '192.0.2.9', '192.0.2.9'],
    ['is known from a peer of IPv6', 'fd00::1', '192.0.2.9', '192.0.2.9'],
    ['that is a mapped peer is IPv4', '::ffff:192.0.2.9', undefined, '192.0.2.9'],
    ['behind a proxy with a port is found', '10.0.0.1', '192.0.2.9:1, 10.0.0.2:2, [fd00::2]:3', '192.0.2.9'],
    ['is no IPv4 in brackets', '10.0.0.1', '[192.0.2.9]', '10.0.0.1'],
    ['has a port of digits only', '10.0.0.1', '192.0.2.9:http', '10.0.0.1'],
    ['has no network', '10.0.0.1', '192.0.2.0/24', '10.0.0.1'],
    ['has spaces and tabs around it', '10.0.0.1', ' \t192.0.2.9\t ', '192.0.2.9'],
    ['stays what it is where it is none', '', '192.0.2.9', ''],
  ])('%s', (_what, peer, forwardedFor, client) => {
    expect(proxies.clientOf({ peer, forwardedFor })).toBe(client);
  });

  test('is its peer where nobody is trusted', () => {
    const none = new TrustedProxies([]);
    expect(none.clientOf({ peer: '10.0.0.1', forwardedFor: '192.0.2.9' })).toBe('10.0.0.1');
    expect(none.isTrusted('10.0.0.1')).toBe(false);
  });
});

/** Addresses as they are written, with what they are, and what is none. */
const trusted = fc.integer({ min: 1, max: 254 }).map((last) => `10.0.0.${last}`);
const stranger = fc.oneof(
  fc.integer({ min: 1, max: 254 }).map((last) => `192.0.2.${last}`),
  fc.integer({ min: 1, max: 9 }).map((last) => `2001:db8::${last}`),
);
const garbage = fc.constantFrom('', 'unknown', '_hidden', '10.0.0', '10.0.0.1/8', '"10.0.0.1"', 'for=10.0.0.1', '[::1');
const anything = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'10.,: []f') }), trusted, stranger);

describe('whatever X-Forwarded-For says', () => {
  test('a peer that is not trusted is the client', () => {
    fc.assert(
      fc.property(stranger, anything, (peer, forwardedFor) => {
        expect(proxies.clientOf({ peer, forwardedFor })).toBe(peer);
      }),
    );
  });

  test('what a client sends itself changes nothing: a trusted proxy writes to the right of it', () => {
    const chain = fc.array(trusted, { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(anything), stranger, chain, trusted, (sent, client, hops, peer) => {
        const forwardedFor = [...sent, client, ...hops].join(',');
        expect(proxies.clientOf({ peer, forwardedFor })).toBe(client);
      }),
    );
  });

  test('nothing left of garbage is believed', () => {
    const chain = fc.array(trusted, { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(anything), garbage, chain, trusted, (sent, odd, hops, peer) => {
        const forwardedFor = [...sent, odd, ...hops].join(', ');
        expect(proxies.clientOf({ peer, forwardedFor })).toBe(hops[0] ?? peer);
      }),
    );
  });

  test('the client is the peer, or stands in it with trusted addresses alone to its right', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(trusted, stranger, garbage), { maxLength: 6 }), trusted, (hops, peer) => {
        const client = proxies.clientOf({ peer, forwardedFor: hops.join(',') });
        const places = hops.flatMap((hop, place) => (hop === client ? [place] : []));
        const isFair = (place: number) => hops.slice(place + 1).every((hop) => proxies.isTrusted(hop));
        expect(client === peer || places.some(isFair)).toBe(true);
      }),
    );
  });
});
