// Places that no one client address can fill: they come back when they are given back, each to whom it was.
import { expect, test } from 'vitest';
import { AddressPlaces } from '../../src/access/address-places.ts';

test('one address has its share, and everybody together what there is', () => {
  const places = new AddressPlaces({ most: 3, mostEach: 2 });
  const [first, second] = [places.take('10.0.0.1'), places.take('10.0.0.1')];
  expect(places.take('10.0.0.1')).toBeUndefined();
  const other = places.take('10.0.0.2');
  expect(places.take('10.0.0.3')).toBeUndefined();
  first?.();
  expect(places.take('10.0.0.3')).toBeDefined();
  expect(places.take('10.0.0.1')).toBeUndefined();
  second?.();
  other?.();
  expect([places.take('10.0.0.1'), places.take('10.0.0.1')]).not.toContain(undefined);
  expect(places.take('10.0.0.1')).toBeUndefined();
});

test('an address that gives one of its places back has one more, and no others', () => {
  const places = new AddressPlaces({ most: 10, mostEach: 2 });
  const [first] = [places.take('10.0.0.1'), places.take('10.0.0.1')];
  first?.();
  expect([places.take('10.0.0.1') !== undefined, places.take('10.0.0.1')]).toEqual([true, undefined]);
});

test('one IPv6 subscriber is one address', () => {
  const places = new AddressPlaces({ most: 10, mostEach: 1 });
  expect(places.take('2001:db8::1')).toBeDefined();
  expect(places.take('2001:db8::2')).toBeUndefined();
  expect(places.take('2001:db8:0:1::1')).toBeDefined();
});
