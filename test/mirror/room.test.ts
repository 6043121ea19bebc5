// Whether there is room: the arithmetic, without its waiting.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Figures, pastLimit, used, verdict } from '../../src/mirror/room.ts';

const empty: Figures = {
  committed: 0,
  leaving: 0,
  reserved: 0,
  over: 0,
  leftovers: 0,
  claimed: 0,
  pinned: 0,
  evictable: 0,
  max: 100,
  ceiling: 1000,
};

/** All that is stored could go, but for what is pinned. */
function cache(figures: Partial<Figures>): Figures {
  const all = { ...empty, ...figures };
  return { ...all, evictable: figures.evictable ?? Math.max(0, all.committed - all.pinned) + all.leftovers };
}

const wish = (size: number, claimed = 0) => ({ size, claimed });

describe('a blob', () => {
  test.each([
    ['into an empty cache', cache({}), 100],
    ['of no bytes into a full cache', cache({ committed: 100 }), 0],
    ['into what others have left', cache({ committed: 40, reserved: 30, leftovers: 10 }), 20],
    ['beside one that is over the budget', cache({ committed: 40, reserved: 130, over: 130 }), 60],
    ['into the last of the disk', cache({ committed: 50, ceiling: 60 }), 10],
  ])('is let in %s', (_, figures, size) => {
    expect(verdict(figures, wish(size))).toEqual({ kind: 'grant', isKept: true, isOver: false });
  });

  test.each([
    ['it does not fit', cache({ committed: 90 }), 20, 10, false],
    ['files on their way out still take their place', cache({ committed: 80, leaving: 20 }), 10, 10, false],
    ['the disk has less than the budget', cache({ committed: 50, ceiling: 60 }), 20, 10, true],
    ['the budget shrank below what is stored', cache({ committed: 300 }), 10, 210, false],
    ['there is room beside the pins', cache({ committed: 100, pinned: 80 }), 20, 20, false],
    ['only leftovers can go', cache({ leftovers: 100 }), 1, 1, false],
  ])('has others evicted when %s', (_, figures, size, bytes, isForDisk) => {
    expect(verdict(figures, wish(size))).toEqual({ kind: 'evict', bytes, isForDisk });
  });

  test.each([
    ['passes through when it is larger than the budget', cache({ committed: 90 }), 101, false],
    ['passes through when the pins leave less than its size', cache({ committed: 90, pinned: 80 }), 21, false],
    ['passes through when the pins are more than the budget', cache({ committed: 120, pinned: 120 }), 1, false],
    ['is kept when only running fills are in its way', cache({ reserved: 90 }), 20, true],
  ])('goes over the budget, as the only one, and %s', (_, figures, size, isKept) => {
    expect(verdict(figures, wish(size))).toEqual({ kind: 'grant', isKept, isOver: true });
    expect(verdict({ ...figures, reserved: figures.reserved + 500, over: 500 }, wish(size))).toEqual({ kind: 'wait' });
  });

  test('that passes through has nothing evicted for the disk, only what is past the budget already', () => {
    expect(verdict(cache({ committed: 90, ceiling: 150 }), wish(101))).toEqual({ kind: 'refuse' });
    expect(verdict(cache({ committed: 130 }), wish(101))).toEqual({ kind: 'evict', bytes: 30, isForDisk: false });
  });

  test.each([
    ['the disk has not that much', cache({ committed: 10, ceiling: 50 }), 51],
    ['the disk has nothing', cache({ committed: 10, ceiling: -2000 }), 1],
    ['the pins leave no place on the disk', cache({ committed: 60, pinned: 60, ceiling: 70 }), 20],
    ['waiting would not help', cache({ committed: 60, pinned: 60, reserved: 10, ceiling: 70 }), 20],
    ['nothing more can go', cache({ committed: 60, evictable: 0, ceiling: 70 }), 20],
  ])('is refused when %s', (_, figures, size) => {
    expect(verdict(figures, wish(size))).toEqual({ kind: 'refuse' });
  });

  test('waits for the one that is over the budget, and nothing is evicted meanwhile', () => {
    expect(verdict(cache({ committed: 100, reserved: 50, over: 50 }), wish(101))).toEqual({ kind: 'wait' });
  });

  test('waits for files that are on their way out', () => {
    expect(verdict(cache({ leaving: 300 }), wish(1))).toEqual({ kind: 'wait' });
  });

  test('waits when running fills hold what it needs of the disk', () => {
    expect(verdict(cache({ reserved: 60, ceiling: 70 }), wish(20))).toEqual({ kind: 'wait' });
  });

  test('needs no room for the part of it that is here', () => {
    expect(verdict(cache({ committed: 40, claimed: 50 }), wish(60, 50))).toMatchObject({
      kind: 'grant',
      isOver: false,
    });
    expect(verdict(cache({ committed: 40, claimed: 50 }), wish(30))).toMatchObject({ kind: 'evict', bytes: 20 });
  });
});

test('what is past the limit is told, the one over the budget and the pins aside', () => {
  expect(pastLimit(cache({ committed: 90 }))).toBe(-10);
  expect(pastLimit(cache({ committed: 130 }))).toBe(30);
  expect(pastLimit(cache({ committed: 90, reserved: 50, over: 50 }))).toBe(-10);
  expect(pastLimit(cache({ committed: 130, pinned: 120 }))).toBe(10);
  expect(pastLimit(cache({ committed: 90, ceiling: 50 }))).toBe(40);
});

test('whatever is granted leaves use within the budget and one blob, and within the disk', () => {
  const bytes = fc.integer({ min: 0, max: 1000 });
  const figures = fc
    .record({ committed: bytes, leaving: bytes, others: bytes, over: bytes, leftovers: bytes, claimed: bytes })
    .chain(({ others, over, ...rest }) =>
      fc.record({
        ...Object.fromEntries(Object.entries({ ...rest, over }).map(([name, value]) => [name, fc.constant(value)])),
        reserved: fc.constant(others + over),
        pinned: fc.integer({ min: 0, max: rest.committed }),
        max: bytes,
        ceiling: fc.integer({ min: -100, max: 6000 }),
      }),
    )
    .map((found) => cache(found as Partial<Figures>));
  fc.assert(
    fc.property(figures, bytes, (before, size) => {
      const found = verdict(before, wish(size));
      if (found.kind === 'evict') {
        expect(found.bytes).toBeGreaterThan(0);
        expect(found.bytes).toBeLessThanOrEqual(before.evictable);
      }
      if (found.kind !== 'grant') return;
      const after = used(before) + size;
      expect(after).toBeLessThanOrEqual(before.ceiling);
      const largest = Math.max(before.over, found.isOver ? size : 0);
      expect(after).toBeLessThanOrEqual(Math.max(before.max, before.pinned) + largest);
      if (found.isOver) expect(before.over).toBe(0);
      if (found.isKept) expect(before.pinned + size).toBeLessThanOrEqual(before.max);
    }),
    { numRuns: 2000 },
  );
});
