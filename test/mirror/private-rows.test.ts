// One repository, seen by some or by all: what was learned for those who may see more is proven again before all have it.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Manifest } from '../../src/oci/manifest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';
import type { Source } from '../../src/upstream/upstreams.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { altered, digestFor, filled, patient, readAll, type StartedMirror, startMirror } from './start-mirror.ts';

const name = 'acme/app';
let upstream: FakeUpstream;
let mirror: StartedMirror;
let image: AddedImage;
let layer: ServedContent;
/** The same name, as some see it and as all do. */
let some: Source;
let all: Source;
/** What the mirror believes of its upstream. */
let changes: { lastAnswerAt?: number };

describe.each([true, false])('with what is public shared: %s', (mayShare) => {
  beforeEach(async () => {
    upstream = await startFakeUpstream();
    layer = contentOf('a private layer '.repeat(10_000));
    image = upstream.addImage(name, { layers: [layer] });
    changes = {};
    mirror = await startMirror({
      ...{ upstreams: { 'docker.io': upstream }, mayShare, siblings: true, negativeTtlMs: 60_000 },
      wrap: (real) => altered(real, changes),
    });
    some = mirror.source(name, { isPrivate: true });
    all = mirror.source(name);
  });

  afterEach(async () => {
    await mirror[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  const latest = (source: Source) => mirror.mirror.getManifest(source, { tag: 'latest' }, patient);
  const byDigest = (source: Source) => mirror.mirror.getManifest(source, { digest: digestFor(image) }, patient);
  const open = (source: Source, blob = layer) => mirror.mirror.openBlob(source, digestFor(blob), patient);
  const stat = (source: Source) => mirror.mirror.statBlob(source, digestFor(layer), patient);
  const linkTo = ({ repository }: Source, ...blobs: ServedContent[]) =>
    mirror.records.addLinks(
      repository,
      blobs.map((blob) => ({ digest: digestFor(blob), size: blob.size, mediaType: mediaTypes.octetStream })),
    );

  async function outcome(source: Source, blob = layer): Promise<string | undefined> {
    const answer = await open(source, blob);
    await answer?.content.close();
    await filled(mirror, digestFor(blob));
    return answer?.outcome;
  }

  /** The whole image. */
  async function pull(source: Source): Promise<void> {
    await latest(source);
    for (const blob of [image.config, layer]) await outcome(source, blob);
    upstream.server.forget();
  }

  const asked = () =>
    upstream.requests.map(({ method, kind, headers }) => [method, kind, headers.range].join(' ').trim());

  test('a blob that came for some is given to all for one byte, once', async () => {
    await pull(some);
    linkTo(all, layer);
    expect([await outcome(all), await outcome(all)]).toEqual(['hit', 'hit']);
    expect(asked()).toEqual(['GET blob bytes=0-0']);
    await upstream.close();
    expect([await outcome(all), await outcome(some)]).toEqual(['hit', 'hit']);
  });

  test('a blob that came for some is not there for all when its upstream says so', async () => {
    await pull(some);
    linkTo(all, layer);
    upstream.repository(name).blobs.clear();
    expect([await outcome(all), await stat(all)]).toEqual([undefined, undefined]);
    expect(await outcome(some)).toBe('hit');
  });

  test('a blob that came for some is proven to all once more, whatever was told to them before', async () => {
    await latest(all);
    expect(await stat(all)).toEqual({ size: layer.size, outcome: 'miss' });
    await pull(some);
    upstream.repository(name).blobs.clear();
    expect([await outcome(all), await stat(all)]).toEqual([undefined, undefined]);
    expect(await outcome(some)).toBe('hit');
  });

  test('a blob that came for some is told to HEAD after the same proof', async () => {
    await pull(some);
    linkTo(all, layer);
    expect(await stat(all)).toEqual({ size: layer.size, outcome: 'miss' });
    expect(await stat(all)).toMatchObject({ size: layer.size, outcome: 'hit' });
    expect(asked()).toEqual(['GET blob bytes=0-0']);
  });

  test('a proof that cannot be written down counts for the one who asked', async () => {
    await pull(some);
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    vi.spyOn(mirror.records, 'addOrigin').mockImplementation(() => {
      throw full;
    });
    expect(await outcome(all)).toBe('hit');
  });

  test('what came for all is a hit for some', async () => {
    await pull(all);
    await upstream.close();
    expect((await latest(some))?.outcome).toBe('hit');
    expect((await byDigest(some))?.outcome).toBe('hit');
    expect([await outcome(some), await outcome(some, image.config)]).toEqual(['hit', 'hit']);
  });

  test.each([
    ['a tag', () => latest, ['HEAD manifest', 'GET manifest']],
    ['a digest', () => byDigest, ['GET manifest']],
  ])('a manifest that came for some is fetched for all, by %s', async (_by, get, requests) => {
    await pull(some);
    expect((await get()(all))?.outcome).toBe('miss');
    expect(asked()).toEqual(requests);
    expect((await get()(all))?.outcome).toBe('hit');
  });

  test('a manifest that came for some is fetched for all although one of theirs names it', async () => {
    await pull(some);
    const { mediaType, content } = image.manifest;
    mirror.records.addLinks(all.repository, [{ digest: digestFor(image), size: content.size, mediaType }]);
    upstream.repository(name).manifests.clear();
    expect(await byDigest(all)).toBeUndefined();
  });

  test('a blob that is arriving for some is joined by all after a proof', async () => {
    const gate = new Gate();
    linkTo(all, layer);
    upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 1000, gate } });
    const theirs = await open(some);
    const joined = await open(all);
    expect(joined?.outcome).toBe('joined');
    expect(asked()).toHaveLength(2);
    gate.open();
    for (const answer of [theirs, joined]) expect(answer && (await readAll(answer.content)).length).toBe(layer.size);
  });

  test('a blob that is arriving for some is nothing to all while its upstream says no', async () => {
    const gate = new Gate();
    linkTo(all, layer);
    upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 1000, gate } });
    const theirs = await open(some);
    upstream.repository(name).blobs.clear();
    expect([await stat(all), await open(all)]).toEqual([undefined, undefined]);
    gate.open();
    await theirs?.content.close();
  });

  test('a refusal that some are waiting for is no answer to all', async () => {
    const gate = new Gate();
    upstream.faults.add({ kind: 'blob', times: 1 }, { ...refusals.denied, holdHeaders: gate });
    const theirs = open(some);
    theirs.catch(() => {}); // awaited below
    await gate.reached;
    const ours = open(all);
    await vi.waitUntil(() => upstream.count({ kind: 'blob' }) === 2);
    gate.open();
    await expect(theirs).rejects.toMatchObject({ failure: 'denied' });
    await (await ours)?.content.close();
  });

  test('questions of some are not those of all', async () => {
    const gate = new Gate();
    upstream.faults.add({ kind: 'manifest', times: 1 }, { holdHeaders: gate });
    const theirs = latest(some);
    await gate.reached;
    expect((await latest(all))?.outcome).toBe('miss');
    gate.open();
    expect((await theirs)?.outcome).toBe('revalidated');
  });

  test('an answer to some by digest is none to all', async () => {
    const gate = new Gate();
    upstream.faults.add({ kind: 'manifest', times: 1 }, { holdHeaders: gate });
    const theirs = byDigest(some);
    await gate.reached;
    expect((await byDigest(all))?.outcome).toBe('miss');
    expect(asked()).toEqual(['GET manifest', 'GET manifest']);
    gate.open();
    await theirs;
  });

  test('what is absent for some is asked for by all, and what is absent for all by some', async () => {
    const gone = { tag: 'gone' };
    for (const source of [some, all]) {
      expect(await mirror.mirror.getManifest(source, gone, patient)).toBeUndefined();
      expect(await mirror.mirror.getManifest(source, gone, patient)).toBeUndefined();
    }
    expect(upstream.count({ kind: 'manifest' })).toBe(2);
  });

  test('a list of referrers for some is none for all', async () => {
    const list = (source: Source) => mirror.mirror.listReferrers(source, digestFor(image), undefined, patient);
    for (const source of [some, some, all, all]) await list(source);
    expect(upstream.count({ kind: 'referrers' })).toBe(2);
  });

  test('an image that is whole for some is not for all, until its blobs are proven', async () => {
    await pull(some);
    await pull(all);
    mirror.records.deleteBlob(digestFor(layer));
    await outcome(some);
    const { manifest } = (await latest(all)) as { manifest: Manifest };
    expect(await mirror.manifests.stored(all.repository, digestFor(image))).toEqual(manifest);
    changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
    await upstream.close();
    expect((await latest(some))?.outcome).toBe('hit');
    await expect(latest(all)).rejects.toThrow(`${layer.digest} is missing`);
    await upstream.reopen();
    expect(await outcome(all)).toBe('hit');
    await upstream.close();
    expect((await latest(all))?.outcome).toBe('hit');
  });

  test('the last byte that came for some makes no image whole for all', async () => {
    await latest(all);
    await outcome(all, image.config);
    const gate = new Gate();
    vi.spyOn(mirror.store, 'commit').mockImplementationOnce(() => gate.pass());
    const theirs = await open(some);
    await gate.reached;
    changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
    await upstream.close();
    expect((await latest(some))?.outcome).toBe('hit');
    await expect(latest(all)).rejects.toThrow(`${layer.digest} is missing`);
    gate.open();
    await theirs?.content.close();
  });

  test('the blobs of an image that was served to some do not begin to come for all', async () => {
    await latest(some);
    linkTo(all, layer);
    const answer = await open(all);
    expect(mirror.fills.find(digestFor(image.config))).toBeUndefined();
    await answer?.content.close();
  });
});
