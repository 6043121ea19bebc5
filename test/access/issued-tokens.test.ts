// Tokens that we issue ourselves: opaque, short, and never better than what they were issued for.
import { describe, expect, test } from 'vitest';
import { IssuedTokens } from '../../src/access/issued-tokens.ts';
import type { Principal } from '../../src/access/principal.ts';

const bob: Principal = { name: 'bob', by: 'password' };

function scene() {
  const clock = { ms: 0 };
  return { clock, issued: new IssuedTokens({ now: () => clock.ms }) };
}

describe('an issued token', () => {
  test('is 256 random bits, and stands for who it was issued to', () => {
    const { issued } = scene();
    const tokens = Array.from({ length: 100 }, () => issued.issue(bob, () => true).token);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) {
      expect(token).toMatch(/^swi_[\w-]{43}$/);
      expect(issued.find(token)).toBe(bob);
    }
  });

  test('is good for five minutes, however often it is used', () => {
    const { issued, clock } = scene();
    const { token, expiresInSeconds } = issued.issue(bob, () => true);
    expect(expiresInSeconds).toBe(300);
    for (; clock.ms < 299_999; clock.ms += 999) expect(issued.find(token)).toBe(bob);
    clock.ms = 299_999;
    expect(issued.find(token)).toBe(bob);
    clock.ms = 300_000;
    expect(issued.find(token)).toBeUndefined();
  });

  test('ends with the credentials it was issued for, and for good', () => {
    const { issued } = scene();
    let isStillGood = true;
    const { token } = issued.issue(bob, () => isStillGood);
    const { token: other } = issued.issue(bob, () => true);
    isStillGood = false;
    expect(issued.find(token)).toBeUndefined();
    isStillGood = true;
    expect(issued.find(token)).toBeUndefined();
    expect(issued.find(other)).toBe(bob);
  });

  test.each([
    ['a part of it', (token: string) => token.slice(0, -1)],
    ['another beginning', (token: string) => token.replace('swi_', 'swt_')],
    ['another end', (token: string) => `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`],
    ['nothing', () => ''],
  ])('is not %s', (_what, change) => {
    const { issued } = scene();
    expect(issued.find(change(issued.issue(bob, () => true).token))).toBeUndefined();
  });

  test('is one of ten thousand at most: then the one not used for longest goes', () => {
    const { issued } = scene();
    const used = issued.issue(bob, () => true).token;
    const unused = issued.issue(bob, () => true).token;
    issued.find(used);
    for (let count = 0; count < 9999; count++) issued.issue(bob, () => true);
    expect(issued.find(used)).toBe(bob);
    expect(issued.find(unused)).toBeUndefined();
  });
});
