// Entity tags and outcomes as headers.
import { describe, expect, test } from 'vitest';
import { matchesEtag, outcomeHeaders } from '../../src/http/exchange.ts';

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
