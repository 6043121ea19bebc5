// What refers to an image: from the upstream's API, from its fallback tag or, while it is away, from what is here.
import { describe, expect, test, vi } from 'vitest';
import { UpstreamError } from '../../src/upstream/upstream.ts';
import { describe as descriptorOf, type FakeManifest, mediaTypes } from '../support/fake-image.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import {
  altered,
  digestFor,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

const name = 'library/app';
const noApi: FaultEffect = { status: 404, body: '404 page not found' };

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly image: AddedImage;
  readonly signature: FakeManifest;
  readonly sbom: FakeManifest;
  /** Their digests, sorted. */
  list(artifactType?: string): Promise<string[]>;
  listed(artifactType?: string): Promise<{ digest: string; artifactType?: string; annotations?: unknown }[]>;
  pull(reference: string | FakeManifest): Promise<void>;
  /** Puts an index of these under the fallback tag. */
  tag(...referrers: FakeManifest[]): FakeManifest;
}

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const image = upstream.addImage(name);
  const subject = descriptorOf(image.manifest.mediaType, image.manifest.content);
  const [signature, sbom] = ['test/signature', 'test/sbom'].map((artifactType) => {
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: contentOf('{}').digest, size: 2 };
    const annotations = { of: artifactType };
    const json = { schemaVersion: 2, artifactType, config, layers: [], subject, annotations };
    return upstream.addManifest(name, undefined, json, mediaTypes.ociManifest);
  }) as [FakeManifest, FakeManifest];
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, ...options });
  const source = mirror.source(name);
  const listed: Scene['listed'] = async (artifactType) => {
    const index = await mirror.mirror.listReferrers(source, digestFor(image), artifactType, patient);
    return JSON.parse(Buffer.from(index).toString()).manifests;
  };
  return {
    ...{ upstream, mirror, image, signature, sbom, listed },
    list: async (artifactType) => (await listed(artifactType)).map(({ digest }) => digest).sort(),
    pull: async (reference) => {
      const wanted = typeof reference === 'string' ? { tag: reference } : { digest: digestFor(reference.content) };
      await mirror.mirror.getManifest(source, wanted, patient);
    },
    tag: (...referrers) => {
      const manifests = referrers.map(({ mediaType, content }) => ({
        ...descriptorOf(mediaType, content),
        artifactType: `tagged ${content.size}`,
      }));
      const json = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
      return upstream.addManifest(name, image.digest.replace(':', '-'), json, mediaTypes.ociIndex);
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

const digests = (...manifests: FakeManifest[]) => manifests.map(({ content }) => content.digest).sort();

describe('an upstream with the API', () => {
  test('is asked once for all who ask at the same time, and once in the ttl of tags', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({}, { holdHeaders: gate });
    const asked = Array.from({ length: 20 }, () => at.list());
    await gate.reached;
    gate.open();
    for (const list of await Promise.all(asked)) expect(list).toEqual(digests(at.signature, at.sbom));
    await at.list();
    expect(at.upstream.count()).toBe(1);
  });

  test('is asked each time with a ttl of 0', async () => {
    await using at = await scene({ ttlMs: 0 });
    await at.list();
    await at.list();
    expect(at.upstream.count({ kind: 'referrers' })).toBe(2);
  });

  test('is asked again although the tags of the image never move: it may be signed tomorrow', async () => {
    await using at = await scene({ ttlMs: 0, rules: [{ match: '**', ttlMs: Number.POSITIVE_INFINITY }] });
    await at.list();
    await at.list();
    expect(at.upstream.count({ kind: 'referrers' })).toBe(2);
  });

  test('need not know of types: the list is cut to the one that was asked for', async () => {
    await using at = await scene();
    expect(await at.list('test/sbom')).toEqual(digests(at.sbom));
    expect(await at.list('test/signature')).toEqual(digests(at.signature));
    expect(await at.list('test/nothing')).toEqual([]);
    expect(await at.list()).toHaveLength(2);
  });

  test.each<[string, FaultEffect]>([
    ['401', refusals.unauthorized],
    ['403', refusals.denied],
    ['500', refusals.serverError],
    ['429', refusals.pullLimit],
  ])('and nothing known here is an error when it answers %s', async (_what, effect) => {
    await using at = await scene();
    at.upstream.faults.add({}, effect);
    await expect(at.list()).rejects.toBeInstanceOf(UpstreamError);
  });
});

describe.each<[string, FaultEffect]>([
  ['without the API', noApi],
  ['with a web page for it', refusals.html],
])('an upstream %s', (_what, effect) => {
  test('tells by its fallback tag, cut to the type that was asked for', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'referrers' }, effect);
    at.tag(at.sbom);
    expect(await at.list()).toEqual(digests(at.sbom));
    expect(await at.list(`tagged ${at.sbom.content.size}`)).toEqual(digests(at.sbom));
    expect(await at.list('test/nothing')).toEqual([]);
  });

  test('and without the tag tells of nothing, without being asked again and again', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'referrers' }, effect);
    for (let again = 0; again < 3; again++) expect(await at.list()).toEqual([]);
    expect(at.upstream.requests.map(({ method, kind }) => `${method} ${kind}`)).toEqual([
      'GET referrers',
      'HEAD manifest',
    ]);
  });

  test('and with an image under the tag tells of nothing', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'referrers' }, effect);
    at.upstream.addImage(name, { tag: at.image.digest.replace(':', '-') });
    expect(await at.list()).toEqual([]);
  });
});

describe('while the upstream is away', () => {
  test('the last answer stands, within staleIfError', async () => {
    await using at = await scene({ ttlMs: 0 });
    await at.list();
    await at.upstream.close();
    expect(await at.list()).toEqual(digests(at.signature, at.sbom));
    await using strict = await scene({ ttlMs: 0, staleIfErrorMs: 0 });
    await strict.list();
    await strict.upstream.close();
    await expect(strict.list()).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('those that were pulled are listed as a registry lists them', async () => {
    await using at = await scene();
    await at.pull(at.signature);
    await at.upstream.close();
    const { mediaType, content } = at.signature;
    const entry = { ...descriptorOf(mediaType, content), artifactType: 'test/signature' };
    expect(await at.listed()).toEqual([{ ...entry, annotations: { of: 'test/signature' } }]);
    expect(await at.list('test/sbom')).toEqual([]);
  });

  test('those that were pulled are listed after a restart too', async () => {
    await using at = await scene();
    await at.pull(at.signature);
    await at.mirror.stop();
    await using again = await startMirror({ upstreams: { 'docker.io': at.upstream }, dir: at.mirror.dir });
    await at.upstream.close();
    const source = again.source(name);
    const index = await again.mirror.listReferrers(source, digestFor(at.image), undefined, patient);
    expect(JSON.parse(Buffer.from(index).toString()).manifests).toHaveLength(1);
  });

  test('those under the fallback tag are listed too, each once', async () => {
    await using at = await scene();
    at.tag(at.signature, at.sbom);
    await at.pull(at.image.digest.replace(':', '-'));
    await at.pull(at.signature);
    await at.upstream.close();
    expect(await at.list()).toEqual(digests(at.signature, at.sbom));
  });

  test('those of another repository are not', async () => {
    await using at = await scene();
    await at.pull(at.signature);
    await at.upstream.close();
    const other = at.mirror.source('library/other');
    const listed = at.mirror.mirror.listReferrers(other, digestFor(at.image), undefined, patient);
    await expect(listed).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('those that were evicted are not', async () => {
    await using at = await scene();
    await at.pull(at.signature);
    at.mirror.records.deleteBlob(digestFor(at.signature.content));
    await at.upstream.close();
    await expect(at.list()).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('it is an error where nothing is known', async () => {
    await using at = await scene();
    await at.pull('latest');
    await at.upstream.close();
    await expect(at.list()).rejects.toMatchObject({ failure: 'unreachable' });
  });
});

describe('an upstream that is slow', () => {
  test('is waited for as long as revalidateTimeout when the image is here', async () => {
    await using at = await scene({ revalidateTimeoutMs: 30 });
    await at.pull('latest');
    await at.pull(at.sbom);
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'referrers' }, { holdHeaders: gate });
    expect(await at.list()).toEqual(digests(at.sbom));
    gate.open();
  });

  test('is waited for when it is not', async () => {
    await using at = await scene({ revalidateTimeoutMs: 10 });
    at.upstream.faults.add({ kind: 'referrers' }, { delayMs: 50 });
    expect(await at.list()).toHaveLength(2);
  });
});

test('a type that nobody has heard of costs the upstream nothing', async () => {
  await using at = await scene();
  for (let type = 0; type < 20; type++) expect(await at.list(`test/${type}`)).toEqual([]);
  expect(at.upstream.requests.map(({ path }) => path)).toEqual([`/v2/${name}/referrers/${at.image.digest}`]);
});

test('of manifests that are here no more is read than one list can hold, once for all who ask', async () => {
  await using at = await scene();
  const subject = descriptorOf(at.image.manifest.mediaType, at.image.manifest.content);
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: contentOf('{}').digest, size: 2 };
  for (let number = 0; number < 6; number++) {
    const annotations = { number: `${number}`, of: 'x'.repeat(1_500_000) };
    const json = { schemaVersion: 2, config, layers: [], subject, annotations };
    await at.pull(at.upstream.addManifest(name, undefined, json, mediaTypes.ociManifest));
  }
  await at.pull(at.sbom);
  await at.upstream.close();
  const reads = vi.spyOn(at.mirror.store, 'readAll');
  const lists = await Promise.all(Array.from({ length: 8 }, () => at.list()));
  for (const list of lists) {
    expect(list).toHaveLength(3);
    expect(list).toContain(at.sbom.content.digest);
  }
  expect(reads).toHaveBeenCalledTimes(3);
});

test('an upstream that is not asked costs nothing', async () => {
  const changes = { fetchReferrers: () => Promise.reject(new UpstreamError('offline', 'offline')) };
  await using at = await scene({ wrap: (upstream) => altered(upstream, changes) });
  await at.pull(at.sbom);
  expect(await at.list()).toEqual(digests(at.sbom));
  expect(at.upstream.count({ kind: 'referrers' })).toBe(0);
});
