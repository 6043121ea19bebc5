// The words of the referrers API: the fallback tag, the index, its filter, and a manifest as a registry lists it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { manifestChildren } from '../../src/oci/manifest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';
import { describeReferrer, referrersIndex, referrersTag, withArtifactType } from '../../src/oci/referrers.ts';

const digest = digestOf(Buffer.from('content'));
const entry = (artifactType?: string) => ({
  mediaType: mediaTypes.ociManifest,
  digest,
  size: 7,
  ...(artifactType !== undefined && { artifactType }),
});

function parsed(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}

test('the fallback tag is algorithm and digest, cut to what a tag may hold', () => {
  expect(referrersTag(digest)).toBe(digest.replace(':', '-'));
  const long = digestOf(Buffer.from('content'), 'sha512');
  expect(referrersTag(long)).toBe(long.replace(':', '-').slice(0, 'sha512-'.length + 64));
});

test('an index is one, empty or not', () => {
  for (const all of [[], [entry('a')]]) {
    const index = referrersIndex(all);
    expect(manifestChildren(index, mediaTypes.ociIndex).manifests).toHaveLength(all.length);
    expect(parsed(index)).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: all });
  }
});

describe('the filter', () => {
  test('leaves those of the type, and all else of the index', () => {
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, annotations: { a: '1' }, manifests: [entry('a'), entry(), entry('b')] }),
    );
    expect(parsed(withArtifactType(index, 'a'))).toEqual({
      schemaVersion: 2,
      annotations: { a: '1' },
      manifests: [entry('a')],
    });
  });

  test('leaves the bytes alone when all are of the type', () => {
    const index = Buffer.from(` ${JSON.stringify({ manifests: [entry('a'), entry('a')] })}\n`);
    expect(withArtifactType(index, 'a')).toBe(index);
  });

  test('never throws, and never lets another type through', () => {
    const entries = fc.array(fc.oneof(fc.jsonValue(), fc.constantFrom('a', 'b', undefined).map(entry)));
    fc.assert(
      fc.property(entries, (manifests) => {
        const found = parsed(withArtifactType(Buffer.from(JSON.stringify({ manifests })), 'a'));
        for (const one of (found as { manifests: { artifactType?: unknown }[] }).manifests)
          expect(one.artifactType).toBe('a');
      }),
    );
  });
});

describe('a manifest is listed', () => {
  const listed = (json: unknown) => {
    const bytes = Buffer.from(JSON.stringify(json));
    const descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
    return { descriptor, referrer: describeReferrer({ bytes, descriptor }) };
  };

  test.each([
    ['with its artifact type', { artifactType: 'a', config: { mediaType: 'c' } }, { artifactType: 'a' }],
    ['with the type of its config, without one', { config: { mediaType: 'c' } }, { artifactType: 'c' }],
    [
      'with the type of its config, for an empty one',
      { artifactType: '', config: { mediaType: 'c' } },
      { artifactType: 'c' },
    ],
    ['with its annotations', { annotations: { k: 'v' } }, { annotations: { k: 'v' } }],
    ['without what is none', { artifactType: 7, annotations: ['x'], config: null }, {}],
  ])('%s', (_how, json, more) => {
    const { descriptor, referrer } = listed(json);
    expect(referrer).toEqual({ ...descriptor, ...more });
  });

  test('not at all when it is no object', () => {
    expect(listed([]).referrer).toBeUndefined();
    expect(listed(null).referrer).toBeUndefined();
  });
});
