// Last uses in memory: their order, their ids, and the pages they are written as.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byUse, type Use } from '../../src/store/least-recent.ts';
import { pageOf, Usage, usesPerPage } from '../../src/store/usage.ts';

function idsOf(usage: Usage, limit = 1000): number[] {
  return usage.oldest(limit).map(({ id }) => id);
}

function pagesOf(usage: Usage): { page: number; times: Uint8Array }[] {
  return usage.takeDirty(Number.POSITIVE_INFINITY).flatMap((page) => {
    const times = usage.page(page);
    return times ? [{ page, times: times.slice() }] : [];
  });
}

function filled(count: number, now: () => number = Date.now): Usage {
  const usage = new Usage([], now);
  for (let added = 0; added < count; added++) usage.add();
  return usage;
}

describe('uses', () => {
  test('are in the order in which they happened', () => {
    const usage = new Usage();
    const [one, two, three] = [usage.add(), usage.add(), usage.add()];
    expect(idsOf(usage)).toEqual([one, two, three]);
    usage.touch(one);
    usage.touch(two);
    expect(idsOf(usage)).toEqual([three, one, two]);
    expect(idsOf(usage, 2)).toEqual([three, one]);
  });

  test('of one moment, or after the clock was set back, keep their order', () => {
    let now = 1_700_000_000_000;
    const usage = new Usage([], () => now);
    const ids = Array.from({ length: 10 }, () => usage.add());
    now -= 3_600_000;
    for (const id of ids.toReversed()) usage.touch(id);
    expect(idsOf(usage)).toEqual(ids.toReversed());
  });

  test('may lie in the past, as those of files that were found', () => {
    const usage = filled(3);
    expect(idsOf(usage)).toHaveLength(3);
    const found = [usage.add(2000), usage.add(1000), usage.add(0), usage.add(-5)];
    expect(idsOf(usage).slice(0, 4)).toEqual([found[2], found[3], found[1], found[0]]);
  });

  test('go on after any of them, whether it is still there or not', () => {
    const usage = filled(10);
    const [, second, third] = usage.oldest(10);
    expect(usage.oldest(2, second).map(({ id }) => id)).toEqual([3, 4]);
    usage.touch(second?.id ?? 0);
    expect(usage.oldest(1, second)).toEqual([third]);
    expect(usage.oldest(5, { id: 0, usedAt: Number.MAX_VALUE })).toEqual([]);
  });

  test('of what was forgotten are no more, and touching it changes nothing', () => {
    const usage = filled(3);
    usage.forget(2);
    usage.touch(2);
    usage.touch(-1);
    usage.touch(1_000_000);
    usage.forget(1_000_000);
    expect(idsOf(usage)).toEqual([1, 3]);
    expect(usage.has(2)).toBe(false);
  });

  test('come back where they were when they are restored', () => {
    const usage = filled(5);
    const before = usage.oldest(5);
    const usedAt = usage.forget(2);
    usage.restore(2, usedAt);
    usage.restore(3, 17);
    usage.restore(9, 0);
    expect(usage.oldest(5)).toEqual(before);
    expect(usage.add()).toBe(6);
  });
});

test('very many are walked through in order, although some are used and forgotten meanwhile', () => {
  const count = 200_000;
  const usage = filled(count);
  const seen: Use[] = [];
  for (let after: Use | undefined; ; ) {
    const page = usage.oldest(700, after);
    after = page.at(-1);
    if (!after || after.id > 150_000 || seen.length > count) break;
    seen.push(...page);
    usage.forget(after.id);
    usage.touch(after.id + 5);
    usage.touch(after.id - 5);
    expect(usage.oldest(1)[0]?.id).toBe(1);
  }
  expect(seen.every((use, at) => at === 0 || byUse(seen[at - 1] ?? use, use) < 0)).toBe(true);
  expect(seen.length).toBeGreaterThan(149_000);
});

describe('ids', () => {
  test('of the forgotten are given again, so that memory follows what is there', () => {
    const usage = filled(2000);
    for (let round = 0; round < 50; round++) {
      for (const { id } of usage.oldest(500)) usage.forget(id);
      for (let added = 0; added < 500; added++) expect(usage.add()).toBeLessThanOrEqual(2000);
    }
    expect(idsOf(usage, 5000)).toHaveLength(2000);
  });

  test('are given again after a restart, from the start if all went', () => {
    const usage = filled(1500);
    for (let id = 1; id <= 1500; id++) if (id !== 700) usage.forget(id);
    const restarted = new Usage(pagesOf(usage));
    const given = Array.from({ length: 699 }, () => restarted.add());
    expect(new Set(given)).toEqual(new Set(Array.from({ length: 699 }, (_, index) => index + 1)));
    expect(restarted.add()).toBe(701);
  });
});

describe('pages', () => {
  test('bring every use back, in their order', () => {
    const usage = filled(3 * usesPerPage);
    for (let id = 1; id < 1000; id += 3) usage.touch(id);
    const restarted = new Usage(pagesOf(usage), () => Number.MAX_SAFE_INTEGER);
    expect(restarted.oldest(5000)).toEqual(usage.oldest(5000));
  });

  test('are dirty from the first change until they were taken, the longest dirty first', () => {
    const usage = filled(3 * usesPerPage);
    pagesOf(usage);
    expect(usage.dirtyPages).toBe(0);
    usage.touch(2 * usesPerPage);
    usage.touch(5);
    usage.touch(2 * usesPerPage + 1);
    expect(usage.takeDirty(1)).toEqual([2]);
    expect(usage.takeDirty(9)).toEqual([0]);
    usage.keepDirty([0]);
    usage.forget(usesPerPage);
    expect(usage.takeDirty(9)).toEqual([0, 1]);
    expect(usage.page(9_999)).toBeUndefined();
  });

  test('with nonsense in them do no harm', () => {
    const times = new Float64Array(usesPerPage).fill(1000);
    times.set([0, Number.NaN, -1, Number.POSITIVE_INFINITY, 2 ** 60, 1e-300]);
    const usage = new Usage(
      [
        { page: 0, times: new Uint8Array(times.buffer) },
        { page: 1, times: new Uint8Array(3) },
        { page: -1, times: new Uint8Array(4000).fill(1) },
        { page: 2 ** 50, times: new Uint8Array(4000).fill(1) },
        { page: 2, times: 'text' as unknown as Uint8Array },
      ],
      () => 5000,
    );
    const uses = usage.oldest(1000);
    expect(uses).toHaveLength(usesPerPage - 1);
    expect(uses.every(({ usedAt }) => usedAt > 0 && usedAt <= 5000)).toBe(true);
    expect(usage.oldest(1, uses.at(-1))).toEqual([]);
    const added = usage.add();
    expect(idsOf(usage).at(-1)).toBe(added);
  });
});

interface Model {
  readonly uses: Map<number, number>;
  at: number;
}

type Step = (usage: Usage, model: Model) => void;

const pick = ({ uses }: Model, which: number) => [...uses.keys()][which % Math.max(1, uses.size)] ?? 0;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>((usage, model) => model.uses.set(usage.add(), ++model.at)),
  fc.integer({ min: 1, max: 999 }).map<Step>((time) => (usage, model) => model.uses.set(usage.add(time), time)),
  fc.nat().map<Step>((which) => (usage, model) => {
    const id = pick(model, which);
    usage.touch(id);
    if (model.uses.has(id)) model.uses.set(id, ++model.at);
  }),
  fc.nat().map<Step>((which) => (usage, model) => {
    const id = pick(model, which);
    usage.forget(id);
    model.uses.delete(id);
  }),
  fc.tuple(fc.nat(60), fc.nat(60)).map<Step>(([limit, from]) => (usage, model) => {
    const all = [...model.uses].map(([id, usedAt]): Use => ({ id, usedAt })).sort(byUse);
    const after = usage.oldest(1000)[from];
    const found = usage.oldest(limit, after).map(({ id }) => id);
    expect(found).toEqual(
      all
        .slice(after ? from + 1 : 0)
        .slice(0, limit)
        .map(({ id }) => id),
    );
  }),
);

test('the oldest are right after whatever came before', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const model: Model = { uses: new Map(), at: 1_000_000 };
      const usage = new Usage();
      for (const run of steps) run(usage, model);
      expect(idsOf(usage)).toEqual(
        [...model.uses].sort(([one, a], [other, b]) => a - b || one - other).map(([id]) => id),
      );
    }),
    { numRuns: 400 },
  );
});

test('a page is that of its ids', () => {
  expect([0, usesPerPage - 1, usesPerPage].map(pageOf)).toEqual([0, 0, 1]);
});
