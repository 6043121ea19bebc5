// Images pulled before anyone asks: what comes, what is told of it, and what becomes of it when something is in the way.
import { rm } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { formatPlatform, hostPlatform } from '../../../src/oci/platform.ts';
import { offlineUpstream } from '../../../src/upstream/offline-upstream.ts';
import type { Upstream } from '../../../src/upstream/upstream.ts';
import { digestFor, filled, patient, readAll } from '../../mirror/start-mirror.ts';
import { imageManifest, manifestOf, mediaTypes } from '../../support/fake-image.ts';
import { refusals } from '../../support/faults.ts';
import { Gate } from '../../support/gate.ts';
import { type LaterClock, laterClock } from '../../support/later-clock.ts';
import { generateContent } from '../../support/served-content.ts';
import { addMultiPlatform, amd64, arm64, name, platform, prefetchScene } from './prefetch-scene.ts';

/** However busy the machine is. */
const soon = { timeout: 10_000 };

describe('a prefetch', () => {
  test('brings the platforms that are wished for, so that they can be pulled without the upstream', async () => {
    await using at = await prefetchScene();
    const { index, shared, of } = addMultiPlatform(at.upstream);
    const summary = await at.run(['app'], { platforms: [arm64] });
    const wanted = of('linux/arm64');
    expect(at.isHere(shared, ...wanted.blobs, wanted.manifest.content)).toBe(true);
    for (const other of ['linux/amd64', 'attestation'])
      for (const blob of [of(other).manifest.content, ...of(other).blobs]) expect(at.isHere(blob)).toBe(false);
    const sizes = [index.content, wanted.manifest.content, shared, ...wanted.blobs].map(({ size }) => size);
    const bytes = sizes.reduce((sum, size) => sum + size);
    expect(summary).toEqual({ images: 1, failed: 0, bytes });
    const image = 'docker.io/library/app:latest';
    expect(at.imageEvents()).toEqual([
      { type: 'image', image, state: 'started' },
      { type: 'image', image, state: 'done', digest: index.content.digest, platforms: ['linux/arm64'], bytes },
    ]);
    expect(at.events.at(-1)).toEqual({ type: 'done', ...summary });

    await at.upstream.close();
    const source = at.mirror.source(name);
    const answer = await at.mirror.mirror.getManifest(source, { digest: digestFor(wanted.manifest.content) }, patient);
    expect(answer?.outcome).toBe('hit');
    for (const blob of [shared, ...wanted.blobs]) {
      const opened = await at.mirror.mirror.openBlob(source, digestFor(blob), patient);
      expect(opened?.outcome).toBe('hit');
      expect((await readAll(opened?.content as never)).length).toBe(blob.size);
    }
  });

  test('of all platforms brings everything that the index names, its attestations too', async () => {
    await using at = await prefetchScene();
    const { shared, of } = addMultiPlatform(at.upstream);
    await at.run([`${name}:latest`], { platforms: 'all' });
    for (const key of ['linux/amd64', 'linux/arm64', 'attestation'])
      expect(at.isHere(of(key).manifest.content, ...of(key).blobs)).toBe(true);
    expect(at.isHere(shared)).toBe(true);
    expect(at.imageEvents().at(-1)?.platforms).toEqual(['linux/amd64', 'linux/arm64']);
    expect(at.upstream.count({ path: shared.digest })).toBe(1);
  });

  test('tells of each layer that it waits, how far it is, and that it is done', async () => {
    let tick = () => {};
    const every = (_ms: number, work: () => void) => {
      tick = work;
      return () => {};
    };
    await using at = await prefetchScene({ parts: { every } });
    const layer = await generateContent({ size: 200_000, seed: 1 });
    const { config } = at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const running = at.run([name], { platforms: [amd64] });
    await gate.reached;
    const received = () => at.mirror.fills.status()[0]?.receivedBytes ?? 0;
    await vi.waitUntil(() => received() === 100_000, soon);
    tick();
    tick();
    expect(at.prefetcher.status()).toMatchObject([{ images: 1, done: 0, failed: 0, isScheduled: false }]);
    expect(at.prefetcher.status()[0]?.receivedBytes).toBe(100_000 + config.size);
    gate.open();
    await running;
    const of = (digest: string) => at.events.filter((event) => event.type === 'layer' && event.digest === digest);
    const about = { type: 'layer', image: `docker.io/${name}:latest` };
    const its = { ...about, digest: layer.digest, sizeBytes: layer.size };
    expect(of(layer.digest)).toEqual([
      { ...its, receivedBytes: 0, state: 'waiting' },
      { ...its, receivedBytes: 100_000, state: 'arriving' },
      { ...its, receivedBytes: 200_000, state: 'done' },
    ]);
    expect(of(config.digest)).toHaveLength(2);
    expect(at.prefetcher.status()).toEqual([]);
  });

  test('of what is here asks for no blob, and says so', async () => {
    await using at = await prefetchScene();
    const { shared, of } = addMultiPlatform(at.upstream);
    await at.run(['app'], { platforms: [amd64] });
    at.events.length = 0;
    at.asked();
    const summary = await at.run(['app'], { platforms: [amd64] });
    expect(summary).toEqual({ images: 1, failed: 0, bytes: 0 });
    const blobs = [shared, ...of('linux/amd64').blobs].map(({ digest }) => digest);
    expect(new Map(at.layerEnds())).toEqual(new Map(blobs.map((digest) => [digest, 'present'])));
    expect(at.asked()).toEqual([]);
  });

  test('fetches again what the index knows and the disk has not', async () => {
    await using at = await prefetchScene();
    const { layers } = at.upstream.addImage(name);
    await at.run(['app'], { platforms: [amd64] });
    const [layer] = layers;
    const digest = digestFor(layer as never);
    await rm(at.mirror.layout.blob(digest));
    await at.run(['app'], { platforms: [amd64] });
    expect(at.layerEnds().filter(([of]) => of === digest)).toEqual([
      [digest, 'done'],
      [digest, 'done'],
    ]);
    expect(await at.mirror.store.has(digest, layer?.size ?? 0)).toBe(true);
  });

  test('without a platform is for those that this machine runs', async () => {
    await using at = await prefetchScene();
    const own = formatPlatform(hostPlatform());
    const { of } = addMultiPlatform(at.upstream, 'latest', [own, 'linux/s390x']);
    expect(await at.run(['app'], { platforms: [] })).toMatchObject({ failed: 0 });
    expect(at.isHere(...of(own).blobs)).toBe(true);
    expect(at.isHere(...of('linux/s390x').blobs)).toBe(false);
  });

  test('has so many blobs under way and no more', async () => {
    await using at = await prefetchScene();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 2, gate } });
    for (const tag of ['one', 'two', 'three'])
      addMultiPlatform(at.upstream, tag, ['linux/amd64', 'linux/arm64', 'linux/s390x']);
    const running = at.run(['app:one', 'app:two', 'app:three'], { platforms: 'all' });
    await vi.waitUntil(() => gate.arrivals === 6, soon);
    expect(at.mirror.fills.status()).toHaveLength(6);
    expect(at.imageEvents().filter(({ state }) => state === 'started')).toHaveLength(2);
    gate.open();
    expect(await running).toMatchObject({ images: 3, failed: 0 });
  });

  test('takes what is written in several ways for one image', async () => {
    const gate = new Gate();
    await using at = await prefetchScene();
    at.upstream.addImage(name);
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
    const running = at.run(['app', 'app:latest', 'docker.io/library/app', 'library/app:latest', 'none'], {
      platforms: [amd64],
    });
    await gate.reached;
    await vi.waitUntil(() => at.prefetcher.status()[0]?.failed === 1, soon);
    expect(at.prefetcher.status()).toMatchObject([{ images: 2, done: 0, failed: 1 }]);
    gate.open();
    expect(await running).toMatchObject({ images: 2, failed: 1 });
    const image = `docker.io/${name}:latest`;
    expect(at.imageEvents().filter((event) => event.image === image)).toMatchObject([
      { state: 'started' },
      { state: 'done' },
    ]);
  });

  test('is counted, image by image', async () => {
    await using at = await prefetchScene();
    at.upstream.addImage(name);
    await at.run(['app', 'app', 'none', 'Not An Image']);
    const { values } = await at.mirror.metrics.prefetchImages.get();
    const counted = values.filter(({ value }) => value > 0);
    expect(counted.map(({ labels, value }) => [labels.result, value]).sort()).toEqual([
      ['done', 1],
      ['failed', 2],
    ]);
  });
});

describe('an image that is not', () => {
  test('what was written is told and keeps no other from coming', async () => {
    await using at = await prefetchScene();
    at.upstream.addImage(name);
    const wrong = ['App:latest', 'app:!', 'unknown.example/app', 'none:1', `app@sha256:${'0'.repeat(64)}`];
    const summary = await at.run([...wrong, 'app'], { platforms: [amd64] });
    expect(summary).toMatchObject({ images: 6, failed: 5 });
    const failed = at.imageEvents().filter(({ state }) => state === 'failed');
    expect(failed.map(({ image, error }) => [image, error])).toEqual(
      expect.arrayContaining([
        ['App:latest', 'not a repository name: "App"'],
        ['app:!', 'not a tag: "!"'],
        ['unknown.example/app', expect.stringContaining('unknown.example is not configured')],
        ['docker.io/library/none:1', 'docker.io/library/none:1 does not exist upstream'],
        [
          expect.stringMatching(/^docker.io\/library\/app@sha256:0/),
          expect.stringContaining('does not exist upstream'),
        ],
      ]),
    );
    expect(failed.every(({ error }) => !error?.includes('\n'))).toBe(true);
  });

  test('for a platform says which it is for, and those that there are come all the same', async () => {
    await using at = await prefetchScene();
    const { of } = addMultiPlatform(at.upstream);
    const summary = await at.run(['app'], { platforms: [amd64, platform('linux/s390x')] });
    expect(summary.failed).toBe(1);
    expect(at.imageEvents().at(-1)).toMatchObject({
      state: 'failed',
      error: 'docker.io/library/app:latest has no linux/s390x; it has linux/amd64, linux/arm64',
      platforms: ['linux/amd64'],
    });
    expect(at.isHere(...of('linux/amd64').blobs)).toBe(true);
  });

  test('an index is of the platform that its config says', async () => {
    await using at = await prefetchScene();
    const { layers } = at.upstream.addImage(name, { platform: { os: 'linux', architecture: 'amd64' } });
    await at.run(['app'], { platforms: [arm64] });
    expect(at.imageEvents().at(-1)).toMatchObject({
      state: 'failed',
      error: 'docker.io/library/app:latest has no linux/arm64; it has linux/amd64',
    });
    expect(at.isHere(...layers)).toBe(false);
    await at.run(['app'], { platforms: [amd64] });
    expect(at.imageEvents().at(-1)).toMatchObject({ state: 'done', platforms: ['linux/amd64'] });
    expect(at.isHere(...layers)).toBe(true);
  });

  test('for machines, a chart, is for every platform', async () => {
    await using at = await prefetchScene();
    const chart = at.upstream.addBlob(name, 'a chart');
    const config = at.upstream.addBlob(name, 'name: chart');
    at.upstream.addManifest(name, 'latest', imageManifest(config, [chart]));
    await at.run(['app'], { platforms: [arm64] });
    expect(at.imageEvents().at(-1)).toMatchObject({ state: 'done', platforms: [] });
    expect(at.isHere(chart, config)).toBe(true);
  });

  test('for machines, with a config larger than any image has, is for every platform and is not read', async () => {
    await using at = await prefetchScene();
    const config = at.upstream.addBlob(name, JSON.stringify({ os: 'linux', architecture: 'amd64' }).padEnd(5_000_000));
    at.upstream.addManifest(name, 'latest', imageManifest(config, []));
    await at.run(['app'], { platforms: [arm64] });
    expect(at.imageEvents().at(-1)).toMatchObject({ state: 'done', platforms: [] });
  });

  test('whole upstream fails, with all of it that could be had here', async () => {
    await using at = await prefetchScene();
    const { layers } = at.upstream.addImage(name, { layers: ['one', 'two'] });
    at.upstream.repository(name).blobs.delete(layers[0]?.digest ?? '');
    const summary = await at.run(['app'], { platforms: [amd64] });
    expect(summary.failed).toBe(1);
    expect(at.imageEvents().at(-1)?.error).toContain(`names ${layers[0]?.digest}, which does not exist upstream`);
    expect(at.isHere(layers[1] as never)).toBe(true);
  });

  test('a foreign layer is asked for by nobody', async () => {
    await using at = await prefetchScene();
    const config = at.upstream.addBlob(name, '{}');
    const foreign = { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', size: 5 };
    at.upstream.addManifest(
      name,
      'latest',
      manifestOf(mediaTypes.dockerManifest, {
        schemaVersion: 2,
        config: { mediaType: mediaTypes.dockerConfig, digest: config.digest, size: config.size },
        layers: [{ ...foreign, digest: `sha256:${'1'.repeat(64)}` }],
      }),
    );
    expect(await at.run(['app'])).toMatchObject({ images: 1, failed: 0 });
  });
});

describe('a client', () => {
  test('that pulls meanwhile reads the same transfer, and both have it', async () => {
    await using at = await prefetchScene();
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const running = at.run(['app'], { platforms: [amd64] });
    await gate.reached;
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
    expect(answer?.outcome).toBe('joined');
    gate.open();
    expect((await readAll(answer?.content as never)).length).toBe(layer.size);
    expect(await running).toMatchObject({ failed: 0 });
    expect(at.upstream.count({ path: layer.digest })).toBe(1);
  });

  test('whose transfer is joined is not counted as fetched by the prefetch', async () => {
    await using at = await prefetchScene();
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
    await gate.reached;
    const running = at.run(['app'], { platforms: [amd64] });
    const received = () => at.mirror.fills.find(digestFor(layer))?.status.receivedBytes;
    const isJoined = () => at.events.some((event) => event.type === 'layer' && event.digest === layer.digest);
    await vi.waitUntil(() => isJoined() && received() === 100_000, soon);
    expect(at.prefetcher.status()[0]?.receivedBytes).toBeLessThan(1000);
    await answer?.content.close();
    gate.open();
    const { bytes } = await running;
    expect(at.isHere(layer)).toBe(true);
    expect(bytes).toBeLessThan(layer.size);
  });

  test('that needs the place has it, and the prefetch goes on where it was', async () => {
    await using at = await prefetchScene({ maxFills: 1 });
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const wanted = at.upstream.addImage('library/other').layers[0];
    const gate = new Gate();
    const held = at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const running = at.run(['app'], { platforms: [amd64] });
    await gate.reached;
    const received = () => at.mirror.fills.find(digestFor(layer))?.status.receivedBytes ?? 0;
    await vi.waitUntil(() => received() === 100_000, soon);
    held.remove();
    const other = at.mirror.source('library/other');
    const answer = await at.mirror.mirror.openBlob(other, digestFor(wanted as never), patient);
    expect((await readAll(answer?.content as never)).length).toBe(wanted?.size);
    expect(await running).toMatchObject({ failed: 0 });
    expect(at.isHere(layer)).toBe(true);
    gate.open();
    const again = at.upstream.server.find({ path: layer.digest }).at(-1);
    expect(again?.headers.range).toMatch(/^bytes=100000-/);
  });
});

describe('who leaves', () => {
  test('takes what nobody else wants along, and the next prefetch goes on from there', async () => {
    await using at = await prefetchScene();
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    const held = at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const leaving = new AbortController();
    const running = at.run(['app'], { platforms: [amd64], signal: leaving.signal });
    await gate.reached;
    await vi.waitUntil(() => (at.mirror.fills.find(digestFor(layer))?.status.receivedBytes ?? 0) === 100_000, soon);
    const fill = at.mirror.fills.find(digestFor(layer));
    leaving.abort();
    expect(await running).toMatchObject({ images: 0, failed: 0 });
    expect(at.events.some(({ type }) => type === 'done')).toBe(false);
    expect(at.events.some((event) => event.type !== 'done' && event.state === 'failed')).toBe(false);
    await fill?.ended;
    expect(at.mirror.fills.find(digestFor(layer))).toBeUndefined();
    expect(at.isHere(layer)).toBe(false);
    held.remove();
    gate.open();
    expect(await at.run(['app'], { platforms: [amd64] })).toMatchObject({ failed: 0 });
    expect(at.upstream.server.find({ path: layer.digest }).at(-1)?.headers.range).toMatch(/^bytes=100000-/);
  });

  test('leaves a transfer to the client that has joined it', async () => {
    await using at = await prefetchScene();
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const leaving = new AbortController();
    const running = at.run(['app'], { platforms: [amd64], signal: leaving.signal });
    await gate.reached;
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
    leaving.abort();
    await running;
    gate.open();
    expect((await readAll(answer?.content as never)).length).toBe(layer.size);
    await filled(at.mirror, digestFor(layer));
    expect(at.upstream.count({ path: layer.digest })).toBe(1);
  });

  test('leaves another prefetch of the same image its transfer', async () => {
    await using at = await prefetchScene();
    const layer = await generateContent({ size: 200_000, seed: 1 });
    at.upstream.addImage(name, { layers: [layer] });
    const gate = new Gate();
    const held = at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 100_000, gate } });
    const leaving = new AbortController();
    const first = at.run(['app'], { platforms: [amd64], signal: leaving.signal });
    await gate.reached;
    const ofLayer = () => at.events.filter((event) => event.type === 'layer' && event.digest === layer.digest);
    const waiting = () => ofLayer().filter((event) => event.type === 'layer' && event.state === 'waiting').length;
    const second = at.run(['app'], { platforms: [amd64] });
    await vi.waitUntil(() => waiting() === 2, soon);
    held.remove();
    leaving.abort();
    await first;
    expect(await second).toMatchObject({ failed: 0 });
    expect(at.isHere(layer)).toBe(true);
    gate.open();
  });

  test('before anything began leaves nothing behind', async () => {
    await using at = await prefetchScene();
    at.upstream.addImage(name);
    expect(await at.run(['app'], { signal: AbortSignal.abort() })).toEqual({ images: 0, failed: 0, bytes: 0 });
    expect(at.asked()).toEqual([]);
    expect(at.events).toEqual([]);
  });
});

describe('an upstream that', () => {
  /** Waits that pass at once on the mirror's own clock. */
  function waiting(clock: LaterClock) {
    const waits: number[] = [];
    const wait = async (ms: number) => {
      waits.push(ms);
      clock.pass(ms / 1000);
    };
    return { waits, parts: { wait } };
  }

  test('asks for a rest midway is asked again after it', async () => {
    using clock = laterClock();
    const { waits, parts } = waiting(clock);
    await using at = await prefetchScene({ parts });
    const { layers } = at.upstream.addImage(name);
    const limited = at.upstream.faults.add({ path: layers[0]?.digest ?? '', times: 1 }, refusals.abuseLimit);
    expect(await at.run(['app'], { platforms: [amd64] })).toMatchObject({ failed: 0 });
    expect(limited.hits).toBe(1);
    expect(waits.length).toBeGreaterThan(0);
    expect(waits.every((ms) => ms <= 4000)).toBe(true);
    expect(at.isHere(...layers)).toBe(true);
  });

  test('has given its last pull fails the images, and is waited for no longer', async () => {
    using clock = laterClock();
    const { waits, parts } = waiting(clock);
    await using at = await prefetchScene({ parts });
    for (const image of ['app', 'other', 'third', 'fourth']) at.upstream.addImage(`library/${image}`);
    const limit = at.upstream.faults.add({ kind: 'manifest', method: 'GET' }, refusals.pullLimit);
    const summary = await at.run(['app', 'other', 'third', 'fourth'], { platforms: [amd64] });
    expect(summary).toMatchObject({ images: 4, failed: 4 });
    expect(limit.hits).toBeLessThanOrEqual(2);
    expect(waits.length).toBeLessThanOrEqual(2);
    expect(at.imageEvents().at(-1)?.error).toContain('its pull limit is used up for now');
  });

  test('says no is asked no second time', async () => {
    using clock = laterClock();
    const { waits, parts } = waiting(clock);
    await using at = await prefetchScene({ parts });
    const { layers } = at.upstream.addImage(name);
    at.upstream.faults.add({ path: layers[0]?.digest ?? '' }, refusals.denied);
    expect(await at.run(['app'], { platforms: [amd64] })).toMatchObject({ failed: 1 });
    expect(waits).toEqual([]);
  });

  test('is away costs a prefetch of many images no waiting for each', async () => {
    using clock = laterClock();
    const { waits, parts } = waiting(clock);
    await using at = await prefetchScene({ parts });
    await at.upstream.close();
    const images = Array.from({ length: 20 }, (_, number) => `app:${number}`);
    expect(await at.run(images)).toMatchObject({ images: 20, failed: 20 });
    expect(waits.length).toBeLessThanOrEqual(4);
  });

  test('is not to be asked at all is no hindrance to what is here', async () => {
    await using before = await prefetchScene();
    const { of } = addMultiPlatform(before.upstream);
    await before.run(['app'], { platforms: [amd64] });
    before.upstream.addImage('library/other');
    await before.mirror.stop();
    const wrap = ({ name: of }: Upstream) => offlineUpstream({ name: of });
    await using at = await prefetchScene({ dir: before.mirror.dir, wrap, ttlMs: Number.POSITIVE_INFINITY });
    expect(await at.run(['app', 'other'], { platforms: [amd64] })).toEqual({ images: 2, failed: 1, bytes: 0 });
    expect(at.layerEnds().every(([, state]) => state === 'present')).toBe(true);
    expect(at.isHere(...of('linux/amd64').blobs)).toBe(true);
    const failed = at.imageEvents().find(({ state }) => state === 'failed');
    expect(failed).toMatchObject({ image: 'docker.io/library/other:latest' });
    expect(failed?.error).toContain('the mirror is offline');
  });
});

describe('a repository that only some may see', () => {
  test('is brought for those, and shown to nobody else', async () => {
    const sourceOf = async (image: string) => at.mirror.source(image, { isPrivate: true });
    await using at = await prefetchScene({ parts: { sourceOf: (image) => sourceOf(image) } });
    const { layers } = at.upstream.addImage(name);
    expect(await at.run(['app'], { platforms: [amd64] })).toMatchObject({ failed: 0 });
    const { mirror, records } = at.mirror;
    const all = at.mirror.source(name);
    expect(records.tag(all.repository, 'latest')).toBeUndefined();
    expect(records.link(all.repository, digestFor(layers[0] as never))).toBeUndefined();
    await at.upstream.close();
    await expect(mirror.getManifest(all, { tag: 'latest' }, patient)).rejects.toThrow();
    const some = at.mirror.source(name, { isPrivate: true });
    expect((await mirror.getManifest(some, { tag: 'latest' }, patient))?.outcome).toBe('hit');
    const answer = await mirror.openBlob(some, digestFor(layers[0] as never), patient);
    expect(answer?.outcome).toBe('hit');
    await answer?.content.close();
  });

  test('of which nobody can tell who may see it fails with that', async () => {
    const refuse = async () => {
      throw new Error('it cannot be found out now');
    };
    await using at = await prefetchScene({ parts: { sourceOf: refuse } });
    expect(await at.run(['app'])).toMatchObject({ failed: 1 });
    expect(at.imageEvents()).toMatchObject([{ image: 'app', state: 'failed', error: 'it cannot be found out now' }]);
    expect(at.asked()).toEqual([]);
  });
});

test('what does not fit into the cache fails, and says why', async () => {
  await using at = await prefetchScene({ maxSize: { bytes: 100_000 } });
  const layer = await generateContent({ size: 200_000, seed: 1 });
  at.upstream.addImage(name, { layers: [layer] });
  await at.run(['app'], { platforms: [amd64] });
  expect(at.imageEvents().at(-1)).toMatchObject({
    state: 'failed',
    error: 'there is no room for it within cache.maxSize and cache.minFree',
  });
});

test('an upstream with a single connection is prefetched from all the same', async () => {
  await using at = await prefetchScene({ connections: 2 });
  const { layers, config } = at.upstream.addImage(name, { layers: ['one', 'two', 'three'] });
  expect(await at.run(['app'], { platforms: [amd64] })).toMatchObject({ failed: 0 });
  expect(at.isHere(config, ...layers)).toBe(true);
});
