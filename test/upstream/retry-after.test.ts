// Retry-After, as registries send it and as they should not.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { retryAfterMs } from '../../src/upstream/retry-after.ts';

function parsed(headers: Readonly<Record<string, string>>): number | undefined {
  return retryAfterMs({ header: (name) => headers[name] });
}

const date = 'Wed, 21 Oct 2026 07:28:00 GMT';

describe('the time to be left alone', () => {
  test.each([
    ['30', 30_000],
    [' 30 ', 30_000],
    ['1', 1000],
    // "Now" is no answer to too many requests.
    ['0', 1000],
    ['900', 900_000],
    ['901', 900_000],
    ['86400', 900_000],
  ])('is between a second and a quarter of an hour: %j', (text, ms) => {
    expect(parsed({ 'retry-after': text })).toBe(ms);
  });

  test.each([
    ['Wed, 21 Oct 2026 07:28:42 GMT', 42_000],
    ['Wed, 21 Oct 2026 07:27:00 GMT', 1000],
    ['Wed, 21 Oct 2027 07:28:00 GMT', 900_000],
  ])('may be a date, by the clock of the upstream: %s', (text, ms) => {
    expect(parsed({ 'retry-after': text, date })).toBe(ms);
  });

  test('may be a date without a clock to read it by', () => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString();
    const ms = parsed({ 'retry-after': inAMinute }) ?? 0;
    expect(ms).toBeGreaterThan(50_000);
    expect(ms).toBeLessThanOrEqual(60_000);
  });

  test.each([
    // Docker Hub's web API, docker/hub-feedback#2459.
    '1765432100',
    // ghcr.io.
    '880.092µs',
    '1m30s',
    '-5',
    '1.5',
    '1e3',
    '0x10',
    '',
    'soon',
    '2026-10-21T07:28:00Z',
    'Wed, 21 Oct 2026 07:28:00',
    'Wed, 99 Oct 2026 99:99:99 GMT',
    '9'.repeat(400),
  ])('is unknown where it makes no sense: %j', (text) => {
    expect(parsed({ 'retry-after': text, date })).toBeUndefined();
  });

  test('is unknown where nothing is said', () => {
    expect(parsed({})).toBeUndefined();
  });

  test('is never outside its bounds, whatever is said', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.nat().map(String), fc.date().map(String)), fc.string(), (text, now) => {
        const ms = parsed({ 'retry-after': text, date: now });
        if (ms !== undefined) expect(ms >= 1000 && ms <= 900_000).toBe(true);
      }),
    );
  });
});
