// Sizes and durations, read and written.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBytes,
  formatDuration,
  formatSize,
  parseBytes,
  parseDuration,
  parseSize,
} from '../../src/config/units.ts';

const amounts = fc.nat({ max: Number.MAX_SAFE_INTEGER });

describe('sizes', () => {
  test.each([
    ['50GiB', { bytes: 50 * 1024 ** 3 }],
    ['500MB', { bytes: 500_000_000 }],
    ['500 MB', { bytes: 500_000_000 }],
    ['1.5KiB', { bytes: 1536 }],
    ['7B', { bytes: 7 }],
    [1048576, { bytes: 1048576 }],
    [0, { bytes: 0 }],
    ['80%', { share: 0.8 }],
    ['0.5%', { share: 0.005 }],
    ['100%', { share: 1 }],
  ])('reads %j', (value, size) => {
    expect(parseSize(value)).toEqual(size);
  });

  test.each(['', '50', '50G', '50gib', 'GiB', '-1GiB', '0%', '101%', '1e3B', '1 000B', '50GiB ', '1constructor'])(
    'refuses %j',
    (value) => {
      expect(parseSize(value)).toBeUndefined();
    },
  );

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses the number %d', (value) => {
    expect(parseSize(value)).toBeUndefined();
  });

  test('refuses a share where only bytes make sense', () => {
    expect(parseBytes('80%')).toBeUndefined();
  });

  test('reads back whatever number of bytes it writes', () => {
    fc.assert(fc.property(amounts, (bytes) => parseBytes(formatBytes(bytes)) === bytes));
  });

  test('reads back whatever share it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (hundredths) => {
        const size = parseSize(`${hundredths / 100}%`);
        expect(size && parseSize(formatSize(size))).toEqual(size);
      }),
    );
  });
});

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['10m', 600_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
    [1234, 1234],
  ])('reads %j', (value, ms) => {
    expect(parseDuration(value)).toBe(ms);
  });

  test.each(['', '10', '10min', '1h30m', '-1s', 'forever', -1, 0.5])('refuses %j', (value) => {
    expect(parseDuration(value)).toBeUndefined();
  });

  test('reads back whatever it writes', () => {
    fc.assert(fc.property(amounts, (ms) => parseDuration(formatDuration(ms)) === ms));
  });

  test('writes the largest unit that is exact', () => {
    expect([300_000, 2_592_000_000, 1500, 0].map(formatDuration)).toEqual(['5m', '30d', '1500ms', '0s']);
    expect([2 * 1024 ** 3, 500_000_000, 1, 0].map(formatBytes)).toEqual(['2GiB', '500MB', '1B', 0]);
  });
});
