// Complete or not at all: what is here in part goes out only while the rest can be fetched.
import { describe, expect, test, vi } from 'vitest';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';
import { describe as descriptorOf, mediaTypes } from '../support/fake-image.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { cached, name, scene } from './images/image-scene.ts';
import { digestFor, patient } from './start-mirror.ts';

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

test('an image that was whole is not looked through again until something is lost', async () => {
  const { at } = await cached({ isWhole: true });
  await using _ = at;
  await at.pull();
  const looks = vi.spyOn(at.mirror.records, 'blob');
  await at.pull();
  expect(looks).toHaveBeenCalledTimes(1);
  at.mirror.records.putBlob(digestFor(contentOf('other')), 1);
  at.mirror.records.deleteBlob(digestFor(contentOf('other')));
  await at.pull();
  expect(looks.mock.calls.length).toBeGreaterThan(2);
});

describe('an image that is here in part', () => {
  test('and that its upstream has no longer is not there, the second time either', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    at.upstream.repository(name).manifests.delete(image.digest);
    expect(await at.pull(image)).toBeUndefined();
    expect(at.asked()).toEqual(['HEAD manifest']);
    // That HEAD was an answer.
    at.changes.lastAnswerAt = performance.now();
    expect(await at.pull(image)).toBeUndefined();
    expect(at.asked()).toEqual([]);
  });

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
