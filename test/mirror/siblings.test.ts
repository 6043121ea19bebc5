// Which blobs come with one that is asked for: those of the manifest that was just served, once.
import { describe, expect, test } from 'vitest';
import { Siblings } from '../../src/mirror/siblings.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Manifest } from '../../src/oci/manifest.ts';
import type { Repository } from '../../src/oci/repository.ts';
import {
  type FakeDescriptor,
  type FakeManifest,
  indexManifest,
  manifestOf,
  mediaTypes,
} from '../support/fake-image.ts';
import { contentOf } from '../support/served-content.ts';

const here: Repository = { registry: 'docker.io', path: 'library/app' };
const there: Repository = { registry: 'docker.io', path: 'library/other' };

function blob(text: string, mediaType: string = mediaTypes.ociLayer) {
  return { mediaType, digest: digestOf(Buffer.from(text)), size: text.length };
}

const config = blob('config', mediaTypes.ociConfig);
const [one, two] = [blob('one'), blob('two')];

function image(...layers: readonly FakeDescriptor[]): Manifest {
  return read(manifestOf(mediaTypes.ociManifest, { schemaVersion: 2, config, layers }));
}

function read({ mediaType, content }: FakeManifest): Manifest {
  const { digest, size } = content;
  return {
    descriptor: { mediaType, digest: digest as Digest, size },
    bytes: Buffer.concat([...content.read(0, size)]),
  };
}

describe('the siblings of a blob', () => {
  test('are the others of its manifest, the config too', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one, two));
    expect(siblings.take(here, one.digest)).toEqual([config, two]);
  });

  test('are given once, whichever layer is asked for', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one, two));
    siblings.take(here, two.digest);
    for (const { digest } of [config, one, two]) expect(siblings.take(here, digest)).toEqual([]);
  });

  test('do not come with the config: who looks at an image need not want it', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one, two));
    expect(siblings.take(here, config.digest)).toEqual([]);
    expect(siblings.take(here, one.digest)).toEqual([config, two]);
  });

  test('are not given anew for every serving of the manifest', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one, two));
    siblings.take(here, one.digest);
    siblings.remember(here, image(one, two));
    expect(siblings.take(here, one.digest)).toEqual([]);
  });

  test('are those of the manifest that was served last, where a blob is in several', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one));
    siblings.remember(here, image(one, two));
    expect(siblings.take(here, one.digest)).toEqual([config, two]);
  });

  test('are nobody’s in another repository', () => {
    const siblings = new Siblings();
    siblings.remember(here, image(one, two));
    expect(siblings.take(there, one.digest)).toEqual([]);
    siblings.remember(there, image(one, two));
    expect(siblings.take(there, one.digest)).toEqual([config, two]);
  });

  test.each([
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ])('are none of %s, which lie elsewhere', (mediaType) => {
    const siblings = new Siblings();
    const foreign = blob('windows', mediaType);
    siblings.remember(here, image(foreign, one));
    expect(siblings.take(here, foreign.digest)).toEqual([]);
    expect(siblings.take(here, one.digest)).toEqual([config]);
  });

  test('of an index are none: nobody knows which platform is wanted', () => {
    const siblings = new Siblings();
    const manifest = manifestOf(mediaTypes.ociManifest, {});
    siblings.remember(here, read(indexManifest([{ manifest, platform: { architecture: 'amd64', os: 'linux' } }])));
    expect(siblings.take(here, manifest.content.digest as Digest)).toEqual([]);
  });

  test('of an unknown blob are none', () => {
    expect(new Siblings().take(here, contentOf('unknown').digest as Digest)).toEqual([]);
  });
});
