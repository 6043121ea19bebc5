// What a client is told of each thing that goes wrong.
import { describe, expect, test } from 'vitest';
import { errorAnswer, isOurFault } from '../../src/http/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { DigestMismatchError, OciError, type OciErrorCode } from '../../src/oci/errors.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';

const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');

describe('an upstream that', () => {
  test.each<[string, UpstreamFailure, number, string, RegExp]>([
    ['cannot be reached', 'unreachable', 502, 'UNAVAILABLE', /try again later, or pull from the registry itself/],
    ['does not answer in time', 'timeout', 504, 'UNAVAILABLE', /try again later, or pull from the registry itself/],
    ['is over its limit, never as a 429', 'limited', 503, 'TOOMANYREQUESTS', /asks again as soon as it may/],
    ['denies', 'denied', 403, 'DENIED', /needs credentials that may see it/],
    ['fails', 'failing', 502, 'UNAVAILABLE', /try again later, or pull from the registry itself/],
    ['answers nonsense', 'protocol', 502, 'UNAVAILABLE', /tell whoever runs the mirror/],
    ['refuses our credentials', 'login', 503, 'UNAVAILABLE', /renew its credentials/],
    ['rests', 'away', 503, 'UNAVAILABLE', /asked again in a moment/],
    ['must not be asked', 'offline', 503, 'UNAVAILABLE', /pull from the registry itself/],
  ])('%s', (_what, failure, status, code, advice) => {
    const { body, ...answer } = errorAnswer(new UpstreamError(failure, 'what happened'), 'blob');
    expect(answer.status).toBe(status);
    expect(body).toEqual({ errors: [{ code, message: expect.stringMatching(/^what happened; /), detail: null }] });
    expect(body.errors[0]?.message).toMatch(advice);
  });

  test.each([
    ['manifest', 'MANIFEST_UNKNOWN'],
    ['referrers', 'MANIFEST_UNKNOWN'],
    ['blob', 'BLOB_UNKNOWN'],
    ['tags', 'NAME_UNKNOWN'],
    [undefined, 'NAME_UNKNOWN'],
  ] as const)('refuses a token we have, asked for a %s, says that it is unknown', (kind, code) => {
    const { status, body } = errorAnswer(new UpstreamError('unauthorized', 'what happened'), kind);
    expect([status, body.errors[0]?.code]).toEqual([404, code]);
  });
});

describe('a request that', () => {
  test.each<[OciErrorCode, number]>([
    ['BLOB_UNKNOWN', 404],
    ['MANIFEST_UNKNOWN', 404],
    ['NAME_UNKNOWN', 404],
    ['NAME_INVALID', 400],
    ['DIGEST_INVALID', 400],
    ['MANIFEST_INVALID', 400],
    ['DENIED', 403],
    ['UNAUTHORIZED', 401],
    ['UNSUPPORTED', 405],
    ['UNAVAILABLE', 503],
    ['TOOMANYREQUESTS', 503],
  ])('is %s has the status %i', (code, status) => {
    const error = new OciError(code, 'what happened', { detail: { digest: 'x' } });
    const expected = { code, message: 'what happened', detail: { digest: 'x' } };
    expect(errorAnswer(error)).toEqual({ status, body: { errors: [expected] } });
  });

  test('waited for longer than an answer may take is 504', () => {
    expect(errorAnswer(timeout)).toMatchObject({ status: 504, body: { errors: [{ code: 'UNAVAILABLE' }] } });
  });
});

test('a fault of our own is 500 and tells nothing of its inside', () => {
  const { status, body } = errorAnswer(new TypeError('secret path /var/lib'));
  expect(status).toBe(500);
  expect(JSON.stringify(body)).not.toContain('secret');
});

test('only a fault of our own is one for the log', () => {
  expect(isOurFault(new TypeError('broken'))).toBe(true);
  expect(isOurFault(new UpstreamError('failing', 'theirs'))).toBe(false);
  expect(isOurFault(new OciError('NAME_INVALID', 'the client’s'))).toBe(false);
  expect(isOurFault(timeout)).toBe(false);
});

test('content that is not what its digest says is a fault of the upstream’s', () => {
  const error = new DigestMismatchError(digestOf(new Uint8Array()), 'sha256:other');
  expect(errorAnswer(error)).toMatchObject({ status: 502, body: { errors: [{ code: 'UNAVAILABLE' }] } });
});
