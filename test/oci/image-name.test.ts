// Images as people write them, and what is none.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { OciError } from '../../src/oci/errors.ts';
import { formatImage, parseImageName, parsePartialImageName, splitImageGlob } from '../../src/oci/image-name.ts';

const digest = digestOf(Buffer.from('an image'));

function refusal(text: string): OciError {
  try {
    parseImageName(text);
  } catch (error) {
    if (error instanceof OciError) return error;
    throw error;
  }
  throw new Error(`it was taken for an image: ${text}`);
}

describe('an image', () => {
  test.each([
    ['redis', 'redis', { tag: 'latest' }],
    ['redis:7.4-alpine', 'redis', { tag: '7.4-alpine' }],
    ['library/redis:7', 'library/redis', { tag: '7' }],
    ['ghcr.io/acme/app', 'ghcr.io/acme/app', { tag: 'latest' }],
    ['localhost:5000/app', 'localhost:5000/app', { tag: 'latest' }],
    ['localhost:5000/app:1', 'localhost:5000/app', { tag: '1' }],
    ['[::1]:5000/app:1', '[::1]:5000/app', { tag: '1' }],
    [`redis@${digest}`, 'redis', { digest }],
    [`localhost:5000/app@${digest}`, 'localhost:5000/app', { digest }],
    [`redis:7@${digest}`, 'redis', { digest }],
  ])('%s is %s', (text, name, reference) => {
    expect(parseImageName(text)).toEqual({ name, reference });
  });

  test('without a tag or digest may mean all of its repository', () => {
    expect(parsePartialImageName('localhost:5000/app')).toEqual({ name: 'localhost:5000/app', reference: undefined });
    expect(parsePartialImageName('redis:7').reference).toEqual({ tag: '7' });
    expect(parsePartialImageName(`redis@${digest}`).reference).toEqual({ digest });
  });

  test.each([
    ['', 'NAME_INVALID'],
    [':7', 'NAME_INVALID'],
    [`@${digest}`, 'NAME_INVALID'],
    ['redis:', 'NAME_INVALID'],
    ['redis:.7', 'NAME_INVALID'],
    ['redis:a b', 'NAME_INVALID'],
    ['redis:7\n', 'NAME_INVALID'],
    [`redis:!@${digest}`, 'NAME_INVALID'],
    ['redis@', 'DIGEST_INVALID'],
    ['redis@7', 'DIGEST_INVALID'],
    ['redis@sha256:abc', 'DIGEST_INVALID'],
    [`redis@${digest}@${digest}`, 'DIGEST_INVALID'],
    [`redis@${digest}\n`, 'DIGEST_INVALID'],
  ])('is not %j: %s, said in one line', (text, code) => {
    const error = refusal(text);
    expect([error.code, error.message.includes('\n')]).toEqual([code, false]);
  });

  test('is written as it is read', () => {
    const name = fc.constantFrom('redis', 'a/b', 'localhost:5000/a', '[::1]:5000/a/b');
    const reference = fc.oneof(
      fc.constant({ digest }),
      fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/).map((tag) => ({ tag })),
    );
    fc.assert(
      fc.property(name, reference, (path, wanted) => {
        const written = formatImage({ registry: 'docker.io', path }, wanted);
        expect(parseImageName(written)).toEqual({ name: `docker.io/${path}`, reference: wanted });
      }),
    );
  });
});

test.each([
  ['docker.io/library/*', 'docker.io/library/*', undefined],
  ['docker.io/library/*:v*', 'docker.io/library/*', 'v*'],
  ['registry.test:5000/app', 'registry.test:5000/app', undefined],
  ['registry.test:5000/app:1', 'registry.test:5000/app', '1'],
  ['**:latest', '**', 'latest'],
])('the glob %s is over %s and %s', (glob, repository, tag) => {
  expect(splitImageGlob(glob)).toEqual({ repository, tag });
});
