// When a transfer that broke is tried again, and when it is given up.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Attempts } from '../../src/mirror/attempts.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';

function failure(failure: UpstreamFailure, retryAfterMs?: number): UpstreamError {
  return new UpstreamError(failure, 'it failed', retryAfterMs === undefined ? {} : { retryAfterMs });
}

/** The pauses before each attempt, until it is given up or `most` were made. */
function pauses(error: unknown, gained = 0, most = 1000): number[] {
  const attempts = new Attempts();
  const made: number[] = [];
  for (let pause = attempts.pauseMs(gained, error); pause !== undefined && made.length < most; ) {
    made.push(pause);
    pause = attempts.pauseMs(gained, error);
  }
  return made;
}

describe('an upstream that says when to come back', () => {
  test.each<UpstreamFailure>(['away', 'limited'])('(%s) is given that time, and a little by chance', (word) => {
    const made = pauses(failure(word, 4000));
    expect(made).toHaveLength(8);
    for (const pause of made) expect(pause >= 4000 && pause <= 5000).toBe(true);
  });

  test('is not waited for again once 30 s have passed without a new byte', () => {
    expect(pauses(failure('limited', 30_000))).toHaveLength(1);
    expect(pauses(failure('limited', 30_001))).toHaveLength(0);
    expect(pauses(failure('away', 11_000))).toHaveLength(3);
  });

  test('is waited for as long as a circuit takes to ask a third time: an outage of half a minute is survived', () => {
    const attempts = new Attempts();
    const made = [5000, 10_000, 20_000, 40_000].map((rest) => attempts.pauseMs(0, failure('away', rest)));
    expect(made.map((pause) => pause !== undefined)).toEqual([true, true, true, false]);
    expect(made[2]).toBeGreaterThanOrEqual(20_000);
  });

  test('is waited for anew after a new byte', () => {
    const attempts = new Attempts();
    for (let round = 0; round < 10; round++)
      expect(attempts.pauseMs(1, failure('limited', 20_000))).toBeGreaterThanOrEqual(20_000);
    expect(attempts.pauseMs(0, failure('limited', 20_000))).toBeGreaterThanOrEqual(20_000);
    expect(attempts.pauseMs(0, failure('limited', 20_000))).toBeUndefined();
  });

  test('now is not asked in a circle', () => {
    expect(pauses(failure('away', 0)).every((pause) => pause >= 200)).toBe(true);
    expect(pauses(failure('away', 0))).toHaveLength(150);
  });

  test('does not use up the attempts of one that fails', () => {
    const attempts = new Attempts();
    for (let number = 0; number < 4; number++) expect(attempts.pauseMs(0, failure('unreachable'))).toBeDefined();
    for (let number = 0; number < 4; number++) expect(attempts.pauseMs(0, failure('away', 1000))).toBeDefined();
    expect(attempts.pauseMs(0, failure('unreachable'))).toBeUndefined();
  });
});

describe('an upstream that does not', () => {
  test.each<UpstreamFailure>(['unreachable', 'failing', 'limited', 'away'])(
    '(%s) is tried five times in all, ever later',
    (word) => {
      const made = pauses(failure(word));
      expect(made).toHaveLength(4);
      for (const [index, pause] of made.entries())
        expect(pause >= 100 * 2 ** index && pause <= 200 * 2 ** index).toBe(true);
    },
  );

  test('say anything is tried three times: each was a long wait', () => {
    expect(pauses(failure('timeout'))).toHaveLength(2);
  });

  test('is tried again at once after much, and fifty times in all after little', () => {
    expect(pauses(failure('unreachable'), 64 * 1024)).toEqual(Array.from({ length: 1000 }, () => 0));
    expect(pauses(failure('unreachable'), 64 * 1024 - 1)).toHaveLength(49);
  });
});

test.each<UpstreamFailure>(['login', 'offline', 'denied', 'unauthorized', 'protocol'])(
  'a failure that another attempt cannot mend (%s) ends it',
  (word) => {
    expect(pauses(failure(word, 1000), 100_000)).toEqual([]);
  },
);

test('whatever happens, attempts without a new byte end', () => {
  const errors = fc.constantFrom(failure('away', 1), failure('limited', 5000), failure('timeout'), failure('failing'));
  fc.assert(
    fc.property(fc.infiniteStream(errors), (stream) => {
      const attempts = new Attempts();
      let [count, total] = [0, 0];
      for (const error of stream) {
        const pause = attempts.pauseMs(0, error);
        if (pause === undefined) break;
        total += pause;
        expect(++count).toBeLessThan(160);
      }
      expect(total).toBeLessThan(45_000);
    }),
  );
});

test('what is no failure of an upstream is none that another attempt mends', () => {
  expect(pauses(new Error('a bug'))).toEqual([]);
  expect(pauses(undefined)).toEqual([]);
});
