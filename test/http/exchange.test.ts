// Entity tags and outcomes as headers, and how long a request waits for an upstream.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { beforeAnswer, type Exchange, matchesEtag, outcomeHeaders } from '../../src/http/exchange.ts';
import type { Source } from '../../src/upstream/upstreams.ts';

const digest = `sha256:${'ab'.repeat(32)}`;
const other = `sha256:${'cd'.repeat(32)}`;

describe('If-None-Match', () => {
  test.each([
    ['quoted', `"${digest}"`],
    ['bare', digest],
    ['weak', `W/"${digest}"`],
    ['among others', `"${other}", "${digest}"`],
    ['with spaces around', `  "${digest}"  `],
    ['of anything', '*'],
  ])('%s matches', (_what, header) => {
    expect(matchesEtag(header, digest)).toBe(true);
  });

  test.each([
    ['absent', undefined],
    ['empty', ''],
    ['another', `"${other}"`],
    ['a part of it', `"${digest.slice(0, -1)}"`],
    ['more than it', `"${digest}0"`],
    ['without its algorithm', `"${digest.slice(7)}"`],
  ])('%s does not match', (_what, header) => {
    expect(matchesEtag(header, digest)).toBe(false);
  });
});

describe('Cache-Status', () => {
  test.each([
    ['hit', 'stillwater; hit'],
    ['miss', 'stillwater; fwd=uri-miss; stored'],
    ['joined', 'stillwater; fwd=uri-miss; collapsed'],
    ['revalidated', 'stillwater; hit; fwd=stale; fwd-status=200'],
  ] as const)('of a %s', (outcome, expected) => {
    expect(outcomeHeaders(outcome)).toEqual({ 'cache-status': expected });
  });

  test('of a stale answer comes with a warning', () => {
    expect(outcomeHeaders('stale')).toEqual({
      'cache-status': 'stillwater; hit; detail=stale-if-error',
      warning: '110 - "Response is Stale"',
    });
  });
});

describe('what a request waits for', () => {
  const source = { upstream: { answerTimeoutMs: 10_000 } } as Source;

  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  function exchange(): Exchange {
    const variables = new Map<string, unknown>([['clientGone', new AbortController().signal]]);
    const stand = {
      get: (key: string) => variables.get(key),
      set: (key: string, value: unknown) => variables.set(key, value),
    };
    return stand as unknown as Exchange;
  }

  /** Resolves to how long it took until the signal fired. */
  async function hang(on: Exchange): Promise<number> {
    const startedAt = performance.now();
    const waiting = beforeAnswer(
      on,
      source,
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    const ended = expect(waiting).rejects.toThrow('did not answer in time');
    await vi.runAllTimersAsync();
    await ended;
    return performance.now() - startedAt;
  }

  test('ends when the upstream has had its time', async () => {
    expect(await hang(exchange())).toBe(10_000);
  });

  test('is one time for all that it asks', async () => {
    const one = exchange();
    const answered = beforeAnswer(one, source, () => new Promise((resolve) => setTimeout(resolve, 8000)));
    await vi.advanceTimersByTimeAsync(8000);
    await answered;
    expect(await hang(one)).toBe(2000);
    expect(await hang(one)).toBe(200);
  });
});
