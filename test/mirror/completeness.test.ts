// Complete or not at all: what is here in part goes out only while the rest can be fetched.
import { describe, expect, test } from 'vitest';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';
import { describe as descriptorOf, indexManifest, mediaTypes } from '../support/fake-image.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import {
  altered,
  digestFor,
  filled,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

const name = 'library/app';
const linux = { architecture: 'amd64', os: 'linux' };
const arm = { architecture: 'arm64', os: 'linux' };

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  /** What the mirror believes of its upstream; as it is, where nothing is said. */
  readonly changes: { lastAnswerAt?: number; mayAsk?: () => boolean };
  /** By tag, or by the digest of the image. */
  pull(reference?: string | AddedImage, from?: string): Promise<string | undefined>;
  /** Until they are stored. */
  pullBlobs(image: AddedImage, from?: string): Promise<void>;
  /** Of the upstream, since this was looked at last. */
  asked(): string[];
}

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  // Nobody knows whether it is there, unless a test says so.
  const changes: Scene['changes'] = { lastAnswerAt: Number.NEGATIVE_INFINITY };
  const mirror = await startMirror({
    upstreams: { 'docker.io': upstream },
    wrap: (real) => altered(real, changes),
    revalidateTimeoutMs: 50,
    ...options,
  });
  return {
    upstream,
    mirror,
    changes,
    pull: async (reference = 'latest', from = name) => {
      const wanted = typeof reference === 'string' ? { tag: reference } : { digest: digestFor(reference) };
      return (await mirror.mirror.getManifest(mirror.source(from), wanted, patient))?.outcome;
    },
    pullBlobs: async ({ config, layers }, from = name) => {
      for (const blob of [config, ...layers]) {
        const answer = await mirror.mirror.openBlob(mirror.source(from), digestFor(blob), patient);
        await filled(mirror, digestFor(blob));
        await answer?.content.close();
      }
    },
    asked: () => {
      const asked = upstream.requests.map(({ method, kind }) => `${method} ${kind}`);
      upstream.server.forget();
      return asked;
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** One image, its manifest here, and of its blobs what `isWhole` says. */
async function cached({ isWhole }: { isWhole: boolean }, options?: Partial<StartMirrorOptions>) {
  const at = await scene(options);
  const image = at.upstream.addImage(name);
  await at.pull();
  if (isWhole) await at.pullBlobs(image);
  at.asked();
  return { at, image };
}

describe('an image that is whole', () => {
  test('goes out without a question, whatever is known of its upstream', async () => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    Object.assign(at.changes, { mayAsk: () => false });
    expect([await at.pull(), await at.pull(image)]).toEqual(['hit', 'hit']);
    await at.upstream.close();
    expect([await at.pull(), await at.pull(image)]).toEqual(['hit', 'hit']);
    expect(at.asked()).toEqual([]);
  });

  test('is one without its foreign layers, which nobody can fetch here', async () => {
    await using at = await scene();
    const config = at.upstream.addBlob(name, '{}');
    const foreign = { ...descriptorOf(mediaTypes.ociLayer, contentOf('elsewhere')), urls: ['https://elsewhere.test/'] };
    const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const manifest = at.upstream.addManifest(
      name,
      'latest',
      { schemaVersion: 2, config: descriptorOf(mediaTypes.ociConfig, config), layers: [{ ...foreign, mediaType }] },
      mediaTypes.ociManifest,
    );
    await at.pull();
    await at.pullBlobs({ manifest, digest: manifest.content.digest, config, layers: [] });
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
  });

  test('no longer is when one of its blobs is evicted', async () => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
    at.mirror.records.deleteBlob(digestFor(image.config));
    await expect(at.pull()).rejects.toThrow(`${image.config.digest} is missing`);
  });

  test('is so again when the blob that was lost comes back by way of another repository', async () => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    const [layer] = image.layers;
    if (!layer) throw new Error('an image without layers');
    at.mirror.records.deleteBlob(digestFor(layer));
    at.upstream.addBlob('library/other', layer);
    await at.pullBlobs({ ...image, config: layer, layers: [] }, 'library/other');
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
    const blob = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
    expect(blob?.outcome).toBe('hit');
    await blob?.content.close();
  });
});

describe('an image that is here in part', () => {
  test('goes out after the upstream answered a HEAD, as a hit', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    expect([await at.pull(), at.asked()]).toEqual(['hit', ['HEAD manifest']]);
    expect([await at.pull(image), at.asked()]).toEqual(['hit', ['HEAD manifest']]);
  });

  test('goes out without a question while the upstream is known to answer', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    at.changes.lastAnswerAt = performance.now();
    expect([await at.pull(), await at.pull(image), at.asked()]).toEqual(['hit', 'hit', []]);
    at.changes.lastAnswerAt = performance.now() - 10_000;
    await at.pull();
    expect(at.asked()).toEqual(['HEAD manifest']);
  });

  test.each<[string, FaultEffect]>([
    ['hangs up', { hangUp: true }],
    ['fails', refusals.serverError],
    ['is over its limit', refusals.pullLimit],
    ['says "missing or private"', refusals.unauthorized],
    ['denies it', refusals.denied],
    ['is a web page', refusals.html],
  ])('stays in while the upstream %s', async (_what, effect) => {
    const { at, image } = await cached({ isWhole: false }, { revalidateTimeoutMs: 5000 });
    await using _ = at;
    at.upstream.faults.add({}, effect);
    for (const pull of [at.pull(), at.pull(image)]) {
      const error = await pull.catch((error: unknown) => error);
      expect(error).toBeInstanceOf(UpstreamError);
      expect(['away', 'limited']).toContain((error as UpstreamError).failure);
      expect((error as UpstreamError).message).toContain(`${image.config.digest} is missing and cannot be fetched`);
    }
  });

  test('stays in when the upstream gives no answer in revalidateTimeout, asked once for all', async () => {
    const { at } = await cached({ isWhole: false });
    await using _ = at;
    const gate = new Gate();
    at.upstream.faults.add({}, { holdHeaders: gate });
    const pulls = await Promise.allSettled([at.pull(), at.pull(), at.pull()]);
    for (const pull of pulls) expect(pull).toMatchObject({ status: 'rejected', reason: { failure: 'away' } });
    expect(at.asked()).toEqual(['HEAD manifest']);
    gate.open();
  });

  test.each<[UpstreamFailure, UpstreamFailure]>([
    ['away', 'away'],
    ['offline', 'offline'],
    ['limited', 'limited'],
    ['login', 'away'],
    ['timeout', 'away'],
  ])('stays in for an upstream that is not asked (%s), and says when to come back', async (failure, told) => {
    const { at } = await cached({ isWhole: false });
    await using _ = at;
    const resolve = () => Promise.reject(new UpstreamError(failure, 'not now', { retryAfterMs: 7 }));
    Object.assign(at.changes, { resolve, lastAnswerAt: performance.now(), mayAsk: () => false });
    await expect(at.pull()).rejects.toMatchObject({ failure: told, retryAfterMs: 7 });
    expect(at.asked()).toEqual([]);
  });

  test('stays in where manifests may be asked for and blobs may not', async () => {
    const { at } = await cached({ isWhole: false });
    await using _ = at;
    at.changes.mayAsk = () => false;
    await expect(at.pull()).rejects.toMatchObject({ failure: 'away' });
  });

  test('does not exist any more when the upstream proves that', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    at.upstream.repository(name).manifests.clear();
    expect([await at.pull(), await at.pull(image)]).toEqual([undefined, undefined]);
  });

  test('does not go out as the old answer of a tag either', async () => {
    const { at } = await cached({ isWhole: false }, { ttlMs: 0 });
    await using _ = at;
    await at.upstream.close();
    await expect(at.pull()).rejects.toMatchObject({ failure: 'away' });
  });

  test('goes out when it was fetched or confirmed just now', async () => {
    await using at = await scene({ ttlMs: 0 });
    at.upstream.addImage(name);
    expect([await at.pull(), at.asked()]).toEqual(['miss', ['HEAD manifest', 'GET manifest']]);
    expect([await at.pull(), at.asked()]).toEqual(['revalidated', ['HEAD manifest']]);
  });

  test('stays in for a client that leaves', async () => {
    const { at } = await cached({ isWhole: false }, { revalidateTimeoutMs: 5000 });
    await using _ = at;
    const gate = new Gate();
    at.upstream.faults.add({}, { holdHeaders: gate });
    const leaving = new AbortController();
    const pull = at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, leaving.signal);
    await gate.reached;
    leaving.abort(new Error('gone'));
    await expect(pull).rejects.toThrow('gone');
    gate.open();
  });
});

describe('an index', () => {
  async function withIndex() {
    const at = await scene();
    const images = [linux, arm].map((platform) =>
      at.upstream.addImage(name, { tag: platform.architecture, platform, layers: [platform.architecture] }),
    );
    const [one, other] = images as [AddedImage, AddedImage];
    const children = [
      { manifest: one.manifest, platform: linux },
      { manifest: other.manifest, platform: arm },
    ];
    at.upstream.addManifest(name, 'latest', indexManifest(children));
    await at.pull();
    at.asked();
    return { at, one, other };
  }

  test('goes out when one of its images is whole', async () => {
    const { at, other } = await withIndex();
    await using _ = at;
    await at.pull(other);
    await at.pullBlobs(other);
    await at.upstream.close();
    expect([await at.pull(), await at.pull(other)]).toEqual(['hit', 'hit']);
  });

  test('stays in when none of its images is here', async () => {
    const { at, one } = await withIndex();
    await using _ = at;
    await at.upstream.close();
    await expect(at.pull()).rejects.toThrow(`${one.digest} is missing`);
  });

  test('stays in when its images are here in part only', async () => {
    const { at, one } = await withIndex();
    await using _ = at;
    await at.pull(one);
    await at.upstream.close();
    await expect(at.pull()).rejects.toThrow(`${one.config.digest} is missing`);
  });

  test('of nothing is whole', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', indexManifest([]));
    await at.pull();
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
  });

  test('within indexes is followed a few levels down', async () => {
    await using at = await scene();
    let manifest = at.upstream.addImage(name).manifest;
    for (let level = 0; level < 6; level++) {
      manifest = at.upstream.addManifest(name, `level${level}`, indexManifest([{ manifest, platform: linux }]));
      await at.pull(`level${level}`);
    }
    const image = at.upstream.addImage(name);
    await at.pull();
    await at.pullBlobs(image);
    await at.upstream.close();
    expect(await at.pull('level3')).toBe('hit');
    await expect(at.pull('level5')).rejects.toMatchObject({ failure: 'away' });
  });
});
