// The Range header: what one range means, and everything that must be treated as if it were not there.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRange, wantedRange } from '../../src/oci/byte-range.ts';

const huge = '9'.repeat(400);

describe('a single range of 1500 bytes', () => {
  test.each([
    ['bytes=0-', { start: 0, end: 1499 }],
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=500-1499', { start: 500, end: 1499 }],
    ['bytes=500-', { start: 500, end: 1499 }],
    ['bytes=1499-', { start: 1499, end: 1499 }],
    ['bytes=-500', { start: 1000, end: 1499 }],
    ['bytes=-1', { start: 1499, end: 1499 }],
    ['bytes=007-008', { start: 7, end: 8 }],
    ['Bytes=0-1', { start: 0, end: 1 }],
  ])('reads %s', (header, range) => {
    expect(parseRange(header, 1500)).toEqual(range);
  });

  test.each([
    ['bytes=1000-5000', { start: 1000, end: 1499 }],
    ['bytes=1000-1500', { start: 1000, end: 1499 }],
    [`bytes=7-${huge}`, { start: 7, end: 1499 }],
    ['bytes=-5000', { start: 0, end: 1499 }],
    [`bytes=-${huge}`, { start: 0, end: 1499 }],
  ])('clamps %s to what there is', (header, range) => {
    expect(parseRange(header, 1500)).toEqual(range);
  });

  test.each([
    'bytes=1500-',
    'bytes=1500-1500',
    'bytes=5000-10000',
    'bytes=-0',
    `bytes=${huge}-`,
    `bytes=${huge}-${huge}`,
    'bytes=9007199254740993-9007199254740993',
  ])('cannot satisfy %s', (header) => {
    expect(parseRange(header, 1500)).toBe('unsatisfiable');
  });

  test.each([undefined, '', 'bytes', 'bytes=', 'bytes=-', 'bytes=500-0', 'bytes=a-b', 'bytes=1', 'bytes=--1'])(
    'ignores %j, which names no range',
    (header) => {
      expect(parseRange(header, 1500)).toBeUndefined();
    },
  );

  test.each(['bytes=+1-2', 'bytes=1.5-2', 'bytes=0x1-2', 'bytes=1e2-', 'bytes=1-2;', 'bytes=1-2\n3-4', 'bytes=١-٢'])(
    'ignores %j, whose numbers are not decimal digits',
    (header) => {
      expect(parseRange(header, 1500)).toBeUndefined();
    },
  );

  test.each(['items=0-1', ' bytes=0-1', 'xbytes=0-1'])('ignores %j, another unit', (header) => {
    expect(parseRange(header, 1500)).toBeUndefined();
  });

  test.each(['bytes=0-1,4-5', 'bytes=0-1, 4-5', 'bytes=0-1,', 'bytes=,0-1', 'bytes=-1,-2'])(
    'ignores %j: several ranges in one part would corrupt a zstd:chunked pull',
    (header) => {
      expect(parseRange(header, 1500)).toBeUndefined();
    },
  );
});

describe('a range of nothing', () => {
  test.each(['bytes=0-', 'bytes=0-0', 'bytes=-1'])('cannot satisfy %s', (header) => {
    expect(parseRange(header, 0)).toBe('unsatisfiable');
  });
});

describe('any range', () => {
  const sizes = fc.nat({ max: 2 ** 45 });
  const offsets = fc.oneof(fc.nat({ max: 3000 }), fc.nat({ max: 2 ** 46 }));

  test('from start to end is the intersection of what was asked and what there is', () => {
    fc.assert(
      fc.property(sizes, offsets, offsets, (size, start, end) => {
        const range = parseRange(`bytes=${start}-${end}`, size);
        if (end < start) return range === undefined;
        if (start >= size) return range === 'unsatisfiable';
        expect(range).toEqual({ start, end: Math.min(end, size - 1) });
        return true;
      }),
    );
  });

  test('with an open end goes to the last byte', () => {
    fc.assert(
      fc.property(sizes, offsets, (size, start) => {
        expect(parseRange(`bytes=${start}-`, size)).toEqual(start < size ? { start, end: size - 1 } : 'unsatisfiable');
      }),
    );
  });

  test('that is a suffix ends at the last byte', () => {
    fc.assert(
      fc.property(sizes, offsets, (size, length) => {
        expect(parseRange(`bytes=-${length}`, size)).toEqual(
          size > 0 && length > 0 ? { start: Math.max(0, size - length), end: size - 1 } : 'unsatisfiable',
        );
      }),
    );
  });

  test('lies inside the content, whatever the header holds', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.string().map((text) => `bytes=${text}`),
      fc.stringMatching(/^bytes=[\d\s,-]*$/),
    );
    fc.assert(
      fc.property(headers, fc.nat({ max: 5000 }), (header, size) => {
        const range = parseRange(header, size);
        if (range === undefined || range === 'unsatisfiable') return true;
        return (
          Number.isSafeInteger(range.start) &&
          Number.isSafeInteger(range.end) &&
          0 <= range.start &&
          range.start <= range.end &&
          range.end < size
        );
      }),
    );
  });
});

describe('what is wanted of a blob whose size nobody knows', () => {
  test.each([
    ['bytes=0-', { start: 0, end: undefined }],
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=500-1499', { start: 500, end: 1500 }],
    ['bytes=500-', { start: 500, end: undefined }],
    ['Bytes=7-7', { start: 7, end: 8 }],
    [`bytes=7-${huge}`, { start: 7, end: undefined }],
  ])('is what %s says', (header, wanted) => {
    expect(wantedRange(header)).toEqual(wanted);
  });

  test.each([
    undefined,
    '',
    'bytes=-500',
    'bytes=-',
    'bytes=500-0',
    `bytes=${huge}-`,
    'bytes=9007199254740993-',
    'bytes=0-1,4-5',
    'items=5-6',
    'bytes=a-b',
  ])('is all of it for %j', (header) => {
    expect(wantedRange(header)).toEqual({ start: 0, end: undefined });
  });

  test('holds all that is sent, whatever the size turns out to be', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.stringMatching(/^bytes=\d{0,6}-\d{0,6}$/),
      fc.stringMatching(/^bytes=[\d\s,-]*$/),
    );
    fc.assert(
      fc.property(headers, fc.nat({ max: 2_000_000 }), (header, size) => {
        const range = parseRange(header, size);
        const wanted = wantedRange(header);
        expect(wanted.start).toBeGreaterThanOrEqual(0);
        if (range === 'unsatisfiable') return;
        const { start, end } = range ?? { start: 0, end: size - 1 };
        expect(wanted.start).toBeLessThanOrEqual(start);
        expect(wanted.end ?? Infinity).toBeGreaterThan(end);
      }),
    );
  });
});
