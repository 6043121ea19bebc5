// Manifests by digest: fetched once, checked before they are kept, and given to those repositories that have them.
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { ManifestAnswer } from '../../src/mirror/manifests.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { manifestOf, mediaTypes } from '../support/fake-image.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { committedFiles } from '../support/stored-files.ts';
import { digestFor, patient, type StartedMirror, startMirror } from './start-mirror.ts';

const name = 'library/app';

async function scene(): Promise<AsyncDisposable & { upstream: FakeUpstream; mirror: StartedMirror }> {
  const upstream = await startFakeUpstream();
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream } });
  return {
    upstream,
    mirror,
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function get({ mirror }: StartedMirror, source: ReturnType<StartedMirror['source']>, digest: Digest) {
  return mirror.getManifest(source, { digest }, patient);
}

function outcomeOf(answer: ManifestAnswer | undefined) {
  return answer?.outcome;
}

describe('a manifest by digest', () => {
  test('is fetched once, byte for byte, and then here', async () => {
    await using at = await scene();
    const { manifest } = at.upstream.addImage(name);
    const source = at.mirror.source(name);
    const first = await get(at.mirror, source, digestFor(manifest.content));
    expect(first?.outcome).toBe('miss');
    expect(first?.manifest.descriptor.mediaType).toBe(manifest.mediaType);
    const served = Buffer.concat([...manifest.content.read(0, manifest.content.size)]);
    expect(served.equals(first?.manifest.bytes ?? new Uint8Array())).toBe(true);
    expect(outcomeOf(await get(at.mirror, source, digestFor(manifest.content)))).toBe('hit');
    expect(at.upstream.count()).toBe(1);
  });

  test('is fetched once for all who ask at the same time', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name));
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'manifest' }, { holdHeaders: gate });
    const asked = Array.from({ length: 20 }, () => get(at.mirror, at.mirror.source(name), digest));
    await gate.reached;
    gate.open();
    const outcomes = (await Promise.all(asked)).map(outcomeOf);
    expect(outcomes.filter((outcome) => outcome === 'miss')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'joined')).toHaveLength(19);
    expect(at.upstream.count()).toBe(1);
  });

  test('is undefined when the upstream has none', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    expect(await get(at.mirror, at.mirror.source(name), digestFor(contentOf('nothing')))).toBeUndefined();
  });

  test('is fetched again when its file is gone', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name));
    await get(at.mirror, at.mirror.source(name), digest);
    await rm(at.mirror.layout.blob(digest));
    expect(outcomeOf(await get(at.mirror, at.mirror.source(name), digest))).toBe('miss');
    expect(outcomeOf(await get(at.mirror, at.mirror.source(name), digest))).toBe('hit');
  });

  test('survives a client that leaves while it is fetched', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name));
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'manifest' }, { holdHeaders: gate });
    const leaving = new AbortController();
    const source = at.mirror.source(name);
    const first = at.mirror.mirror.getManifest(source, { digest }, leaving.signal);
    await gate.reached;
    const second = get(at.mirror, source, digest);
    leaving.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    gate.open();
    expect(outcomeOf(await second)).toBe('joined');
    expect(at.upstream.requests).toHaveLength(1);
  });

  test('that went through /blobs/ first is a manifest all the same', async () => {
    await using at = await scene();
    const { manifest, digest: text } = at.upstream.addImage(name);
    at.upstream.addBlob(name, manifest.content);
    const digest = digestFor({ digest: text });
    const source = at.mirror.source(name);
    const blob = await at.mirror.mirror.openBlob(source, digest, patient);
    await at.mirror.fills.find(digest)?.ended;
    await blob?.content.close();
    expect(outcomeOf(await get(at.mirror, source, digest))).toBe('miss');
    expect(outcomeOf(await get(at.mirror, source, digest))).toBe('hit');
    expect(await at.mirror.mirror.openBlob(source, digest, patient)).toBeUndefined();
  });
});

describe('a manifest that is here for another repository', () => {
  test('is given after the upstream has confirmed it by HEAD, and then without a question', async () => {
    await using at = await scene();
    const { manifest } = at.upstream.addImage(name);
    at.upstream.addManifest('library/other', undefined, manifest);
    const digest = digestFor(manifest.content);
    await get(at.mirror, at.mirror.source(name), digest);
    const other = at.mirror.source('library/other');
    expect(outcomeOf(await get(at.mirror, other, digest))).toBe('revalidated');
    expect(outcomeOf(await get(at.mirror, other, digest))).toBe('hit');
    expect(at.upstream.requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
  });

  test('is undefined when the upstream denies that the other has it', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name));
    at.upstream.repository('library/other');
    await get(at.mirror, at.mirror.source(name), digest);
    expect(await get(at.mirror, at.mirror.source('library/other'), digest)).toBeUndefined();
  });

  test('is an error while nobody can tell', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name));
    await get(at.mirror, at.mirror.source(name), digest);
    at.upstream.faults.add({ kind: 'manifest' }, refusals.unavailable);
    await expect(get(at.mirror, at.mirror.source('library/other'), digest)).rejects.toMatchObject({
      failure: 'failing',
    });
  });
});

describe('a bad manifest is an error, and nothing of it is kept', () => {
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: contentOf('x').digest, size: 1 };
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };

  test.each<[string, ReturnType<typeof manifestOf>, FaultEffect]>([
    ['not JSON', { mediaType: mediaTypes.ociManifest, content: contentOf('<html>') }, {}],
    ['a list', manifestOf(mediaTypes.ociManifest, []), {}],
    ['another media type inside', manifestOf(mediaTypes.ociManifest, { mediaType: mediaTypes.ociIndex }), {}],
    ['an index with layers', manifestOf(mediaTypes.ociIndex, { ...index, layers: [descriptor] }), {}],
    ['an index with a config', manifestOf(mediaTypes.ociIndex, { ...index, config: descriptor }), {}],
    ['an image with manifests', manifestOf(mediaTypes.ociManifest, { layers: [descriptor], manifests: [] }), {}],
    ['a broken descriptor', manifestOf(mediaTypes.ociManifest, { layers: [{ ...descriptor, digest: '../x' }] }), {}],
    ['a negative size', manifestOf(mediaTypes.ociManifest, { layers: [{ ...descriptor, size: -1 }] }), {}],
    ['other bytes than its digest', manifestOf(mediaTypes.ociIndex, index), { flipByteAt: 3 }],
    [
      'a wrong Docker-Content-Digest',
      manifestOf(mediaTypes.ociIndex, index),
      { dockerContentDigest: descriptor.digest },
    ],
    ['an unknown type', manifestOf(mediaTypes.ociIndex, index), { contentType: 'application/json' }],
    ['no end', manifestOf(mediaTypes.ociIndex, index), { endless: true }],
    ['a content encoding', manifestOf(mediaTypes.ociIndex, index), { gzip: true }],
  ])('%s', async (_what, manifest, effect) => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifest);
    at.upstream.faults.add({ method: 'GET', kind: 'manifest' }, effect);
    const source = at.mirror.source(name);
    const digest = digestFor(manifest.content);
    for (const reference of [{ digest }, { tag: 'latest' }])
      await expect(at.mirror.mirror.getManifest(source, reference, patient)).rejects.toMatchObject({
        name: 'UpstreamError',
        failure: 'protocol',
      });
    expect(await committedFiles(at.mirror.dir)).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
    expect(at.mirror.records.tag(source.repository, 'latest')).toBeUndefined();
    expect(at.mirror.records.link(source.repository, digest)).toBeUndefined();
  });
});
