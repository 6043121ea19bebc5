// The plan of a fill: which part comes next, whatever the order in which parts arrive, break and are wanted.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstPart, Segments, segmentBytes } from '../../src/mirror/segments.ts';
import { Extents } from '../../src/store/extents.ts';
import type { Part } from '../../src/upstream/upstream.ts';

const MiB = 1024 * 1024;

describe('a segment', () => {
  test.each([
    ['of a small blob', 1, 8 * MiB],
    ['of a blob of half a gigabyte', 512 * MiB, 8 * MiB],
    ['of a blob of a gigabyte', 1024 * MiB, 16 * MiB],
    ['of a blob that does not divide', 1024 * MiB + 1, 16 * MiB + 1],
    ['of a huge blob', 2 ** 40, 64 * MiB],
  ])('%s is worth its round trip and never too large', (_what, size, bytes) => {
    expect(segmentBytes(size)).toBe(bytes);
  });
});

describe('the first request', () => {
  const size = 1024 * MiB;
  const unknown = { size: undefined, from: 0, claimed: undefined, parallel: 4 };
  const known = { ...unknown, size };

  test.each<[string, Parameters<typeof firstPart>[0], Part | undefined]>([
    ['a small blob', { ...known, size: 8 * MiB }, undefined],
    ['an empty blob', { ...known, size: 0 }, undefined],
    ['a blob one byte larger than a segment', { ...known, size: 8 * MiB + 1 }, { start: 0, end: 8 * MiB }],
    ['a large blob', known, { start: 0, end: 16 * MiB }],
    ['a blob of unknown length', unknown, { start: 0, end: 8 * MiB }],
    ['a blob of unknown length, one request at a time', { ...unknown, parallel: 1 }, undefined],
    ['a large blob, one request at a time', { ...known, parallel: 1 }, undefined],
  ])('for %s is its head, or all of it', (_what, about, part) => {
    expect(firstPart(about)).toEqual(part);
  });

  test.each<[string, Parameters<typeof firstPart>[0], Part]>([
    ['a far reader', { ...known, from: 900 * MiB }, { start: 900 * MiB, end: 916 * MiB }],
    ['a reader of the end', { ...known, from: size - 5 }, { start: size - 5, end: size }],
    ['a far reader, alone', { ...known, from: 900 * MiB, parallel: 1 }, { start: 900 * MiB, end: size }],
    ['a far reader of who knows what', { ...unknown, from: 900 * MiB }, { start: 900 * MiB, end: 908 * MiB }],
    ['a near reader', { ...known, from: MiB - 1 }, { start: 0, end: 16 * MiB }],
    ['a reader past the end', { ...known, from: size }, { start: 0, end: 16 * MiB }],
    ['what is left', { ...known, claimed: 100 * MiB }, { start: 100 * MiB, end: 116 * MiB }],
    ['the last of what is left', { ...known, claimed: size - 1 }, { start: size - 1, end: size }],
    ['a small blob of which some is left', { ...known, size: 500, claimed: 100 }, { start: 100, end: 500 }],
    ['what is left, alone', { ...known, claimed: 100, parallel: 1 }, { start: 100, end: size }],
    [
      'a reader of what is left',
      { ...known, claimed: 100 * MiB, from: 50 * MiB },
      { start: 100 * MiB, end: 116 * MiB },
    ],
    ['a reader behind what is left', { ...known, claimed: MiB, from: 2 * MiB }, { start: 2 * MiB, end: 18 * MiB }],
  ])('for %s begins where bytes are needed', (_what, about, part) => {
    expect(firstPart(about)).toEqual(part);
  });
});

describe('the plan', () => {
  test('goes from the first byte on, a segment at a time, to the last byte', () => {
    const plan = new Segments(25, 10);
    expect([1, 2, 3, 4].map(() => plan.take(new Extents(), []))).toEqual([
      { start: 0, end: 10 },
      { start: 10, end: 20 },
      { start: 20, end: 25 },
      undefined,
    ]);
  });

  test('of an empty blob is empty', () => {
    expect(new Segments(0, 10).take(new Extents(), [0])).toBeUndefined();
  });

  test('begins where a reader waits, and ends where something is already', () => {
    const plan = new Segments(100, 10);
    const written = extentsOf([55, 60]);
    plan.reserve(72, 80);
    expect(plan.take(written, [52])).toEqual({ start: 52, end: 55 });
    expect(plan.take(written, [56, 65])).toEqual({ start: 65, end: 72 });
    expect(plan.take(written, [57, 75])).toEqual({ start: 0, end: 10 });
  });

  test('asks again for what a part that ended has not brought', () => {
    const plan = new Segments(30, 10);
    const written = new Extents();
    const part = plan.take(written, []) as Part;
    written.add(0, 4);
    expect(plan.isMissing(written, 4)).toBe(false);
    plan.settle(part);
    expect(plan.isMissing(written, 4)).toBe(true);
    expect(plan.take(written, [])).toEqual({ start: 4, end: 14 });
  });

  test('never asks past the end, whatever is wanted there', () => {
    const plan = new Segments(30, 10);
    expect(plan.isMissing(new Extents(), 30)).toBe(false);
    expect(plan.take(new Extents(), [30, 99, 25])).toEqual({ start: 25, end: 30 });
  });
});

describe('whatever happens', () => {
  const size = 60;
  const segment = 9;
  const step = fc.oneof(
    fc.record({ do: fc.constant('take' as const), wanted: fc.array(fc.nat({ max: size + 5 }), { maxLength: 3 }) }),
    // Which of the parts in flight, and how much of it.
    fc.record({ do: fc.constantFrom('write', 'settle', 'finish'), which: fc.nat(), bytes: fc.nat({ max: segment }) }),
  );

  /** The part and how far it has come. */
  type Flight = { readonly part: Part; at: number };

  test('no byte is asked for while it is written or under way, what is wanted comes first, and all comes at last', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const plan = new Segments(size, segment);
        const written = new Extents();
        const flights: Flight[] = [];
        const bytes = new Set<number>();
        const isFree = (byte: number) =>
          !bytes.has(byte) && !flights.some(({ part }) => part.start <= byte && byte < part.end);
        const take = (wanted: readonly number[]): Part | undefined => {
          const part = plan.take(written, wanted);
          const firstWanted = wanted.find((byte) => byte < size && isFree(byte));
          const first = firstWanted ?? Array.from({ length: size }, (_, byte) => byte).find(isFree);
          expect(part?.start).toBe(first);
          if (!part) return undefined;
          expect(part.end).toBeGreaterThan(part.start);
          expect(part.end).toBeLessThanOrEqual(Math.min(size, part.start + segment));
          for (let byte = part.start; byte < part.end; byte++) expect(isFree(byte)).toBe(true);
          flights.push({ part, at: part.start });
          return part;
        };
        const write = (flight: Flight, end: number) => {
          for (let byte = flight.at; byte < end; byte++) bytes.add(byte);
          written.add(flight.at, end);
          flight.at = Math.max(flight.at, end);
        };
        const settle = (flight: Flight) => {
          plan.settle(flight.part);
          flights.splice(flights.indexOf(flight), 1);
        };

        for (const next of steps) {
          if ('wanted' in next) take(next.wanted);
          else {
            const flight = flights[next.which % Math.max(1, flights.length)];
            if (!flight) continue;
            if (next.do !== 'settle')
              write(flight, next.do === 'finish' ? flight.part.end : Math.min(flight.part.end, flight.at + next.bytes));
            if (next.do !== 'write') settle(flight);
          }
        }
        while (flights[0] ?? take([])) {
          const [flight] = flights as [Flight];
          write(flight, flight.part.end);
          settle(flight);
        }
        expect(written.endFrom(0)).toBe(size);
      }),
      { numRuns: 1000 },
    );
  });

  test('the rest is everything from the first byte that is neither written nor under way, and then under way', () => {
    const range = fc
      .tuple(fc.nat({ max: size }), fc.nat({ max: size }))
      .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const);
    const ranges = fc.array(range, { maxLength: 6 });
    fc.assert(
      fc.property(ranges, ranges, (here, underWay) => {
        const plan = new Segments(size, segment);
        const written = extentsOf(...here);
        for (const [start, end] of underWay) plan.reserve(start, end);
        const isFree = (byte: number) => ![...here, ...underWay].some(([start, end]) => start <= byte && byte < end);
        const first = Array.from({ length: size }, (_, byte) => byte).find(isFree);
        const rest = plan.takeRest(written);
        expect(rest).toEqual(first === undefined ? undefined : { start: first, end: size });
        expect(plan.takeRest(written)).toBeUndefined();
        expect(plan.take(written, [])).toBeUndefined();
        if (!rest) return;
        plan.settle(rest);
        expect(plan.takeRest(written)).toEqual(rest);
      }),
      { numRuns: 1000 },
    );
  });

  test('every byte is asked for exactly once when nothing breaks', () => {
    const order = fc.array(fc.tuple(fc.nat(), fc.nat({ max: size })), { minLength: size, maxLength: size });
    fc.assert(
      fc.property(order, fc.integer({ min: 1, max: size }), (choices, segmentSize) => {
        const plan = new Segments(size, segmentSize);
        const written = new Extents();
        const flights: Part[] = [];
        let asked = 0;
        for (const [which, wanted] of choices) {
          const part = plan.take(written, [wanted]);
          if (part) flights.push(part);
          asked += part ? part.end - part.start : 0;
          const [done] = which % 3 === 0 ? flights.splice(which % Math.max(1, flights.length), 1) : [];
          if (!done) continue;
          written.add(done.start, done.end);
          plan.settle(done);
        }
        for (let part = plan.take(written, []); part; part = plan.take(written, [])) asked += part.end - part.start;
        expect(asked).toBe(size);
      }),
    );
  });
});

function extentsOf(...ranges: readonly (readonly [number, number])[]): Extents {
  const extents = new Extents();
  for (const [start, end] of ranges) extents.add(start, end);
  return extents;
}
