// Which bytes of a spool are written, against a plain list of bytes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Extents } from '../../src/store/extents.ts';

const size = 48;

class NaiveExtents {
  readonly #bytes = new Set<number>();

  add(start: number, end: number): void {
    for (let at = start; at < end; at++) this.#bytes.add(at);
  }

  endFrom(position: number): number {
    let end = position;
    while (this.#bytes.has(end)) end++;
    return end;
  }

  gaps(start: number, end: number): { start: number; end: number }[] {
    const found: { start: number; end: number }[] = [];
    for (let at = start; at < end; at++) {
      if (this.#bytes.has(at)) continue;
      const last = found.at(-1);
      if (last?.end === at) last.end++;
      else found.push({ start: at, end: at + 1 });
    }
    return found;
  }
}

function extentsOf(...ranges: readonly (readonly [number, number])[]): Extents {
  const extents = new Extents();
  for (const [start, end] of ranges) extents.add(start, end);
  return extents;
}

describe('extents', () => {
  test('of nothing end where one looks', () => {
    expect(new Extents().endFrom(0)).toBe(0);
    expect(new Extents().endFrom(7)).toBe(7);
  });

  test('that touch become one, whatever their order', () => {
    expect(extentsOf([0, 3], [3, 5]).endFrom(0)).toBe(5);
    expect(extentsOf([3, 5], [0, 3]).endFrom(0)).toBe(5);
    expect(extentsOf([0, 1], [2, 3], [4, 5], [1, 4]).endFrom(0)).toBe(5);
  });

  test('with a gap end at the gap', () => {
    const extents = extentsOf([0, 3], [4, 9]);
    expect(extents.endFrom(0)).toBe(3);
    expect(extents.endFrom(3)).toBe(3);
    expect(extents.endFrom(4)).toBe(9);
    expect(extents.endFrom(8)).toBe(9);
    expect(extents.endFrom(9)).toBe(9);
  });

  test('ignore empty and reversed ranges', () => {
    expect(extentsOf([2, 2], [5, 3]).endFrom(3)).toBe(3);
  });

  test('reach beyond four gigabytes', () => {
    expect(extentsOf([0, 2 ** 33], [2 ** 33, 2 ** 40]).endFrom(1)).toBe(2 ** 40);
  });

  test('leave the gaps of a range that a list of single bytes leaves', () => {
    const range = fc.tuple(fc.nat({ max: size }), fc.nat({ max: size }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), range, (ranges, [start, end]) => {
        const [extents, naive] = [extentsOf(...ranges), new NaiveExtents()];
        for (const [from, to] of ranges) naive.add(from, to);
        expect(extents.gaps(start, end)).toEqual(naive.gaps(start, end));
      }),
      { numRuns: 1000 },
    );
  });

  test('answer as a list of single bytes does', () => {
    const range = fc.tuple(fc.nat({ max: size }), fc.nat({ max: size }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 30 }), (ranges) => {
        const [extents, naive] = [new Extents(), new NaiveExtents()];
        for (const [start, end] of ranges) {
          extents.add(start, end);
          naive.add(start, end);
          for (let at = 0; at <= size; at++) expect(extents.endFrom(at)).toBe(naive.endFrom(at));
          const missing = naive.gaps(0, size).reduce((sum, gap) => sum + gap.end - gap.start, 0);
          expect(extents.total).toBe(size - missing);
        }
      }),
    );
  });
});
