// Media types: which mean a manifest, and how a Content-Type becomes one.
import { describe, expect, test } from 'vitest';
import { manifestMediaType } from '../../src/oci/manifest.ts';
import { bareMediaType, isManifestType, manifestAccept, mediaTypes } from '../../src/oci/media-types.ts';

const manifests = [mediaTypes.dockerManifest, mediaTypes.dockerList, mediaTypes.ociManifest, mediaTypes.ociIndex];

test('the one Accept names exactly the four manifest types', () => {
  expect(manifestAccept.split(', ').sort()).toEqual([...manifests].sort());
});

test.each(manifests)('%s is a manifest', (type) => {
  expect(isManifestType(type)).toBe(true);
});

test.each([
  '',
  'application/json',
  mediaTypes.octetStream,
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'constructor',
])('%j is no manifest', (type) => {
  expect(isManifestType(type)).toBe(false);
});

describe('a Content-Type', () => {
  test.each([
    ['Application/JSON; charset=utf-8', 'application/json'],
    ['application/json;charset=utf-8', 'application/json'],
    ['  text/html  ', 'text/html'],
    ['', ''],
    [';', ''],
  ])('%j without its parameters is %j', (text, bare) => {
    expect(bareMediaType(text)).toBe(bare);
  });

  test('names a manifest type with parameters and in capitals', () => {
    expect(manifestMediaType(`${mediaTypes.ociIndex.toUpperCase()}; charset=utf-8`)).toBe(mediaTypes.ociIndex);
  });

  test.each(['', 'text/html', mediaTypes.octetStream, `${mediaTypes.ociIndex}, ${mediaTypes.ociIndex}`])(
    '%j names no manifest',
    (text) => {
      expect(manifestMediaType(text)).toBeUndefined();
    },
  );
});
