// A test pull: what is read of an image, and what is said of one that does not come as it should.
import { arch } from 'node:os';
import { describe, expect, test } from 'vitest';
import { tryPull } from '../../../src/cli/doctor/pull.ts';
import { mediaTypes } from '../../../src/oci/media-types.ts';
import { type FakeUpstream, startFakeUpstream } from '../../support/fake-upstream.ts';
import { Gate } from '../../support/gate.ts';

const own = arch() === 'x64' ? 'amd64' : arch();

async function pulled(mirror: FakeUpstream, image: string, signal = AbortSignal.timeout(10_000)) {
  return (await tryPull({ url: new URL(mirror.url) }, image, { isUp: true, signal }))[0];
}

describe('a test pull', () => {
  test('reads manifest, config and layers, each once', async () => {
    await using mirror = await startFakeUpstream();
    mirror.addImage('acme/app', { tag: '1', layers: ['one', 'two'] });
    const finding = await pulled(mirror, 'acme/app:1');
    expect(finding).toMatchObject({
      mark: 'ok',
      what: expect.stringMatching(/^acme\/app:1: 3 blobs, .*, every digest right/),
    });
    expect(mirror.requests.map(({ kind }) => kind)).toEqual(['manifest', 'blob', 'blob', 'blob']);
  });

  /** Of one image for each, whose layer is its own name; `attestation` is of no platform. */
  function addIndex(mirror: FakeUpstream, ...architectures: readonly string[]) {
    const images = architectures.map((architecture) => {
      const platform = { os: 'linux', architecture };
      return {
        architecture,
        image: mirror.addImage('acme/app', { tag: architecture, platform, layers: [architecture] }),
      };
    });
    const manifests = images.map(({ architecture, image: { manifest, digest } }) => ({
      mediaType: manifest.mediaType,
      digest,
      size: manifest.content.size,
      platform:
        architecture === 'attestation' ? { os: 'unknown', architecture: 'unknown' } : { os: 'linux', architecture },
    }));
    const index = { mediaType: mediaTypes.ociIndex, schemaVersion: 2, manifests };
    mirror.addManifest('acme/app', 'latest', index, mediaTypes.ociIndex);
    return images.map(({ image }) => image.layers[0]?.digest ?? '');
  }

  test.each([
    ['what runs here', ['attestation', 's390x', own], 2],
    ['the first that runs anywhere where nothing runs here', ['attestation', 's390x', 'riscv64'], 1],
  ])('takes %s', async (_what, architectures, taken) => {
    await using mirror = await startFakeUpstream();
    const layers = addIndex(mirror, ...architectures);
    expect(await pulled(mirror, 'acme/app')).toMatchObject({ mark: 'ok' });
    expect(layers.map((layer) => mirror.count({ path: layer }))).toEqual(layers.map((_, at) => (at === taken ? 1 : 0)));
  });

  test.each([
    ['a manifest that is missing', { kind: 'manifest' }, { status: 404 }, 'the mirror answered 404 for its manifest'],
    ['a manifest with a byte too many', { kind: 'manifest' }, { flipByteAt: 1 }, 'its manifest does not hash to'],
    ['a blob that is refused', { kind: 'blob' }, { status: 503 }, 'the mirror answered 503 for sha256:'],
    ['a blob that is another', { kind: 'blob' }, { flipByteAt: 0 }, 'is not it'],
    ['a blob that ends early', { kind: 'blob' }, { dropAfter: 2 }, 'it broke off'],
    ['a blob that never ends', { kind: 'blob' }, { endless: true }, 'bytes of'],
    ['a blob that ends early as if it were whole', { kind: 'blob' }, { truncateAfter: 2 }, 'came with 2 bytes of'],
  ] as const)('finds %s', async (_what, match, effect, told) => {
    await using mirror = await startFakeUpstream();
    mirror.addImage('acme/app');
    mirror.faults.add(match, effect);
    expect(await pulled(mirror, 'acme/app')).toMatchObject({ mark: 'fail', what: expect.stringContaining(told) });
  });

  test('quotes the reason that the mirror gives', async () => {
    await using mirror = await startFakeUpstream();
    expect((await pulled(mirror, 'acme/nothing'))?.what).toContain('the fake upstream says NAME_UNKNOWN');
  });

  test('is not tried where credentials are asked for', async () => {
    await using mirror = await startFakeUpstream();
    mirror.faults.add({ kind: 'manifest' }, { status: 401 });
    expect(await pulled(mirror, 'acme/app')).toMatchObject({
      mark: 'skip',
      what: expect.stringContaining('credentials'),
    });
  });

  test('whose time is over says how far it came, the small blobs first', async () => {
    await using mirror = await startFakeUpstream();
    const large = 'x'.repeat(10_000);
    const { layers } = mirror.addImage('acme/app', { layers: [large, 'small'] });
    const gate = new Gate();
    mirror.faults.add({ path: `${layers[0]?.digest}` }, { holdHeaders: gate });
    const late = new AbortController();
    const pulling = pulled(mirror, 'acme/app', late.signal);
    await gate.reached;
    late.abort();
    expect(await pulling).toMatchObject({
      mark: 'warn',
      what: expect.stringContaining('2 of 3 blobs came whole and right'),
    });
    gate.open();
  });
});
