// The yardstick of the budget's proof, and the demand it is measured under.
import { describe, expect, test } from 'vitest';
import { IdealLru } from './ideal-lru.ts';
import { seededRandom, zipf } from './zipf.ts';

describe('an ideal cache', () => {
  test('forgets what was used longest ago, and as much as it must', () => {
    const lru = new IdealLru(3);
    const hits = ['a', 'b', 'c', 'a', 'd', 'b', 'a', 'd'].map((name) => lru.use(name, 1));
    expect(hits).toEqual([false, false, false, true, false, false, true, true]);
    expect(lru.use('large', 2)).toBe(false);
    expect(lru.use('d', 1)).toBe(true);
    expect(lru.use('a', 1)).toBe(false);
  });

  test('never keeps what is larger than itself', () => {
    const lru = new IdealLru(3);
    expect([lru.use('huge', 4), lru.use('huge', 4)]).toEqual([false, false]);
  });
});

describe('demand', () => {
  test('is the same for the same seed, and follows the law', () => {
    const draws = (seed: number) => {
      const next = zipf(100, 1, seededRandom(seed));
      return Array.from({ length: 20_000 }, next);
    };
    expect(draws(1)).toEqual(draws(1));
    expect(draws(1)).not.toEqual(draws(2));
    const counts = new Map<number, number>();
    for (const drawn of draws(3)) counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    const [first = 0, second = 0] = [...counts.values()].sort((one, other) => other - one);
    expect(first / 20_000).toBeCloseTo(1 / 5.187, 1);
    expect(first / second).toBeGreaterThan(1.5);
  });
});
