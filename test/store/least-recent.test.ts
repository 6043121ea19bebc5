// The least recently used of many, against a plain sort of them all.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { beforeAll as beforeAllUses, byUse, firstUses, type Use } from '../../src/store/least-recent.ts';

function sorted(times: readonly number[], after: Use = beforeAllUses): Use[] {
  return times
    .map((usedAt, id) => ({ id, usedAt }))
    .filter((use) => use.usedAt !== 0 && byUse(use, after) > 0)
    .sort(byUse);
}

/** A beginning of `all`, of the length that was asked for if there are so many and nothing was sampled. */
function expectBeginning(found: readonly Use[], all: readonly Use[], count: number): void {
  expect(found).toEqual(all.slice(0, found.length));
  expect(found.length).toBeGreaterThanOrEqual(Math.min(1, all.length));
  expect(found.length).toBeLessThanOrEqual(4 * count);
}

describe('the first uses', () => {
  test('of nobody are none', () => {
    expect(firstUses(new Float64Array(0), 0, beforeAllUses, 3)).toEqual([]);
    expect(firstUses(new Float64Array(10), 10, beforeAllUses, 3)).toEqual([]);
  });

  test('are those that a sort puts first, from wherever one goes on', () => {
    const few = fc.array(fc.nat({ max: 12 }), { maxLength: 60 });
    fc.assert(
      fc.property(few, fc.integer({ min: 1, max: 8 }), fc.nat(60), (times, count, from) => {
        const all = sorted(times);
        const after = all[from] ?? beforeAllUses;
        const found = firstUses(Float64Array.from(times), times.length, after, count);
        const expected = sorted(times, after);
        expectBeginning(found, expected, count);
        expect(found.length).toBeGreaterThanOrEqual(Math.min(count, expected.length));
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string, (id: number) => number]>([
    ['in order', (id) => id + 1],
    ['in reverse order', (id) => 200_000 - id],
    ['all of one moment', () => 7],
    ['mostly of one moment', (id) => (id % 1000 === 0 ? id + 8 : 7)],
    ['in any order, with gaps', (id) => (id % 3 === 0 ? 0 : 1 + ((id * 7919) % 100_003))],
    ['old in one corner only', (id) => (id > 199_990 ? id - 199_990 : 1_000_000 + id)],
    ['nearly all of them gone', (id) => (id % 60_000 === 1 ? id : 0)],
  ])('of many that are %s are all found, a few at a time', (_what, timeOf) => {
    const times = Float64Array.from({ length: 200_000 }, (_, id) => timeOf(id));
    const all = sorted([...times]);
    let seen = 0;
    // Not to the end: what matters is that nobody is left out on the way.
    for (let after = beforeAllUses; seen < 20_000; ) {
      const found = firstUses(times, times.length, after, 1000);
      expectBeginning(found, all.slice(seen), 1000);
      seen += found.length;
      const last = found.at(-1);
      if (!last) break;
      after = last;
    }
    expect(seen).toBeGreaterThanOrEqual(Math.min(all.length, 20_000));
  });

  test('take nobody beyond the end', () => {
    expect(firstUses(Float64Array.from([5, 4, 3]), 2, beforeAllUses, 9)).toEqual([
      { id: 1, usedAt: 4 },
      { id: 0, usedAt: 5 },
    ]);
  });
});
