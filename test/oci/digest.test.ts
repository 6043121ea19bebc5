// Content addresses: which texts are one, and what they are made of.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestAlgorithm, digestEncoded, digestOf, parseDigest } from '../../src/oci/digest.ts';

const hex64 = 'ab'.repeat(32);
const hex128 = 'cd'.repeat(64);

describe('a digest', () => {
  test.each([`sha256:${hex64}`, `sha512:${hex128}`])('is %s', (text) => {
    expect(parseDigest(text)).toBe(text);
  });

  test.each([
    '',
    ':',
    'sha256',
    'sha256:',
    `:${hex64}`,
    hex64,
    'sha256:totallywrong',
    'sha256:baddigeststring',
    `sha256:${hex64.slice(1)}`,
    `sha256:${hex64}a`,
    `sha256:${hex64.toUpperCase()}`,
    `SHA256:${hex64}`,
    `sha256:${hex128}`,
    `sha512:${hex64}`,
    `sha256:${'g'.repeat(64)}`,
    `sha256:${hex64}\n`,
    ` sha256:${hex64}`,
    `sha256::${hex64}`,
    `sha256:../../${hex64.slice(6)}`,
    `sha256:${hex64.slice(1)}\0`,
    `md5:${'a'.repeat(32)}`,
    `sha384:${'a'.repeat(96)}`,
    `sha256+b64:${hex64}`,
  ])('is not %j', (text) => {
    expect(parseDigest(text)).toBeUndefined();
  });

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'is not one of an algorithm called %s, which every object has',
    (algorithm) => {
      expect(parseDigest(`${algorithm}:${hex64}`)).toBeUndefined();
    },
  );

  test('is refused or kept as it is, whatever the text', () => {
    const near = fc.tuple(
      fc.constantFrom('sha256', 'sha512', 'SHA256', ''),
      fc.constantFrom(':', '', '-'),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          near.map((parts) => parts.join('')),
        ),
        (text) => {
          const digest = parseDigest(text);
          return digest === undefined || (digest === text && /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text));
        },
      ),
    );
  });

  test('comes apart into its algorithm and a part that is safe as a file name', () => {
    const digest = digestOf(Buffer.from('hello'), 'sha512');
    expect(digestAlgorithm(digest)).toBe('sha512');
    expect(digestEncoded(digest)).toMatch(/^[0-9a-f]{128}$/);
    expect(`${digestAlgorithm(digest)}:${digestEncoded(digest)}`).toBe(digest);
  });
});

describe('the digest of bytes', () => {
  test('is the published one of nothing', () => {
    expect(digestOf(new Uint8Array())).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  test.each(['sha256', 'sha512'] as const)('is what %s says and parses', (algorithm) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const digest = digestOf(bytes, algorithm);
        expect(digest).toBe(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
        expect(parseDigest(digest)).toBe(digest);
      }),
    );
  });
});
