// What a manifest names, and which bytes are none.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { OciError } from '../../src/oci/errors.ts';
import { manifestChildren } from '../../src/oci/manifest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';

const { ociManifest, ociIndex, dockerManifest, dockerList } = mediaTypes;
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(Buffer.from('c')), size: 1 };
const layer = { mediaType: layerType, digest: digestOf(Buffer.from('l')), size: 7 };
const child = { mediaType: ociManifest, digest: digestOf(Buffer.from('m')), size: 400 };

const bytesOf = (json: unknown) => Buffer.from(JSON.stringify(json));
const childrenOf = (json: unknown, mediaType: string) => manifestChildren(bytesOf(json), mediaType);

const none = { blobs: [], config: undefined, manifests: [], attestations: new Set(), platforms: new Map() };

function refusal(bytes: Uint8Array, mediaType: string): OciError {
  try {
    manifestChildren(bytes, mediaType);
  } catch (error) {
    if (error instanceof OciError) return error;
    throw error;
  }
  throw new Error('it was taken for a manifest');
}

describe('an image manifest', () => {
  test.each([ociManifest, dockerManifest])('%s names its config and then its layers', (mediaType) => {
    const manifest = { schemaVersion: 2, mediaType, config, layers: [layer, layer] };
    expect(childrenOf(manifest, mediaType)).toEqual({ ...none, config, blobs: [config, layer, layer] });
  });

  test('may leave its own mediaType, its config and its layers out', () => {
    expect(childrenOf({ schemaVersion: 2, config, layers: [layer] }, ociManifest).blobs).toHaveLength(2);
    expect(childrenOf({ schemaVersion: 2 }, ociManifest)).toEqual(none);
    expect(childrenOf({ schemaVersion: 2, layers: null }, ociManifest)).toEqual(none);
  });

  test('keeps descriptors to their three fields: the urls of a foreign layer are never followed', () => {
    const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const foreign = { ...layer, mediaType, urls: ['http://169.254.169.254/latest'], annotations: { a: 'b' } };
    expect(childrenOf({ layers: [foreign] }, dockerManifest).blobs).toEqual([{ ...layer, mediaType }]);
  });

  test('may name a layer of no bytes and one with a sha512 digest', () => {
    const empty = { ...layer, size: 0, digest: digestOf(new Uint8Array(), 'sha512') };
    expect(childrenOf({ layers: [empty] }, ociManifest).blobs).toEqual([empty]);
  });

  test('that also lists manifests is ambiguous', () => {
    expect(refusal(bytesOf({ config, layers: [layer], manifests: [] }), ociManifest).code).toBe('MANIFEST_INVALID');
    expect(refusal(bytesOf({ manifests: null }), dockerManifest).message).toContain('ambiguous');
  });
});

describe('an index', () => {
  test.each([ociIndex, dockerList])('%s names its manifests', (mediaType) => {
    expect(childrenOf({ schemaVersion: 2, mediaType, manifests: [child] }, mediaType)).toEqual({
      ...none,
      manifests: [child],
    });
  });

  test('names as blobs what is no manifest by its type', () => {
    expect(childrenOf({ manifests: [child, layer] }, ociIndex)).toEqual({
      ...none,
      manifests: [child],
      blobs: [layer],
    });
  });

  test('tells which of its manifests are attestations, of no platform', () => {
    const unknown = { architecture: 'unknown', os: 'unknown' };
    const other = { ...child, digest: layer.digest };
    const manifests = [
      { ...child, platform: { architecture: 'amd64', os: 'linux' } },
      { ...other, platform: unknown },
    ];
    expect(childrenOf({ manifests }, ociIndex)).toEqual({
      ...none,
      manifests: [child, other],
      attestations: new Set([other.digest]),
      platforms: new Map([[child.digest, { architecture: 'amd64', os: 'linux', variant: undefined }]]),
    });
    for (const platform of [null, 7, {}, { os: 'unknown' }])
      expect(childrenOf({ manifests: [{ ...child, platform }] }, ociIndex).attestations.size).toBe(0);
  });

  test('tells what those of its manifests run on that say it', () => {
    const platformsOf = (platform: unknown) => childrenOf({ manifests: [{ ...child, platform }] }, ociIndex).platforms;
    expect([...platformsOf({ architecture: 'arm', os: 'linux', variant: 'v6' })]).toEqual([
      [child.digest, { architecture: 'arm', os: 'linux', variant: 'v6' }],
    ]);
    expect(platformsOf({ architecture: 'constructor', os: 'linux' }).size).toBe(1);
    for (const platform of [undefined, null, 7, {}, { os: 'linux' }, { os: 'unknown', architecture: 'unknown' }])
      expect(platformsOf(platform).size).toBe(0);
  });

  test('may be empty', () => {
    expect(childrenOf({ manifests: [] }, ociIndex)).toEqual(none);
    expect(childrenOf({}, ociIndex)).toEqual(none);
  });

  test.each([{ layers: [layer] }, { config }, { layers: [] }, { config: null }])('with %j too is ambiguous', (more) => {
    for (const mediaType of [ociIndex, dockerList])
      expect(refusal(bytesOf({ manifests: [child], ...more }), mediaType).message).toContain('ambiguous');
  });
});

describe('bytes that are no manifest', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['HTML', Buffer.from('<html></html>')],
    ['a list', bytesOf([])],
    ['null', bytesOf(null)],
    ['a text', bytesOf('manifest')],
    ['a number', bytesOf(7)],
    ['JSON cut short', bytesOf({ layers: [layer] }).subarray(0, 40)],
    ['two documents', Buffer.from('{}{}')],
    ['bytes outside UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
  ])('are refused: %s', (_, bytes) => {
    expect(refusal(bytes, ociManifest).code).toBe('MANIFEST_INVALID');
  });

  test('are those which call themselves another type than they were sent as', () => {
    for (const [inner, outer] of [
      [dockerManifest, ociManifest],
      [ociIndex, ociManifest],
      [ociManifest, ociIndex],
      [7, ociManifest],
      [null, ociManifest],
      ['', ociManifest],
    ] as const)
      expect(refusal(bytesOf({ mediaType: inner }), outer).message).toContain('calls itself');
  });

  test.each([
    ['no object', 'sha256:abc'],
    ['null', null],
    ['a number', 3],
    ['an empty object', {}],
    ['no digest', { mediaType: layerType, size: 1 }],
    ['a digest that is none', { ...layer, digest: 'sha256:totallywrong' }],
    ['a digest of an unknown algorithm', { ...layer, digest: `md5:${'a'.repeat(32)}` }],
    ['a digest whose algorithm every object has', { ...layer, digest: 'constructor:abc' }],
    ['a digest as a list', { ...layer, digest: [layer.digest] }],
    ['no mediaType', { digest: layer.digest, size: 1 }],
    ['a size below nothing', { ...layer, size: -1 }],
    ['a size in half bytes', { ...layer, size: 1.5 }],
    ['a size as a text', { ...layer, size: '7' }],
    ['a size no number can hold', { ...layer, size: 2 ** 53 }],
    ['no size', { ...layer, size: undefined }],
  ])('are those with a descriptor that is %s', (_, descriptor) => {
    expect(refusal(bytesOf({ layers: [layer, descriptor] }), ociManifest).message).toContain('layers[1]');
    expect(refusal(bytesOf({ config: descriptor }), ociManifest).message).toContain('config[0]');
    expect(refusal(bytesOf({ manifests: [descriptor] }), ociIndex).message).toContain('manifests[0]');
  });

  test.each([{}, 'layers', 7, true])('are those whose layers are %j', (layers) => {
    expect(refusal(bytesOf({ layers }), ociManifest).message).toContain('not a list');
  });

  test('make nothing but MANIFEST_INVALID, whatever they are', () => {
    const someJson = fc.oneof(
      fc.json(),
      fc
        .record(
          { mediaType: fc.anything(), layers: fc.jsonValue(), config: fc.jsonValue(), manifests: fc.jsonValue() },
          { requiredKeys: [] },
        )
        .map((json) => JSON.stringify(json)),
    );
    const types = fc.constantFrom(ociManifest, ociIndex, dockerManifest, dockerList);
    fc.assert(
      fc.property(
        fc.oneof(
          someJson.map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
        types,
        (bytes, mediaType) => {
          try {
            manifestChildren(bytes, mediaType);
          } catch (error) {
            expect(error).toMatchObject({ name: 'OciError', code: 'MANIFEST_INVALID' });
          }
        },
      ),
    );
  });
});

describe('the subject of a manifest', () => {
  const subject = { mediaType: ociManifest, digest: digestOf(Buffer.from('s')), size: 3 };

  test.each([
    ['an image', { config, layers: [layer] }, ociManifest],
    ['an index', { manifests: [child] }, ociIndex],
  ])('is what %s refers to', (_what, body, mediaType) => {
    expect(childrenOf({ schemaVersion: 2, ...body, subject }, mediaType).subject).toBe(subject.digest);
    expect(childrenOf({ schemaVersion: 2, ...body }, mediaType).subject).toBeUndefined();
  });

  test.each([[null], ['sha256:bad'], [{}], [{ digest: 'sha256:bad' }], [{ digest: 7 }], [[]]])(
    'is none when it is %j, and the manifest is one all the same',
    (broken) => {
      const children = childrenOf({ schemaVersion: 2, layers: [layer], subject: broken }, ociManifest);
      expect([children.subject, children.blobs]).toEqual([undefined, [layer]]);
    },
  );
});
