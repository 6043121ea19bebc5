// What of an image is to be here: indexes followed as far as the wish goes, each thing once, and never for ever.
import { describe, expect, test } from 'vitest';
import { imageContents } from '../../../src/jobs/prefetch/image-contents.ts';
import type { PlatformWish } from '../../../src/jobs/prefetch/prefetch-event.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Manifest } from '../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../src/oci/media-types.ts';
import { platformOf } from '../../../src/oci/platform.ts';
import { amd64, arm64, platform } from './prefetch-scene.ts';

const blob = (text: string): Descriptor => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(Buffer.from(text)),
  size: text.length,
});

/** A registry of manifests; configs are blobs whose text is their platform. */
function registry() {
  const manifests = new Map<string, Manifest>();
  const configs = new Map<string, string>();
  const asked: string[] = [];
  const put = (body: object, mediaType: string): Manifest => {
    const bytes = Buffer.from(JSON.stringify(body));
    const manifest = { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
    manifests.set(manifest.descriptor.digest, manifest);
    return manifest;
  };
  return {
    asked,
    manifests,
    image: (config: string, ...layers: string[]) => {
      configs.set(blob(config).digest, config);
      return put({ config: blob(config), layers: layers.map(blob) }, mediaTypes.ociManifest);
    },
    index: (...entries: (readonly [Manifest, string?])[]) =>
      put(
        {
          manifests: entries.map(([{ descriptor }, says]) => {
            const [os, architecture, variant] = says?.split('/') ?? [];
            return { ...descriptor, ...(says !== undefined && { platform: { os, architecture, variant } }) };
          }),
        },
        mediaTypes.ociIndex,
      ),
    contents: (root: Manifest, wish: PlatformWish) =>
      imageContents(root, wish, {
        manifest: async (digest) => {
          asked.push(digest);
          return manifests.get(digest);
        },
        platformOf: async ({ digest }) => {
          const [os, architecture] = configs.get(digest)?.split('/') ?? [];
          return platformOf({ os, architecture });
        },
      }),
  };
}

const digests = (descriptors: readonly { readonly digest: string }[]) => descriptors.map(({ digest }) => digest);
const blobs = (...texts: string[]) => digests(texts.map(blob));

describe('an image without an index', () => {
  test('is all that it names, each once, whatever is wished for that it is', async () => {
    const { image, contents } = registry();
    const root = image('linux/amd64', 'one', 'two', 'one');
    for (const wish of [[amd64], 'all'] as const)
      expect(digests((await contents(root, wish)).blobs)).toEqual(blobs('linux/amd64', 'one', 'two'));
  });

  test('is missing what it is not', async () => {
    const { image, contents } = registry();
    const found = await contents(image('linux/amd64', 'one'), [arm64, amd64]);
    expect(found).toMatchObject({
      platforms: ['linux/amd64'],
      missing: ['linux/arm64'],
      available: ['linux/amd64'],
    });
    expect(digests(found.blobs)).toEqual(blobs('linux/amd64', 'one'));
    expect((await contents(image('linux/amd64', 'one'), [arm64])).blobs).toEqual([]);
  });

  test('that runs on nothing is for every wish', async () => {
    const { image, contents } = registry();
    expect(await contents(image('a chart', 'one'), [arm64])).toMatchObject({ missing: [], platforms: [] });
  });
});

describe('an index', () => {
  test('gives what is wished for and asks for nothing else', async () => {
    const { image, index, contents, asked } = registry();
    const [one, other] = [image('linux/amd64', 'one'), image('linux/arm64', 'other')];
    const nobody = image('nothing', 'attestation');
    const root = index([one, 'linux/amd64'], [other, 'linux/arm64/v8'], [nobody, 'unknown/unknown']);
    const found = await contents(root, [arm64]);
    expect(asked).toEqual([other.descriptor.digest]);
    expect(found).toMatchObject({ platforms: ['linux/arm64/v8'], missing: [], absent: [] });
    expect(digests(found.blobs)).toEqual(blobs('linux/arm64', 'other'));
    asked.length = 0;
    expect((await contents(root, 'all')).blobs).toHaveLength(6);
    expect(asked).toHaveLength(3);
  });

  test('names what it has where something is missing', async () => {
    const { image, index, contents, asked } = registry();
    const root = index([image('linux/amd64', 'one'), 'linux/amd64'], [image('windows/amd64', 'w'), 'windows/amd64']);
    const found = await contents(root, [platform('linux/s390x'), arm64]);
    expect(found.missing).toEqual(['linux/s390x', 'linux/arm64']);
    expect(found.available).toEqual(['linux/amd64', 'windows/amd64']);
    expect([found.blobs, asked]).toEqual([[], []]);
  });

  test('that does not say what its images run on is looked into, as long as something is missing', async () => {
    const { image, index, contents, asked } = registry();
    const inner = index([image('linux/arm64', 'deep'), 'linux/arm64']);
    const unnamed = image('linux/s390x', 'unnamed');
    const root = index([image('linux/amd64', 'one'), 'linux/amd64'], [inner], [unnamed]);
    expect(digests((await contents(root, [arm64])).blobs)).toEqual(blobs('linux/arm64', 'deep'));
    expect(asked).not.toContain(unnamed.descriptor.digest);
    expect(digests((await contents(root, [platform('linux/s390x')])).blobs)).toEqual(blobs('linux/s390x', 'unnamed'));
    asked.length = 0;
    await contents(root, [amd64]);
    expect(asked).toHaveLength(1);
  });

  test('tells which of its manifests nobody has', async () => {
    const { image, index, contents, manifests } = registry();
    const [one, gone] = [image('linux/amd64', 'one'), image('linux/arm64', 'gone')];
    manifests.delete(gone.descriptor.digest);
    const found = await contents(index([one, 'linux/amd64'], [gone, 'linux/arm64']), 'all');
    expect(found.absent).toEqual([gone.descriptor.digest]);
    expect(digests(found.blobs)).toEqual(blobs('linux/amd64', 'one'));
  });

  test('that names one image twice brings it once', async () => {
    const { image, index, contents, asked } = registry();
    const one = image('linux/amd64', 'one');
    await contents(index([one, 'linux/amd64'], [one, 'linux/amd64'], [index([one, 'linux/amd64'])]), 'all');
    expect(asked.filter((digest) => digest === one.descriptor.digest)).toHaveLength(1);
  });
});

describe('what no image is', () => {
  test('an index in an index in an index is refused at some depth', async () => {
    const { image, index, contents } = registry();
    let root = image('linux/amd64', 'one');
    for (let level = 0; level < 4; level++) root = index([root]);
    expect((await contents(root, 'all')).blobs).toHaveLength(2);
    const deeper = index([root]);
    await expect(contents(deeper, 'all')).rejects.toThrow('without end');
  });

  test('thousands of manifests are refused before they are asked for', async () => {
    const { image, index, contents, asked } = registry();
    const many = Array.from({ length: 300 }, (_, number) => [image(`${number}`), 'linux/amd64'] as const);
    await expect(contents(index(...many), [amd64])).rejects.toThrow('more than 200 manifests');
    expect(asked.length).toBeLessThanOrEqual(200);
  });

  test('thousands of layers are refused', async () => {
    const { image, contents } = registry();
    const layers = Array.from({ length: 10_001 }, (_, number) => `layer ${number}`);
    await expect(contents(image('linux/amd64', ...layers), 'all')).rejects.toThrow('more than 10000 blobs');
  });
});
