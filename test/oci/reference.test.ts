// What stands after /manifests/: a tag, a digest, or neither.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatReference, parseReference } from '../../src/oci/reference.ts';

const digest = `sha256:${'0a'.repeat(32)}`;

describe('a reference', () => {
  test.each(['latest', '1', '_', 'v1.2-rc.3', 'A_b', '7.4-alpine', 'x'.repeat(128), `sha256-${'a'.repeat(64)}.sig`])(
    'is the tag %s',
    (text) => {
      expect(parseReference(text)).toEqual({ tag: text });
    },
  );

  test.each([digest, `sha512:${'0a'.repeat(64)}`])('is the digest %s', (text) => {
    expect(parseReference(text)).toEqual({ digest: text });
  });

  test.each([
    '',
    '.hidden',
    '.INVALID_MANIFEST_NAME',
    '-x',
    'x'.repeat(129),
    'a b',
    'a/b',
    'a:b',
    'a\n',
    'tag\0',
    'täg',
    'sha256:totallywrong',
    'sha256:baddigeststring',
    `${digest}\r\n`,
    'constructor:x',
  ])('is not %j', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });

  test('is written as it was read', () => {
    const tags = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
    fc.assert(
      fc.property(fc.oneof(tags, fc.constant(digest)), (text) => {
        const reference = parseReference(text);
        return reference !== undefined && formatReference(reference) === text;
      }),
    );
  });

  test('never holds what could leave its place in a path', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '-', '_', '/', ':', '%', '\0', '\n', '?', '#') }),
        (text) => {
          return parseReference(text) === undefined || /^[\w.:-]+$/.test(text);
        },
      ),
    );
  });
});
