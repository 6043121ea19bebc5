// What a registry gives to one login: read from its answers, and lived by.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Limits, parseQuota, type QuestionKind } from '../../src/upstream/rate-limit.ts';

function scene() {
  let now = 5_000_000;
  const limits = new Limits({ credential: '1', now: () => now });
  return {
    limits,
    pass: (ms: number) => {
      now += ms;
    },
    /** Asks; what it returns is called with the answer. */
    ask(kind: QuestionKind) {
      const turn = limits.enter(kind);
      if (!turn) throw new Error('it rests');
      return (status: number, headers: Readonly<Record<string, string>> = {}) =>
        turn.heard({ status, header: (name) => headers[name] });
    },
    answer(kind: QuestionKind, status: number, headers?: Readonly<Record<string, string>>) {
      this.ask(kind)(status, headers);
    },
  };
}

const quota = (remaining: number, limit = 100) => ({
  'ratelimit-limit': `${limit};w=21600`,
  'ratelimit-remaining': `${remaining};w=21600`,
});

describe('a pull limit', () => {
  test('is unknown until it is told', () => {
    const { limits } = scene();
    expect([limits.limit, limits.remaining]).toEqual([undefined, undefined]);
    expect(limits.status()).toEqual({
      credential: '1',
      limit: undefined,
      remaining: undefined,
      windowSeconds: undefined,
      retryInMs: undefined,
    });
  });

  test('is what the last answer said, a HEAD as well', () => {
    const at = scene();
    at.answer('pull', 200, quota(97));
    at.answer('other', 200, quota(96));
    expect(at.limits.status()).toMatchObject({ limit: 100, remaining: 96, windowSeconds: 21_600 });
  });

  test('stays what it was where an answer says nothing', () => {
    const at = scene();
    at.answer('pull', 200, quota(97));
    at.answer('other', 200);
    expect(at.limits.remaining).toBe(97);
  });

  test('is unknown again when its window is over', () => {
    const at = scene();
    at.answer('pull', 200, quota(97));
    at.pass(21_600_000);
    expect(at.limits.remaining).toBe(97);
    at.pass(1);
    expect([at.limits.remaining, at.limits.limit]).toEqual([undefined, undefined]);
  });

  test('that is used up rests pulls, before one is refused', () => {
    const at = scene();
    at.answer('pull', 200, quota(0));
    expect([at.limits.mayAsk('pull'), at.limits.mayAsk('other')]).toEqual([false, true]);
    expect(at.limits.enter('pull')).toBeUndefined();
    expect(at.limits.retryInMs('pull')).toBeLessThanOrEqual(60_000);
    expect(at.limits.retryInMs('other')).toBeUndefined();
  });

  test('that a HEAD finds filled again lets pulls go on', () => {
    const at = scene();
    at.answer('pull', 200, quota(0));
    at.answer('other', 200, quota(0));
    expect(at.limits.mayAsk('pull')).toBe(false);
    at.answer('other', 200, quota(100));
    expect(at.limits.mayAsk('pull')).toBe(true);
  });

  test.each([
    ['0;w=1', 1000],
    ['0;w=30', 30_000],
    ['0;w=0', 1000],
  ])('of a window shorter than a minute rests no longer than that: %s', (remaining, restMs) => {
    const at = scene();
    const spent = { 'ratelimit-limit': '10', 'ratelimit-remaining': remaining };
    for (const status of [200, 200, 429, 429, 200]) {
      at.answer('pull', status, spent);
      expect([status, at.limits.mayAsk('pull'), at.limits.retryInMs('pull')]).toEqual([status, false, restMs]);
      at.pass(restMs);
    }
    at.answer('pull', 200, { 'ratelimit-remaining': '9;w=1' });
    expect(at.limits.retryInMs('pull')).toBeUndefined();
  });

  test('that a HEAD found filled rests again when a pull that was on its way is refused', () => {
    const at = scene();
    const late = at.ask('pull');
    at.answer('pull', 200, quota(0));
    at.answer('other', 200, quota(1));
    late(429, { 'retry-after': '300' });
    expect(at.limits.retryInMs('pull')).toBe(300_000);
  });

  test('that was refused in spite of what is left rests nevertheless', () => {
    const at = scene();
    at.answer('pull', 429, { 'retry-after': '300' });
    at.answer('other', 200, quota(50));
    expect(at.limits.mayAsk('pull')).toBe(false);
    expect(at.limits.retryInMs('pull')).toBe(300_000);
  });
});

describe('a refusal with 429', () => {
  test('of a pull leaves everything else alone', () => {
    const at = scene();
    at.answer('pull', 429, { 'retry-after': '30' });
    expect([at.limits.mayAsk('pull'), at.limits.mayAsk('other')]).toEqual([false, true]);
    expect(at.limits.retryInMs('pull')).toBe(30_000);
  });

  test('of anything else rests everything', () => {
    const at = scene();
    at.answer('other', 429, { 'retry-after': '30' });
    expect([at.limits.mayAsk('pull'), at.limits.mayAsk('other')]).toEqual([false, false]);
    at.pass(30_000);
    expect([at.limits.mayAsk('pull'), at.limits.mayAsk('other')]).toEqual([true, true]);
  });

  test.each([
    ['a minute for pulls', 'pull', [60, 120, 240, 480, 900, 900]],
    ['two seconds for everything', 'other', [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]],
  ] as const)('that does not say for how long means %s, and twice as long each time it goes on', (_, kind, rests) => {
    const at = scene();
    for (const seconds of rests) {
      at.answer(kind, 429, { 'retry-after': '880.092\u00b5s' });
      const restMs = at.limits.retryInMs(kind) ?? 0;
      expect(restMs).toBeGreaterThanOrEqual(seconds * 800);
      expect(restMs).toBeLessThanOrEqual(seconds * 1000);
      at.pass(restMs);
    }
    at.answer(kind, 200);
    at.answer(kind, 429);
    expect(at.limits.retryInMs(kind)).toBeLessThanOrEqual(rests[0] * 1000);
  });

  test.each([
    ['pull', 60_000],
    ['other', 2000],
  ] as const)('is one, however many of a kind are refused side by side: %s', (kind, restMs) => {
    const at = scene();
    const answers = Array.from({ length: 12 }, () => at.ask(kind));
    for (const answer of answers) answer(429);
    expect(at.limits.retryInMs(kind)).toBeGreaterThanOrEqual(restMs * 0.8);
    expect(at.limits.retryInMs(kind)).toBeLessThanOrEqual(restMs);
    at.pass(restMs);
    at.answer(kind, 429);
    expect(at.limits.retryInMs(kind)).toBeGreaterThanOrEqual(2 * restMs * 0.8);
    expect(at.limits.retryInMs(kind)).toBeLessThanOrEqual(2 * restMs);
  });

  test('rests for the longest time that was asked for side by side', () => {
    const at = scene();
    const [first, second, third] = [at.ask('other'), at.ask('other'), at.ask('other')];
    first(429, { 'retry-after': '5' });
    second(429, { 'retry-after': '30' });
    third(429);
    expect(at.limits.retryInMs('other')).toBe(30_000);
  });

  test('that comes late changes nothing about the one question that finds out', () => {
    const at = scene();
    const [first, second, third] = [at.ask('other'), at.ask('other'), at.ask('other')];
    first(429);
    at.pass(2000);
    const probe = at.ask('other');
    second(429);
    expect(at.limits.enter('other')).toBeUndefined();
    probe(429);
    expect(at.limits.retryInMs('other')).toBeGreaterThanOrEqual(3200);
    at.pass(4000);
    const next = at.ask('other');
    third(429);
    next(200);
    expect(at.limits.retryInMs('other')).toBeUndefined();
  });

  test('is followed by one question at a time until one is answered', () => {
    const at = scene();
    at.answer('pull', 429, { 'retry-after': '1' });
    at.pass(1000);
    const probe = at.limits.enter('pull');
    expect(probe).toBeDefined();
    expect(at.limits.enter('pull')).toBeUndefined();
    probe?.released();
    at.answer('pull', 200);
    expect([at.limits.enter('pull'), at.limits.enter('pull')]).not.toContain(undefined);
  });

  test('is not undone by an answer that was on its way', () => {
    const at = scene();
    const before = at.limits.enter('pull');
    at.answer('pull', 429, { 'retry-after': '60' });
    before?.heard({ status: 200, header: () => undefined });
    expect(at.limits.mayAsk('pull')).toBe(false);
  });
});

describe('a quota', () => {
  test.each([
    ['100;w=21600', { count: 100, windowSeconds: 21_600 }],
    [' 7 ; w=60 ', { count: 7, windowSeconds: 60 }],
    ['0;w=21600', { count: 0, windowSeconds: 21_600 }],
    ['5000', { count: 5000, windowSeconds: undefined }],
  ])('is %j', (text, expected) => {
    expect(parseQuota(text)).toEqual(expected);
  });

  test.each([undefined, '', 'unlimited', '-1', '1.5', '1e9', '100;w=', '100, 200', '9'.repeat(30)])(
    'is none: %j',
    (text) => {
      expect(parseQuota(text)).toBeUndefined();
    },
  );

  test('is a number that can be counted with, whatever is said', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseQuota(text);
        expect(parsed === undefined || Number.isSafeInteger(parsed.count)).toBe(true);
      }),
    );
  });
});
