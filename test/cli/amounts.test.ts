// Amounts as people read them.
import { describe, expect, test } from 'vitest';
import {
  bar,
  counted,
  percent,
  printable,
  shortBytes,
  shortDigest,
  shortRate,
  shortTime,
} from '../../src/cli/amounts.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [9994, '9.99 kB'],
  [9995, '10.0 kB'],
  [99_940, '99.9 kB'],
  [99_950, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [1_234_567_890, '1.23 GB'],
  [5e18, '5000 PB'],
])('%d bytes are %s', (bytes, text) => {
  expect(shortBytes(bytes)).toBe(text);
});

test.each([
  [-5, '0.0 s'],
  [1500, '1.5 s'],
  [12_000, '12 s'],
  [100_000, '2 min'],
  [7_200_000, '2 h'],
  [259_200_000, '3 d'],
])('%d ms are %s', (ms, text) => {
  expect(shortTime(ms)).toBe(text);
});

test.each([
  [0, '0 %'],
  [0.012, '1.2 %'],
  [0.5, '50 %'],
  [1, '100 %'],
])('%d is %s', (share, text) => {
  expect(percent(share)).toBe(text);
});

describe('a bar', () => {
  test.each([
    [0, 10, '[     ]'],
    [1, 10, '[>    ]'],
    [5, 10, '[==>  ]'],
    [10, 10, '[=====]'],
    [20, 10, '[=====]'],
    [5, 0, '[     ]'],
  ])('of %d of %d is %s', (part, whole, text) => {
    expect(bar(part, whole, 5)).toBe(text);
  });
});

test('one is one, and others are more', () => {
  expect([0, 1, 2].map((count) => counted(count, 'image'))).toEqual(['0 images', '1 image', '2 images']);
});

test('a rate is bytes a second, a digest its first twelve figures', () => {
  expect(shortRate(2_000_000)).toBe('2.00 MB/s');
  expect(shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`)).toBe('0123456789ab');
});

test('nothing that a terminal would obey is printed', () => {
  expect(printable('a\u001b[31mb\nc\u202ed\u2028e')).toBe('a?[31mb?c?d?e');
});
