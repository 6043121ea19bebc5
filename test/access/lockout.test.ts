// When an address is locked, for how long, and that it is the only one.
import { describe, expect, test } from 'vitest';
import { addressBlock } from '../../src/access/address-block.ts';
import { Lockout, type LockoutOptions } from '../../src/access/lockout.ts';

function lockoutAt(start: number, options: LockoutOptions = {}) {
  const clock = { ms: start };
  const lockout = new Lockout({ now: () => clock.ms, ...options });
  const fail = (address: string, times: number) => {
    for (let count = 0; count < times; count++) lockout.failed(address);
  };
  return { clock, lockout, fail };
}

describe('an address', () => {
  test('is locked by its tenth failure within a minute, and not by the ninth', () => {
    const { lockout, fail } = lockoutAt(0);
    fail('192.0.2.1', 9);
    expect(lockout.isLocked('192.0.2.1')).toBe(false);
    fail('192.0.2.1', 1);
    expect(lockout.isLocked('192.0.2.1')).toBe(true);
  });

  test('that is locked locks no other', () => {
    const { lockout, fail } = lockoutAt(0);
    fail('192.0.2.1', 100);
    expect(lockout.isLocked('192.0.2.2')).toBe(false);
    expect(lockout.retryInMs('192.0.2.2')).toBe(0);
  });

  test('is free after a minute, and then has all its attempts again', () => {
    const { clock, lockout, fail } = lockoutAt(5000);
    fail('192.0.2.1', 10);
    expect(lockout.retryInMs('192.0.2.1')).toBe(60_000);
    clock.ms += 59_999;
    expect(lockout.retryInMs('192.0.2.1')).toBe(1);
    clock.ms += 1;
    expect(lockout.isLocked('192.0.2.1')).toBe(false);
    fail('192.0.2.1', 9);
    expect(lockout.isLocked('192.0.2.1')).toBe(false);
  });

  test('is not locked for longer by what it tries meanwhile', () => {
    const { clock, lockout, fail } = lockoutAt(0);
    fail('192.0.2.1', 10);
    clock.ms = 30_000;
    fail('192.0.2.1', 50);
    expect(lockout.retryInMs('192.0.2.1')).toBe(30_000);
  });

  test('is not locked by failures that lie further apart', () => {
    const { clock, lockout } = lockoutAt(0);
    for (let count = 0; count < 100; count++) {
      lockout.failed('192.0.2.1');
      clock.ms += 60_000 / 9;
    }
    expect(lockout.isLocked('192.0.2.1')).toBe(false);
  });

  test('is locked by ten failures over the turn of a minute', () => {
    const { clock, lockout, fail } = lockoutAt(59_000);
    fail('192.0.2.1', 5);
    clock.ms = 61_000;
    fail('192.0.2.1', 5);
    expect(lockout.isLocked('192.0.2.1')).toBe(true);
  });
});

test('takes other limits', () => {
  const { clock, lockout, fail } = lockoutAt(0, { most: 2, windowMs: 10, lockedMs: 5 });
  fail('a', 1);
  clock.ms = 10;
  fail('a', 1);
  expect(lockout.isLocked('a')).toBe(false);
  fail('a', 1);
  expect(lockout.retryInMs('a')).toBe(5);
  clock.ms = 15;
  fail('a', 1);
  expect(lockout.isLocked('a')).toBe(false);
});

test('remembers ten thousand addresses, and forgets those that were quiet for longest', () => {
  const { lockout, fail } = lockoutAt(0);
  fail('192.0.2.1', 10);
  fail('192.0.2.2', 10);
  for (let count = 0; count < 9999; count++) {
    lockout.failed(`10.0.${count >> 8}.${count & 255}`);
    lockout.isLocked('192.0.2.1');
  }
  expect(lockout.isLocked('192.0.2.1')).toBe(true);
  expect(lockout.isLocked('192.0.2.2')).toBe(false);
});

test('an IPv6 subscriber is one address, however many of his own he uses', () => {
  const { lockout } = lockoutAt(0);
  for (let count = 0; count < 10; count++) lockout.failed(`2001:db8:0:1::${count.toString(16)}`);
  expect(lockout.isLocked('2001:db8:0:1:ffff:ffff:ffff:ffff')).toBe(true);
  expect(lockout.isLocked('2001:db8:0:2::1')).toBe(false);
});

describe('the block of', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['not an address', 'not an address'],
    ['', ''],
  ])('%s', (address, block) => {
    expect(addressBlock(address)).toBe(block);
  });
});
